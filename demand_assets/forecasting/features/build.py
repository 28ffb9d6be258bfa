"""One vectorised pass over the panel makes demand_features of every origin, block by block and origin by origin.

The model learns the residual of `base`, in units of the series' own scale. The baselines are made in the same pass, in
the unit of sales; they are no inputs of the model.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from demand_assets.errors import SchemaError
from demand_assets.forecasting.features.catalogue import IN_SALES_UNIT, KEYS, features_of
from demand_assets.forecasting.features.history import ChainHistory, FeatureBlock, History
from demand_assets.forecasting.features.known_ahead import driver_columns
from demand_assets.forecasting.features.naive import baselines
from demand_assets.forecasting.features.origin import Origin
from demand_assets.forecasting.features.spec import Columns
from demand_assets.forecasting.panel import Panel, department_blocks
from demand_assets.forecasting.weeks import WEEKS_PER_YEAR, add_weeks

Made = dict[str, NDArray[np.generic]]


def first_origin(weeks: pd.DatetimeIndex) -> pd.Timestamp:
    """The earliest origin with a year behind it, so that its targets have a counterpart last year."""
    return add_weeks(weeks.min(), WEEKS_PER_YEAR)


def build_features(panel: Panel, origins: Sequence[pd.Timestamp], horizon_weeks: int, threads: int = 1) -> pd.DataFrame:
    """demand_features: one row per active series (a sale in the 52 weeks to the origin) x origin x horizon 1..H.

    `KEYS`, then `IN_SALES_UNIT` as float64, then the other features of the dataset as float32; sorted by origin, store,
    dept, horizon. SchemaError when an origin is outside the panel.
    """
    (block,) = feature_blocks(panel, len(panel.series))
    parts = [part for _, part in block_features(block, origins, horizon_weeks, threads)]
    # Each column leaves its parts as it is joined, so that the table is not in memory twice.
    return pd.DataFrame({name: np.concatenate([part.pop(name) for part in parts]) for name in [*parts[0]]}, copy=False)


def feature_blocks(panel: Panel, series_per_block: int) -> Iterator[FeatureBlock]:
    """The panel in blocks of whole departments, each of at least `series_per_block` series but the last.

    ValueError when that is less than one.
    """
    dept = panel.series["dept"].to_numpy()
    columns = department_blocks(dept, series_per_block)
    parts = [panel] if len(columns) == 1 else [panel.of(part) for part in columns]
    chain = ChainHistory.of(panel, parts)
    for part in parts:
        yield FeatureBlock(part, chain, int(np.bincount(dept).max()))


def block_features(
    block: FeatureBlock, origins: Sequence[pd.Timestamp], horizon_weeks: int, threads: int = 1
) -> Iterator[tuple[pd.Timestamp, Made]]:
    """Each origin, in order, with the columns of its rows of demand_features for the series of a block.

    They are made in `threads` threads; an origin at which no series of the block is active has no rows.
    SchemaError when an origin is outside the panel.
    """
    weeks = block.panel.weeks
    at = block.panel.position(pd.DatetimeIndex(list(origins)))
    outside = [week for week, row in zip(origins, at, strict=True) if not 0 <= row < len(weeks)]
    if outside:
        raise SchemaError(
            f"origin {outside[0]:%Y-%m-%d} is outside the sales, which run from "
            f"{weeks[0]:%Y-%m-%d} to {weeks[-1]:%Y-%m-%d}"
        )
    # The matrix products are small: with more threads than idle cores BLAS threads only wait for each other.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        history = History(block)
        # Only a few origins ahead of the consumer, so that waiting results do not fill the memory.
        pending: deque[tuple[pd.Timestamp, Future[Made]]] = deque()
        for row in sorted(set(at.tolist())):
            pending.append((weeks[row], pool.submit(_rows_of, history, row, horizon_weeks)))
            if len(pending) > 2 * threads:
                yield _taken(pending)
        while pending:
            yield _taken(pending)


def _taken(pending: deque[tuple[pd.Timestamp, Future[Made]]]) -> tuple[pd.Timestamp, Made]:
    origin, columns = pending.popleft()
    return origin, columns.result()


def _rows_of(history: History, row: int, horizon_weeks: int) -> Made:
    """The rows of one origin, as columns."""
    observed = Origin(history, row, horizon_weeks)
    origin = observed.without_effects()
    features = features_of(driver_columns(history.panel.drivers))
    made: dict[str, NDArray[np.float64]] = {}
    for block in dict.fromkeys(spec.made_by for spec in features.values()):
        made |= block(origin)
    panel, series = origin.panel, origin.panel.series.iloc[origin.active]
    in_unit: Columns = {"base": origin.base, "scale": origin.scale, "floor": origin.floor, **baselines(observed)}

    def rows(values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(values, horizon_weeks) if values.ndim == 1 else np.ascontiguousarray(values.T).ravel()

    return {
        "store_id": rows(series["store_id"].to_numpy()),
        "dept_id": rows(series["dept_id"].to_numpy()),
        "origin_week": np.full(horizon_weeks * len(series), panel.weeks[row].to_datetime64()),
        "target_week": np.tile(panel.flagged_weeks()[origin.targets].to_numpy(), len(series)),
        "horizon": rows(made["horizon"].astype(np.int16)),
        **{name: rows(in_unit[name]) for name in IN_SALES_UNIT},
        **{name: rows(made[name].astype(np.float32)) for name in features if name not in KEYS},
    }
