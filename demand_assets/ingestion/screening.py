"""Rows that are wrong by themselves are set aside, files that are wrong as a whole are refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.context import Context
from demand_assets.ingestion.dataspec import Accept
from demand_assets.ingestion.delivery import KEYS, MEMBERS, Delivery, LandedFile
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.locating import LinesOf, in_lines, lines_of_keys
from demand_assets.ingestion.mapping import Part, week_of_day
from demand_assets.ingestion.order import sort_order, taken
from demand_assets.ingestion.outcome import in_words
from demand_assets.ingestion.quality import failing_rows, faults_of, validate_deliveries
from demand_assets.ingestion.rows import too_many, without_repeats, wrong_rows
from demand_assets.ingestion.weekly import file_names

# In the name of what is left of a delivery: what follows was set aside because of stored sales.
BESIDE_STORED = " beside stored sales without "


@dataclass(frozen=True)
class Screening:
    """How files are screened: by which day, with which findings accepted, and whether wrong rows are set aside.

    Without `quarantine` a file with a wrong row is refused.
    """

    today: date
    accepted: tuple[Accept, ...] = ()
    quarantine: bool = True


@dataclass(frozen=True)
class Refusal:
    """A file that was left out, and the one line that says why."""

    file: LandedFile
    message: str


def screen_rows(
    parts: Sequence[Part], context: Context, quarantine: bool, lines_of: LinesOf
) -> tuple[list[Part], list[pd.DataFrame], list[Refusal]]:
    """The parts without rows that are wrong by themselves; those rows with `line`, `check`, `reason`; refused files.

    One frame of rows per file that has some, with a column `file`. A file is refused for too many of them.
    """
    kept: dict[int, Part] = {}
    set_aside: list[pd.DataFrame] = []
    refused: list[Refusal] = []
    past: pd.DataFrame | None = None
    # The largest file of sales first: by it the amounts of small ones are judged.
    for place in sorted(range(len(parts)), key=lambda place: -len(parts[place].frame)):
        part = parts[place]
        if part.plan.kind in MEMBERS or part.plan.level == "chain":
            kept[place] = part
            continue
        is_sales = part.plan.kind == "sales"
        screened, rows, message = _screened(part, context, quarantine, past if is_sales else None, lines_of)
        if message:
            refused.append(Refusal(part.file, message))
            continue
        set_aside += [rows] if len(rows) else []
        if screened.frame.empty:
            continue
        kept[place] = screened
        if is_sales and past is None:
            past = _by_week(screened.frame, context.weekday)
    return [kept[place] for place in sorted(kept)], set_aside, refused


def _screened(
    part: Part, context: Context, quarantine: bool, past: pd.DataFrame | None, lines_of: LinesOf
) -> tuple[Part, pd.DataFrame, str]:
    """The part without its wrong rows, those rows, and why its file is refused or nothing."""
    ordered, order = _ordered(part, context.weekday)
    wrong = wrong_rows(part.plan.kind, _by_week(ordered, context.weekday), replace(context, ids=_texts(part.ids)), past)
    if wrong.empty:
        return replace(part, frame=ordered, order=None), wrong, ""
    rows = _named(part, ordered, order, wrong, lines_of)
    message = too_many(rows, len(ordered)) or ("" if quarantine else _refusal(rows))
    # Other rows of the same bytes: what is set aside belongs to the name of what is left.
    content = f"{part.content_hash} without {' '.join(map(str, rows['line']))}"
    return replace(part, frame=_left(ordered, wrong), content_hash=content, order=None), rows, message


def _left(frame: pd.DataFrame, wrong: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not among the wrong ones."""
    right = np.ones(len(frame), dtype=bool)
    right[wrong["row"]] = False
    return frame[right].reset_index(drop=True)


def _by_week(frame: pd.DataFrame, weekday: int) -> pd.DataFrame:
    """The rows with the week that each is in; a row that covers a week has it."""
    if "day" not in frame:
        return frame
    return frame.drop(columns="day").assign(week=week_of_day(frame["day"].to_numpy(), weekday))


def _ordered(part: Part, weekday: int) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """The rows sorted as their kind is, days by the week they are in, and where each row was in the part."""
    if part.order is not None:
        return part.frame, np.arange(len(part.frame))
    week = part.frame["week"] if "week" in part.frame else week_of_day(part.frame["day"].to_numpy(), weekday)
    order = sort_order([np.asarray(week), *(part.frame[key].to_numpy() for key in KEYS[part.plan.kind][1:])])
    if order is None:
        return part.frame, np.arange(len(part.frame))
    return taken(part.frame, order), order


def _texts(ids: Mapping[str, tuple[str, ...]]) -> IdTexts:
    return IdTexts(*(dict(enumerate(ids.get(name, ()))) for name in ("store_id", "dept_id")))


def _named(
    part: Part, ordered: pd.DataFrame, order: NDArray[np.intp], wrong: pd.DataFrame, lines_of: LinesOf
) -> pd.DataFrame:
    """The wrong rows in the words of the retailer, with their lines in the file."""
    at = wrong["row"].to_numpy()
    rows = in_words(ordered.iloc[at].reset_index(drop=True), _texts(part.ids))
    return rows.assign(
        file=part.file.name,
        line=lines_of(part, order[at]),
        check=wrong["check"].to_numpy(),
        reason=wrong["reason"].to_numpy(),
    )


def _refusal(rows: pd.DataFrame) -> str:
    rows = rows.sort_values("line", kind="stable")
    named = "; ".join(f"line {row.line}: {row.reason}" for row in rows.head(5).itertuples())
    more = f"; and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"{rows['file'].iloc[0]} {named}{more}; correct the file and land it again"


def screen_deliveries(
    deliveries: Sequence[Delivery], context: Context, parts: Sequence[Part], lines_of: LinesOf
) -> tuple[list[Delivery], list[Refusal]]:
    """The deliveries that are right by themselves, each row once, and the refused files with the lines at fault.

    `parts` are those that the deliveries were made of.
    """
    good: list[Delivery] = []
    refused: list[Refusal] = []
    for delivery in deliveries:
        outcomes = validate_deliveries([delivery], None, replace(context, ids=_texts(delivery.ids)))
        if faults := faults_of(outcomes):
            own = [
                one
                for one in parts
                if one.plan.kind == delivery.kind and one.file.name in file_names(delivery.file.name)
            ]
            lines = lines_of_keys(own, failing_rows(outcomes), context.weekday, lines_of)
            where = " ".join(filter(None, [delivery.file.name, in_lines(lines)]))
            refused.append(Refusal(delivery.file, f"{where}: {'; '.join(faults)}"))
        elif all(one.passed for one in outcomes):
            good.append(delivery)
        else:
            good.append(replace(delivery, frame=without_repeats(delivery.kind, delivery.frame)))
    return good, refused


def without_impossible(delivery: Delivery, context: Context, past: pd.DataFrame) -> tuple[Delivery, pd.DataFrame]:
    """A keyed delivery of sales without amounts that are impossible beside stored ones; those rows with a reason."""
    wrong = wrong_rows("sales", delivery.frame, context, past) if len(past) else pd.DataFrame()
    if wrong.empty:
        return delivery, wrong
    rows = in_words(delivery.frame.iloc[wrong["row"]].reset_index(drop=True), context.ids)
    content = f"{delivery.content_hash}{BESIDE_STORED}{' '.join(map(str, wrong['row']))}"
    left = replace(delivery, frame=_left(delivery.frame, wrong), content_hash=content)
    told = {name: wrong[name].to_numpy() for name in ("check", "reason")}
    return left, rows.assign(file=delivery.file.name, **told)
