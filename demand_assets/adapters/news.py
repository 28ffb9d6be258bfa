"""A published forecast in words, for mail and chat: what is expected, what changed, accuracy, exceptions."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection

from demand_assets.locales import Writer
from demand_assets.store.dataset import known_dataset
from demand_assets.store.news import changed_most, changed_weeks, exceptions_of, newest_accuracy, vintage_before

Row = Mapping[str, Any]


def digest_of(connection: Connection, event: Row, locale: str) -> str:
    """The text of a mail about a published vintage: a paragraph per matter that the store has something on.

    Numbers and days are as people of the `locale` write them.
    """
    origin: date = event["origin_week"]
    scored = newest_accuracy(connection, origin)
    write = Writer(locale, event["unit"])
    parts = [
        _headline(event, write),
        _expected(event, write),
        *_changes(connection, event, write),
        *([] if scored is None else [_accuracy(scored, write), _exceptions(connection, scored["week"], write)]),
        f"More: {event['url']}",
    ]
    return "\n\n".join(parts)


def subject_of(event: Row, locale: str) -> str:
    """The subject of that mail."""
    return f"Forecast of week {Writer(locale, event['unit']).day(event['origin_week'])} published"


def _headline(event: Row, write: Writer) -> str:
    return (
        f"{write.whole(event['rows'])} forecasts for the {event['horizon_weeks']} weeks after "
        f"{write.day(event['origin_week'])} are published: vintage {event['vintage_id']}, by {event['method']}, "
        f"version {event['model_version']}."
    )


def _expected(event: Row, write: Writer) -> str:
    lines = [
        f"  {write.day(row['target_week'])}: {write.amount(row['forecast'])}{_band(row, write)}"
        for row in event["totals"]
    ]
    return "\n".join([f"Expected in all, in {event['unit']}:", *(lines or ["  no totals were published"])])


def _changes(connection: Connection, event: Row, write: Writer) -> list[str]:
    before = vintage_before(connection, event["origin_week"])
    if before is None:
        return []
    vintages = (event["vintage_id"], before["vintage_id"])
    labels = _labels(connection)
    weeks = [
        f"  {write.day(row['target_week'])}: {_change(row, write)}" for row in changed_weeks(connection, *vintages)
    ]
    members = [
        f"  {labels[row['level']]} {row['name']}: {_change(row, write)}" for row in changed_most(connection, *vintages)
    ]
    since = f"since the forecast of week {write.day(before['origin_week'])}"
    # Forecasts of origins far apart have no week in common.
    return [
        "\n".join([heading, *lines])
        for heading, lines in ((f"What changed {since}:", weeks), (f"What changed most {since}:", members))
        if lines
    ]


def _labels(connection: Connection) -> dict[str, str]:
    known = known_dataset(connection) or {"store_label": "Store", "dept_label": "Department"}
    return {"store": known["store_label"], "department": known["dept_label"]}


def _accuracy(scored: Row, write: Writer) -> str:
    bias = f"{'over' if scored['bias'] > 0 else 'under'} by {write.decimal(abs(scored['bias']))} on average"
    words = [f"WMAE {write.decimal(scored['wmae'])}", bias]
    if scored["coverage"] is not None:
        words.append(f"{write.percent(scored['coverage'])} of sales within p10 to p90")
    if scored["fva"] is not None:
        better = "better" if scored["fva"] >= 0 else "worse"
        words.append(f"{write.decimal(abs(scored['fva']))} {better} than last year's sales would have been")
    # Not by a comma, which is in the numbers of many a locale.
    return f"Accuracy of week {write.day(scored['week'])}: {'; '.join(words)}."


def _exceptions(connection: Connection, week: date, write: Writer) -> str:
    count, first = exceptions_of(connection, week)
    of = f"Exceptions of week {write.day(week)}"
    if not count:
        return f"{of}: none."
    labels = _labels(connection)
    return "\n".join([f"{of}: {write.whole(count)}, the most money at risk first:", *_lines(labels, first, write)])


def _lines(labels: Mapping[str, str], exceptions: Sequence[Row], write: Writer) -> list[str]:
    return [
        f"  {labels['store']} {row['store']}, {labels['department']} {row['department']}: "
        f"sold {write.amount(row['actual'])}, expected {write.amount(row['p10'])} to {write.amount(row['p90'])}; "
        f"{row['reason']}"
        for row in exceptions
    ]


def _band(row: Row, write: Writer) -> str:
    return "" if row["p10"] is None else f" ({write.amount(row['p10'])} to {write.amount(row['p90'])})"


def _change(row: Row, write: Writer) -> str:
    difference = row["forecast"] - row["forecast_before"]
    share = f" ({write.signed_percent(difference / row['forecast_before'])})" if row["forecast_before"] else ""
    return f"{write.signed(difference)}{share}"
