"""Facts of a whole data set, which every part of the graph may need: unit, weeks, holidays, labels. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.forecasting.absent import AbsentRows
from demand_assets.forecasting.holidays import HolidayRule, holiday_weeks
from demand_assets.ingestion.dataspec import WEEKDAYS, Accept, Closed, DataSpec, Holidays
from demand_assets.ingestion.delivery import KEYS
from demand_assets.ingestion.layout import columns_of
from demand_assets.ingestion.mapping import lake_name

STORE_LABEL, DEPT_LABEL = "Store", "Department"
# Column of the table -> what it holds.
TEXTS: Mapping[str, str] = {
    "unit": "What is counted",
    "week_ends": "Weekday that ends a week, 0 is Monday",
    "missing": "What a week without a row inside a series' life means: zero or unknown",
    "store_label": "What people call a store",
    "dept_label": "What people call a department",
    "form": "Known form of the files; empty for another",
    "closed": "Weeks without trade and their stores, JSON",
    "holidays": "Which weeks are holiday weeks, JSON",
    "accepted": "Unusual findings that were accepted, JSON",
    "covariates": "Columns beside sales: name in the lake, level, whether known ahead; JSON",
}


# The covariate of series that says when more was asked for than could be sold.
OUT_OF_STOCK = "out_of_stock"


@dataclass(frozen=True)
class Covariate:
    """A column beside sales, under its name in the lake; of texts that become flags the common part of their names."""

    name: str
    level: Literal["series", "store", "chain"]
    known_ahead: bool


@dataclass(frozen=True)
class Dataset:
    """What is known of all files of a landing zone together."""

    unit: str
    week_ends: int
    missing: Literal["zero", "unknown"]
    store_label: str
    dept_label: str
    form: str
    closed: tuple[Closed, ...]
    holidays: Holidays
    accepted: tuple[Accept, ...]
    covariates: tuple[Covariate, ...] = ()

    @classmethod
    def of(cls, spec: DataSpec, form: str) -> Dataset:
        """The facts that a complete spec states. ValueError when it does not say which weekday ends a week."""
        if spec.data.week_ends is None:
            raise ValueError("the spec does not say which weekday ends a week")
        return cls(
            unit=spec.data.unit,
            week_ends=WEEKDAYS.index(spec.data.week_ends),
            missing=spec.sales.missing,
            store_label=spec.series.store_label or STORE_LABEL,
            dept_label=spec.series.dept_label or DEPT_LABEL,
            form=form,
            closed=tuple(one if isinstance(one, Closed) else Closed(week=one) for one in spec.data.closed),
            holidays=spec.holidays,
            accepted=spec.accept,
            covariates=tuple(
                Covariate(lake_name(name), block.level, block.known_ahead)
                for block in spec.covariates
                for name in columns_of(block.columns)
            ),
        )

    @classmethod
    def read(cls, frame: pd.DataFrame) -> Dataset:
        """The facts kept in the one row of a `frame`."""
        row: dict[Any, Any] = frame.iloc[0].to_dict()
        return cls(
            **{name: row[name] for name in ("unit", "missing", "store_label", "dept_label", "form")},
            week_ends=int(row["week_ends"]),
            closed=tuple(Closed.model_validate(one) for one in json.loads(row["closed"])),
            holidays=Holidays.model_validate_json(row["holidays"]),
            accepted=tuple(Accept.model_validate(one) for one in json.loads(row["accepted"])),
            # A table of an earlier version has none.
            covariates=tuple(Covariate(**one) for one in json.loads(row.get("covariates", "[]"))),
        )

    def frame(self) -> pd.DataFrame:
        """One row, columns `TEXTS`."""
        made = ("closed", "holidays", "accepted", "covariates")
        plain = {name: getattr(self, name) for name in TEXTS if name not in made}
        return pd.DataFrame(
            [
                {
                    **plain,
                    "closed": json.dumps([one.model_dump(mode="json") for one in self.closed]),
                    "holidays": self.holidays.model_dump_json(),
                    "accepted": json.dumps([one.model_dump(mode="json") for one in self.accepted]),
                    "covariates": json.dumps([asdict(one) for one in self.covariates]),
                }
            ],
            columns=list(TEXTS),
        )

    def calendar(self) -> Callable[[pd.DatetimeIndex], NDArray[np.bool_]]:
        """Weeks -> holiday flags by the rule of the data set; False without one."""

        def flags(weeks: pd.DatetimeIndex) -> NDArray[np.bool_]:
            if weeks.empty:
                return np.zeros(0, dtype=bool)
            known = holiday_weeks(self.rule, weeks.min(), weeks.max()).set_index("week")["is_holiday"]
            return known.reindex(weeks).to_numpy(dtype=bool)

        return flags

    @property
    def rule(self) -> HolidayRule:
        """Which weeks are holiday weeks where no landed flag says so."""
        return HolidayRule(self.holidays.country, self.holidays.subdivision, self.holidays.retail)

    def closed_weeks(self, stores: Mapping[str, int]) -> pd.DataFrame:
        """[week, store_id] of the weeks without trade, all stores for the chain. `stores`: id -> key."""
        rows = [
            (pd.Timestamp(one.week), stores[store])
            for one in self.closed
            for store in (one.stores or stores)
            if store in stores
        ]
        return pd.DataFrame(rows, columns=["week", "store_id"]).astype({"week": "datetime64[ns]", "store_id": "int32"})

    @property
    def has_drivers(self) -> bool:
        """Whether any covariate is known ahead."""
        return any(one.known_ahead for one in self.covariates)

    @property
    def tells_stock(self) -> bool:
        """Whether a covariate of series says when they were out of stock."""
        return any(one.name == OUT_OF_STOCK and one.level == "series" for one in self.covariates)

    def absent_rows(self, stores: Mapping[str, int], of_series: pd.DataFrame | None) -> AbsentRows:
        """Which weeks do not tell demand. `stores`: id -> key; `of_series`: covariates of series, if there are any."""
        out = None
        if self.tells_stock and of_series is not None and OUT_OF_STOCK in of_series:
            out = of_series.loc[of_series[OUT_OF_STOCK] > 0, list(KEYS["series_covariates"])]
        return AbsentRows(self.missing, self.closed_weeks(stores), out)
