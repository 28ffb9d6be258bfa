"""What was recognised, as `demand.toml` states it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demand_assets.ingestion.dataspec import Columns, Covariates, DataSpec, Weekday
from demand_assets.ingestion.dating import Dates, Frequency
from demand_assets.ingestion.extras import Beside, Extra, Weekly
from demand_assets.ingestion.layout import Layout, columns_of
from demand_assets.ingestion.names import label_of
from demand_assets.ingestion.understanding import Headers, Level


def stated(
    wanted: DataSpec,
    layouts: Sequence[Layout],
    columns: Sequence[Beside],
    dates: Mapping[str, Dates],
    unit: str,
    week_ends: Weekday | None,
    frequency: Frequency,
    starts: bool,
) -> DataSpec:
    """`wanted` with every key that was recognised; files are named only where `wanted` does: others may land."""
    sales = next(layout for layout in layouts if layout.role == "sales")
    found = wanted.model_dump(exclude_unset=True)
    found["data"] = {**found.get("data", {}), "unit": unit, "week_ends": week_ends}
    found["series"] = _series(wanted, sales, columns)
    found["sales"] = found.get("sales", {}) | _sales(wanted, sales, dates, frequency, starts)
    found["covariates"] = _covariates(wanted, columns, frequency == "daily")
    for kind in ("stores", "departments"):
        extras = [extra for one in columns for extra in one.of(kind)]
        found[kind] = {**found.get(kind, {}), "columns": _columns(extras)}
    found["holidays"] = {**found.get("holidays", {}), "column": next((one.flag for one in columns if one.flag), "")}
    return DataSpec.model_validate(found)


def _series(wanted: DataSpec, sales: Layout, columns: Sequence[Beside]) -> dict[str, Any]:
    series = wanted.series
    return {
        "store": _key(sales.store),
        "dept": _key(sales.dept),
        "store_label": series.store_label or (label_of(sales.store[0]) if sales.store else ""),
        "dept_label": series.dept_label or (label_of(sales.dept[0]) if sales.dept else ""),
        "store_name": next((one.store_name for one in columns if one.store_name), ""),
        "dept_name": next((one.dept_name for one in columns if one.dept_name), ""),
    }


def _key(headers: Headers) -> str | Headers | bool:
    return headers[0] if len(headers) == 1 else headers or False


def _sales(
    wanted: DataSpec, sales: Layout, dates: Mapping[str, Dates], frequency: Frequency, starts: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"missing": wanted.sales.missing}
    if frequency:
        found["frequency"] = frequency
    if starts:
        found["week_starts"] = True
    if sales.wide:
        return found | {"wide": sales.wide.model_dump(exclude_unset=True)}
    read = dates[sales.name]
    form = "" if read.choices else read.type.date_format
    return found | {"date": sales.date, "value": sales.value, "date_format": wanted.sales.date_format or form}


def _covariates(wanted: DataSpec, columns: Sequence[Beside], daily: bool) -> list[dict[str, Any]]:
    keyed = {name: block for block in wanted.covariates if block.dates for name in columns_of(block.columns)}
    grouped: dict[tuple[Level, bool, Weekly | None, Covariates | None], list[Extra]] = {}
    for one in columns:
        for extra in one.of("covariates"):
            weekly = extra.weekly if daily and not extra.is_words else None
            grouped.setdefault((extra.level, extra.known_ahead, weekly, keyed.get(extra.name)), []).append(extra)
    return [
        {"level": level, "known_ahead": ahead, "columns": _columns(extras)}
        | ({"weekly": weekly} if weekly else {})
        | (block.model_dump(include={"files", "date", "dates"}) if block else {})
        for (level, ahead, weekly, block), extras in grouped.items()
    ]


def _columns(extras: Sequence[Extra]) -> Columns:
    named = {extra.name: extra.header for extra in extras}
    return tuple(named) if all(name == header for name, header in named.items()) else named
