"""A published forecast in words, for mail and chat: what is expected, what changed, accuracy, exceptions."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection

from demand_assets.store.dataset import known_dataset
from demand_assets.store.news import changed_most, changed_weeks, exceptions_of, newest_accuracy, vintage_before

Row = Mapping[str, Any]


def digest_of(connection: Connection, event: Row) -> str:
    """The text of a mail about a published vintage: a paragraph per matter that the store has something on."""
    origin: date = event["origin_week"]
    scored = newest_accuracy(connection, origin)
    parts = [
        _headline(event),
        _expected(event),
        *_changes(connection, event),
        *([] if scored is None else [_accuracy(scored), _exceptions(connection, scored["week"])]),
        f"More: {event['url']}",
    ]
    return "\n\n".join(parts)


def _headline(event: Row) -> str:
    return (
        f"{event['rows']:,} forecasts for the {event['horizon_weeks']} weeks after {event['origin_week']} are "
        f"published: vintage {event['vintage_id']}, by {event['method']}, version {event['model_version']}."
    )


def _expected(event: Row) -> str:
    lines = [f"  {row['target_week']}: {row['forecast']:,.0f}{_band(row)}" for row in event["totals"]]
    return "\n".join([f"Expected in all, in {event['unit']}:", *(lines or ["  no totals were published"])])


def _changes(connection: Connection, event: Row) -> list[str]:
    before = vintage_before(connection, event["origin_week"])
    if before is None:
        return []
    vintages = (event["vintage_id"], before["vintage_id"])
    weeks = [f"  {row['target_week']}: {_change(row)}" for row in changed_weeks(connection, *vintages)]
    labels = _labels(connection)
    members = [f"  {labels[row['level']]} {row['name']}: {_change(row)}" for row in changed_most(connection, *vintages)]
    since = f"since the forecast of week {before['origin_week']}"
    # Forecasts of origins far apart have no week in common.
    return [
        "\n".join([heading, *lines])
        for heading, lines in ((f"What changed {since}:", weeks), (f"What changed most {since}:", members))
        if lines
    ]


def _labels(connection: Connection) -> dict[str, str]:
    known = known_dataset(connection) or {"store_label": "Store", "dept_label": "Department"}
    return {"store": known["store_label"], "department": known["dept_label"]}


def _accuracy(scored: Row) -> str:
    bias = f"{'over' if scored['bias'] > 0 else 'under'} by {abs(scored['bias']):,.1f} on average"
    words = [f"WMAE {scored['wmae']:,.1f}", bias]
    if scored["coverage"] is not None:
        words.append(f"{scored['coverage']:.0%} of sales within p10 to p90")
    if scored["fva"] is not None:
        better = "better" if scored["fva"] >= 0 else "worse"
        words.append(f"{abs(scored['fva']):,.1f} {better} than last year's sales would have been")
    return f"Accuracy of week {scored['week']}: {', '.join(words)}."


def _exceptions(connection: Connection, week: date) -> str:
    count, first = exceptions_of(connection, week)
    if not count:
        return f"Exceptions of week {week}: none."
    labels = _labels(connection)
    return "\n".join([f"Exceptions of week {week}: {count:,}, the most money at risk first:", *_lines(labels, first)])


def _lines(labels: Mapping[str, str], exceptions: Sequence[Row]) -> list[str]:
    return [
        f"  {labels['store']} {row['store']}, {labels['department']} {row['department']}: sold {row['actual']:,.0f}, "
        f"expected {row['p10']:,.0f} to {row['p90']:,.0f}; {row['reason']}"
        for row in exceptions
    ]


def _band(row: Row) -> str:
    return "" if row["p10"] is None else f" ({row['p10']:,.0f} to {row['p90']:,.0f})"


def _change(row: Row) -> str:
    difference = row["forecast"] - row["forecast_before"]
    share = f", {difference / row['forecast_before']:+.1%}" if row["forecast_before"] else ""
    return f"{difference:+,.0f}{share}"
