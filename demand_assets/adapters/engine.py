"""Where heavy work runs: on this machine, or on the workers of a Dask cluster (`adapters.cluster`), by one protocol.

Both call the same pure functions. Features and whole fits are the same to the byte; a model trained by all workers
together (`xgboost.dask`) sees the same rows, and differs by how the bins of parts are merged and rows are drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from demand_assets.adapters.lake_rows import LakeRows
from demand_assets.adapters.parquet import ParquetLake
from demand_assets.adapters.streams import LakeStream, write_stream
from demand_assets.forecasting.panel import SALES_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.forecasting.backtest import Backtest
    from demand_assets.forecasting.model import Forecaster, MemberRows, ModelConfig
    from demand_assets.forecasting.panel import Panel

# Rows sent to a worker at a time for forecasting: about 100 MB of features.
ROWS_PER_PIECE = 400_000
Item = TypeVar("Item")
Made = TypeVar("Made")


class Engine(Protocol):
    """What may run elsewhere. Rows are named, not passed: who works on them reads them from the lake."""

    def is_open(self) -> bool:
        """Whether it can take work."""

    def write_features(
        self,
        lake: ParquetLake,
        table: str,
        panel: "Panel",
        origins: "Sequence[pd.Timestamp]",
        horizon_weeks: int,
        series_per_block: int,
        notes: Mapping[str, Mapping[str, str]],
    ) -> tuple[int, int]:
        """Make demand_features of `origins` and write one file each; (rows, bytes)."""

    def fit(self, features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig") -> "Forecaster":
        """Train on the stored origins whose targets were known at `as_of`; ModelError when there is none."""

    def backtest(
        self,
        features: LakeRows,
        sales: LakeRows,
        origins: "Sequence[pd.Timestamp]",
        horizon_weeks: int,
        config: "ModelConfig",
        stores: Sequence[int] | None = None,
        progress: "Callable[[pd.Timestamp], None] | None" = None,
    ) -> "Backtest":
        """`forecasting.backtest.backtest` at `origins`, of the series of `stores` where they are given."""

    def predict(self, forecaster: "Forecaster", features: "pd.DataFrame") -> "pd.DataFrame":
        """`Forecaster.predict`, one row per row of `features`."""

    def map(self, function: Callable[..., Made], items: Iterable[Item], *shared: Any) -> Iterator[Made]:
        """`function(*shared, item)` of each item, in order; the function must be pure."""


class LocalEngine:
    """This machine, with the threads of the configuration."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def is_open(self) -> bool:
        """Always."""
        return True

    def write_features(
        self,
        lake: ParquetLake,
        table: str,
        panel: "Panel",
        origins: "Sequence[pd.Timestamp]",
        horizon_weeks: int,
        series_per_block: int,
        notes: Mapping[str, Mapping[str, str]],
    ) -> tuple[int, int]:
        """Block by block, so that no more than one is in memory."""
        return write_origins(
            lake.place(table), table, panel, horizon_weeks, series_per_block, self.threads, notes, origins
        )

    def fit(self, features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig") -> "Forecaster":
        """Week by week into what the members learn from, and nothing else."""
        return fit_stored(features, sales, as_of, config)

    def backtest(
        self,
        features: LakeRows,
        sales: LakeRows,
        origins: "Sequence[pd.Timestamp]",
        horizon_weeks: int,
        config: "ModelConfig",
        stores: Sequence[int] | None = None,
        progress: "Callable[[pd.Timestamp], None] | None" = None,
    ) -> "Backtest":
        """One origin after the other, from rows that are read once."""
        import pandas as pd

        from demand_assets.forecasting.backtest import assemble_folds, origins_to_forecast
        from demand_assets.forecasting.model import fit_members
        from demand_assets.forecasting.weeks import as_week

        stored = pd.DatetimeIndex([as_week(key) for key in features.keys])
        wanted = origins_to_forecast(origins, stored, horizon_weeks)
        learnt = stored_member_rows(features, sales, wanted[-1], config, range(config.members)) if wanted else []
        made = []
        for origin in wanted:
            forecaster = fit_members(learnt, origin, config)
            made.append(forecast_with_stored(features, sales, stores, forecaster, origin))
            if progress is not None:
                progress(origin)
        return assemble_folds(made, origins, horizon_weeks, config.quantiles)

    def predict(self, forecaster: "Forecaster", features: "pd.DataFrame") -> "pd.DataFrame":
        """All rows at once."""
        return forecaster.predict(features)

    def map(self, function: Callable[..., Made], items: Iterable[Item], *shared: Any) -> Iterator[Made]:
        """One after the other."""
        return (function(*shared, item) for item in items)


def write_origins(
    uri: str,
    table: str,
    panel: "Panel",
    horizon_weeks: int,
    series_per_block: int,
    threads: int,
    notes: Mapping[str, Mapping[str, str]],
    origins: "Sequence[pd.Timestamp]",
) -> tuple[int, int]:
    """Make demand_features of `origins` and write their files into the lake at `uri`; (rows, bytes).

    The bytes are the same whichever other origins are made with them, and with however many threads.
    """
    from demand_assets.forecasting.features import block_features, feature_blocks
    from demand_assets.partitions import week_key

    blocks = (
        (week_key(origin), columns)
        for block in feature_blocks(panel, series_per_block)
        for origin, columns in block_features(block, origins, horizon_weeks, threads)
    )
    keys = [week_key(origin) for origin in origins]
    return write_stream(ParquetLake(uri=uri), table, keys, LakeStream(blocks, notes))


def stored_member_rows(
    features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig", members: Sequence[int]
) -> "list[MemberRows]":
    """`member_rows` of each of `members` from stored weeks, read once and one at a time.

    Of some of the weeks, their part of the rows, in the same order.
    """
    import pandas as pd

    from demand_assets.forecasting.model import MemberRows, actuals_of, member_rows
    from demand_assets.partitions import week_key

    parts: list[list[MemberRows]] = [[MemberRows.none()] for _ in members]
    read: dict[str, pd.DataFrame] = {}
    for _, frame in features.weeks():
        targets = [week_key(week) for week in frame["target_week"].unique() if week <= as_of]
        # Neighbouring origins share all targets but one: each week of sales is read once and dropped when it is past.
        read = {name: read[name] for name in targets if name in read}
        read |= dict(sales.only([name for name in targets if name not in read]).weeks(SALES_COLUMNS))
        if not read:
            continue
        actuals = actuals_of(frame, pd.concat(read.values(), ignore_index=True))
        for held, member in zip(parts, members, strict=True):
            held.append(member_rows(frame, actuals, as_of, config, member))
    joined = []
    # Popped, so that the parts of one member go before the next is joined.
    while parts:
        joined.append(MemberRows.joined(parts.pop(0)))
    return joined


def fit_stored(features: LakeRows, sales: LakeRows, as_of: "pd.Timestamp", config: "ModelConfig") -> "Forecaster":
    """`forecasting.model.fit` on stored weeks: what its members learn from is in memory, and nothing else."""
    from demand_assets.forecasting.model import fit_members

    return fit_members(stored_member_rows(features, sales, as_of, config, range(config.members)), as_of, config)


def forecast_stored_origin(
    features: LakeRows,
    sales: LakeRows,
    stores: Sequence[int] | None,
    config: "ModelConfig",
    origin: "pd.Timestamp",
) -> "tuple[pd.DataFrame, float]":
    """`forecast_with_stored` of a model trained on the stored weeks before the origin."""
    from demand_assets.partitions import week_key

    before = features.only([key for key in features.keys if key < week_key(origin)])
    return forecast_with_stored(features, sales, stores, fit_stored(before, sales, origin, config), origin)


def forecast_with_stored(
    features: LakeRows,
    sales: LakeRows,
    stores: Sequence[int] | None,
    forecaster: "Forecaster",
    origin: "pd.Timestamp",
) -> "tuple[pd.DataFrame, float]":
    """`forecasting.backtest.forecast_origin` of one stored origin; sales are read only as the actuals."""
    from demand_assets.forecasting.backtest import forecast_origin
    from demand_assets.forecasting.weeks import add_weeks
    from demand_assets.partitions import week_key

    rows = features.only([week_key(origin)]).read()
    held = sales.only([week_key(add_weeks(origin, int(step))) for step in rows["horizon"].unique()])
    # No target has come yet: the columns of any week, without its rows.
    known = held.read(SALES_COLUMNS) if held.keys else sales.only(sales.keys[-1:]).read(SALES_COLUMNS).iloc[:0]
    return forecast_origin(forecaster, rows, known, stores)
