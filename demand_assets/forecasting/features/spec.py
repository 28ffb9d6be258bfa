"""What is declared of a feature, once, for all who use it: the model, attributions, drift, the schema and the docs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demand_assets.forecasting.features.origin import Origin

# Columns by name: (n,) of the active series, or (H, n) of their target weeks.
Columns = Mapping[str, NDArray[np.float64]]
Block = Callable[[Origin], Columns]

LAST_YEAR = "last year"
RECENT_TREND = "recent trend"
HOLIDAY = "holiday"
PROMOTION = "promotion"
STORE = "store"
DEPARTMENT = "department"
WEATHER_ECONOMY = "weather and economy"
# Groups of features to which a forecast is attributed, in a planner's words.
ATTRIBUTION_GROUPS: Mapping[str, str] = {
    LAST_YEAR: "What the forecast starts from and last year's weeks around it",
    RECENT_TREND: "What recent weeks moved the forecast by",
    HOLIDAY: "What holidays moved it by",
    PROMOTION: "What markdowns and drivers known ahead moved it by",
    STORE: "What the store's size, type and growth moved it by",
    DEPARTMENT: "What the department's season and growth moved it by",
    WEATHER_ECONOMY: "What temperature, fuel, CPI and unemployment moved it by",
}


@dataclass(frozen=True)
class DriftClass:
    """How drift of a variable is judged.

    `of` is what has one value a week: `series`, `store`, `department` or `calendar`. A `seasonal` variable is judged
    against last season only. A `delayed` one repeats what another showed earlier, and is no more than a warning.
    """

    of: str
    seasonal: bool = True
    delayed: bool = False


OF_SERIES, OF_STORE, OF_DEPARTMENT, OF_CALENDAR = "series", "store", "department", "calendar"


@dataclass(frozen=True)
class FeatureSpec:
    """One feature: a column of demand_features and an input of the model.

    `unit` "scale" means multiples of the series' `scale`. `group` is one of `ATTRIBUTION_GROUPS`. `made_by` makes the
    column, perhaps with others, from what is known at an origin. ValueError for an unknown group.
    """

    name: str
    text: str
    unit: str
    group: str
    drift: DriftClass
    made_by: Block

    def __post_init__(self) -> None:
        if self.group not in ATTRIBUTION_GROUPS:
            expected = ", ".join(ATTRIBUTION_GROUPS)
            raise ValueError(f"feature {self.name}: expected a group among {expected}, got {self.group!r}")
