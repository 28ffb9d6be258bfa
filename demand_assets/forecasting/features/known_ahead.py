"""Features of drivers: what is known at an origin of prices, promotions and the like in its target weeks.

A dataset has those of its own drivers, so they are no part of `FEATURES`; a name tells all that is declared of one.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from demand_assets.forecasting.drivers import OF_SERIES as SERIES_LEVEL
from demand_assets.forecasting.drivers import OF_STORE as STORE_LEVEL
from demand_assets.forecasting.drivers import Driver
from demand_assets.forecasting.features.history import Matrix, aligned, ratio
from demand_assets.forecasting.features.origin import Origin
from demand_assets.forecasting.features.spec import (
    OF_SERIES,
    OF_STORE,
    PROMOTION,
    Columns,
    DriftClass,
    FeatureSpec,
)

RECENT_WEEKS = 8
# Between level, driver and part of a column's name; no driver's name holds two underscores in a row.
_JOINT = "__"
EFFECT = "driver_effect"
_RATIO = "ratio for positive drivers, else difference"
# Part of a driver's columns -> text and unit.
_PARTS: Mapping[str, tuple[str, str]] = {
    "value": ("{} in the target week, as known at the origin", "its own"),
    "change": (f"The same against the mean of the {RECENT_WEEKS} weeks to the origin", _RATIO),
    "yearly_change": ("The same against the aligned week last year", _RATIO),
    "before": ("{} in the week before the target", "its own"),
    "after": ("{} in the week after the target, within the horizon", "its own"),
}
_DRIFT = {SERIES_LEVEL: OF_SERIES, STORE_LEVEL: OF_STORE}


def driver_columns(drivers: Iterable[Driver]) -> list[str]:
    """Names of the features of some drivers, in order; none without a driver."""
    names = [_JOINT.join((driver.level, driver.name, part)) for driver in drivers for part in _PARTS]
    return [*names, EFFECT] if names else []


def driver_feature(name: str) -> FeatureSpec | None:
    """The feature of a driver that a column of demand_features holds; None for a column of another kind."""
    if name == EFFECT:
        text = "What the drivers move the base by against their mean of a year, by own elasticities"
        return FeatureSpec(EFFECT, text, "ratio", PROMOTION, DriftClass(OF_SERIES), known_ahead)
    level, _, rest = name.partition(_JOINT)
    driver, _, part = rest.partition(_JOINT)
    if level not in _DRIFT or part not in _PARTS or not driver:
        return None
    text, unit = _PARTS[part]
    # Weeks beside the target repeat what their own rows showed.
    drift = DriftClass(_DRIFT[level], delayed=part in ("before", "after"))
    return FeatureSpec(name, f"{text.format(driver)}, per {level}", unit, PROMOTION, drift, known_ahead)


def known_ahead(origin: Origin) -> Columns:
    """(H, n) features of all drivers, and the effect of them together."""
    columns: dict[str, Matrix] = {}
    for driver in origin.panel.drivers:
        known = driver.known_at(origin.row, len(origin.targets)).astype(float)
        members = origin.store if driver.level == STORE_LEVEL else origin.active
        for part, values in _of_driver(origin, known, is_ratio=driver.is_ratio).items():
            columns[_JOINT.join((driver.level, driver.name, part))] = values[:, members]
    if origin.effect is not None:
        columns[EFFECT] = origin.effect
    return columns


def _of_driver(origin: Origin, known: Matrix, *, is_ratio: bool) -> Columns:
    """(H, stores or series) columns of one driver by part, of its (row + 1 + H, ...) values."""
    row, horizon = origin.row, len(origin.targets)
    value = known[row + 1 :]
    lately = known[max(row + 1 - RECENT_WEEKS, 0) : row + 1]
    stated = (~np.isnan(lately)).sum(axis=0).astype(float)
    recent = ratio(np.nansum(lately, axis=0), stated)
    last_year = aligned(known[: row + 1], origin.position, row)

    def against(usual: Matrix) -> Matrix:
        return ratio(value, np.broadcast_to(usual, value.shape)) if is_ratio else value - usual

    return {
        "value": value,
        "change": against(recent),
        "yearly_change": against(last_year),
        "before": known[row : row + horizon],
        "after": np.vstack([value[1:], np.full_like(value[:1], np.nan)]),
    }
