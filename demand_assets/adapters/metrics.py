"""Metrics of the forecast for dashboards and alarms. They go to CloudWatch if a namespace is set."""

from datetime import datetime
from typing import NamedTuple

from demand_assets.adapters.ledger import PromotionLedger
from demand_assets.adapters.parquet import ParquetLake


class Metric(NamedTuple):
    """One number; `unit` is a unit of CloudWatch."""

    name: str
    value: float
    unit: str


def health_metrics(lake: ParquetLake, ledger: PromotionLedger, now: datetime) -> list[Metric]:
    """Age and rows of the newest vintage, WMAE of the newest scored week, share of sales that drifted severely.

    What there is none of yet is left out. StoreError when the store cannot be read.
    """
    from demand_assets.monitoring.drift import drift_verdict
    from demand_assets.store.engine import reading
    from demand_assets.store.migrations import opened
    from demand_assets.store.queries import newest_vintage, realised_wmae, rows_of

    found: list[Metric] = []
    with opened(ledger.address) as engine, reading(engine) as connection:
        vintage = newest_vintage(connection)
        if vintage is not None:
            # Since the week ended, not since it was published: a forecast made late is an old one all the same.
            ended = datetime.combine(vintage["origin_week"], datetime.min.time(), now.tzinfo)
            found.append(Metric("ForecastAgeHours", (now - ended).total_seconds() / 3600, "None"))
            found.append(Metric("ForecastRows", float(rows_of(connection, vintage["vintage_id"])), "Count"))
        scored = realised_wmae(connection)
    if scored:
        found.append(Metric("RealisedWmae", float(scored[-1]["wmae"]), "None"))
    weeks = lake.partitions("drift_report")
    report = lake.read("drift_report", weeks[-1:]) if weeks else None
    if report is not None:
        found.append(Metric("SevereDriftSalesShare", float(drift_verdict(report).sales_share), "None"))
    return found
