"""Rows of files -> deliveries of weeks: days are summed to weeks, files that belong together are joined. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.delivery import KEYS, MEMBERS, Delivery, LandedFile
from demand_assets.ingestion.ids import ONLY_ID, in_natural_order
from demand_assets.ingestion.mapping import Part, week_of_day, with_all_words, with_common_ids
from demand_assets.ingestion.order import in_order, run_starts
from demand_assets.ingestion.understanding import COVARIATES, Kind

_SERIES_DAY = ("day", "store_id", "dept_id")
_STORE_WEEK = ["week", "store_id"]
_DAYS = 7
# Between the names of files that make one delivery.
_TOGETHER = " + "
# Week dates -> flags of a calendar that is known without landed flags.
Calendar = Callable[[pd.DatetimeIndex], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Landed:
    """All that a landing zone holds, as deliveries in landing order; `notes` are in words, one a line."""

    deliveries: tuple[Delivery, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of weeks that some parts of one kind make together; `ids` as of a Delivery."""

    parts: Sequence[Part]
    frame: pd.DataFrame
    ids: Mapping[str, tuple[str, ...]]

    def delivery(self) -> Delivery:
        """The rows as one delivery."""
        kind = self.parts[0].plan.kind
        frame = in_order(self.frame, KEYS[kind])
        found = frame["week"].to_numpy() if "week" in frame else np.empty(0, dtype="datetime64[ns]")
        weeks = pd.DatetimeIndex(found[run_starts([found])] if len(found) else found, name="week")
        ahead = tuple(dict.fromkeys(name for part in self.parts for name in part.known_ahead if name in frame))
        return Delivery(_file_of(self.parts), kind, frame, _hash_of(self.parts), weeks, self.ids, ahead)


def deliveries_of(parts: Sequence[Part], weekday: int, calendar: Calendar, *, add_repeated: bool = False) -> Landed:
    """The deliveries that these parts, in landing order, make together.

    `weekday` ends a week, 0 is Monday. `add_repeated`: rows of one series and week are added up, and the covariates
    beside them are means of theirs. Flags come from the
    rows, else from those of the same store and week in another file, else from `calendar`. Covariates of days become
    those of a week at either level: a flag the number of days on which it is set, a number the mean of its days.
    """
    by_kind: dict[Kind, list[Part]] = {kind: [] for kind in KEYS}
    for part in with_all_words(parts):
        by_kind[part.plan.kind].append(part)
    sales, notes = _sales(by_kind["sales"], weekday, add_repeated)
    beside = {kind: [_once(part) if add_repeated else part for part in by_kind[kind]] for kind in COVARIATES}
    covariates, left_out = _covariates(beside["covariates"], sales, weekday)
    of_series, more = _of_weeks(beside["series_covariates"], weekday)
    sales, covariates = _flagged(sales, covariates, calendar)
    members = [_Rows([part], part.frame, part.ids).delivery() for kind in MEMBERS for part in by_kind[kind]]
    deliveries = (*sales, *covariates, *(rows.delivery() for rows in of_series), *members)
    # Sales and covariates of one file end with the same day.
    return Landed(deliveries, tuple(dict.fromkeys([*notes, *left_out, *more])))


def _file_of(parts: Sequence[Part]) -> LandedFile:
    """The file of the parts; of several the newest under all their names."""
    newest = max((part.file for part in parts), key=lambda file: file.modified_at)
    names = dict.fromkeys(part.file.name for part in parts)
    return replace(newest, name=_TOGETHER.join(names))


def file_names(name: str) -> list[str]:
    """The names of the files that a delivery of this name was made of."""
    return name.split(_TOGETHER)


def _hash_of(parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].content_hash
    return hashlib.blake2b("\n".join(part.content_hash for part in parts).encode(), digest_size=32).hexdigest()


def _sales(parts: Sequence[Part], weekday: int, add_repeated: bool) -> tuple[list[Delivery], list[str]]:
    weekly = [part for part in parts if not part.plan.days]
    daily = [part for part in parts if part.plan.days]
    frames = [_added_up(part.frame, KEYS["sales"]) if add_repeated else part.frame for part in weekly]
    made = [_Rows([part], frame, part.ids).delivery() for part, frame in zip(weekly, frames, strict=True)]
    notes = [
        f"{len(part.frame) - len(frame):,} rows of {part.file.name} are added to another of their series and week"
        for part, frame in zip(weekly, frames, strict=True)
        if len(frame) < len(part.frame)
    ]
    if not daily:
        return made, notes
    names = ["sales", *(["is_holiday"] if all("is_holiday" in part.frame for part in daily) else [])]
    kept = [replace(part, frame=_added_up(part.frame[[*_SERIES_DAY, *names]], _SERIES_DAY)) for part in daily]
    summed, more = _summed(kept, weekday, names[:1])
    return [*made, *(rows.delivery() for rows in summed)], [*notes, *more]


def _summed(parts: Sequence[Part], weekday: int, added: Sequence[str]) -> tuple[list[_Rows], list[str]]:
    """Days of parts with the same columns as weeks. The weeks that come from the same files belong together.

    A part has a row per key and day; of a day that several files bring, the newest file counts. Of the columns those
    `added` are added up, the holiday flag counts in any day, and of others the mean is taken.
    """
    frames, ids = with_common_ids(parts)
    days = pd.concat([frame.assign(part=number) for number, frame in enumerate(frames)], ignore_index=True)
    week = week_of_day(days["day"].to_numpy(), weekday)
    bits = np.left_shift(np.int64(1), days["part"].to_numpy(np.int64)) if len(parts) < 63 else days["part"].to_numpy()
    whole, notes = _whole_weeks(days["day"].to_numpy(), week)
    days = days.assign(week=week)[np.isin(week, whole)]
    sources = pd.Series(bits, index=week).groupby(level=0).agg(lambda own: int(np.bitwise_or.reduce(np.unique(own))))
    keys = [key for key in KEYS[parts[0].plan.kind] if key in days]
    if len(parts) > 1:
        days = days.drop_duplicates(["day", *keys[1:]], keep="last")
    weeks = _of_days(days.drop(columns=["day", "part"]), keys, added)
    of_week = weeks["week"].map(sources)
    made = []
    for mask in sorted(of_week.unique()):
        own = [part for number, part in enumerate(parts) if int(mask) >> number & 1] if len(parts) < 63 else parts
        made.append(_Rows(own, weeks[of_week == mask].reset_index(drop=True), ids))
    return made, notes


def _of_days(days: pd.DataFrame, keys: Sequence[str], added: Sequence[str]) -> pd.DataFrame:
    """One row per key of days with `keys`; what is missing on every day is missing."""
    grouped = days.groupby(list(keys), sort=True)
    names = [name for name in days.columns if name not in keys]
    means = [name for name in names if name not in (*added, "is_holiday")]
    parts = [grouped[list(added)].sum(min_count=1)] if added else []
    parts += [grouped[means].mean()] if means else []
    parts += [grouped[["is_holiday"]].any()] if "is_holiday" in names else []
    return pd.concat(parts, axis="columns")[names].reset_index()


def _added_up(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """One row per key: amounts are added, a flag in any row counts."""
    if not frame.duplicated(list(keys)).any():
        return frame
    rules = {name: "any" if name == "is_holiday" else "sum" for name in frame.columns if name not in keys}
    return frame.groupby(list(keys), sort=True, as_index=False).agg(rules)


def _whole_weeks(
    days: NDArray[np.datetime64], week: NDArray[np.datetime64]
) -> tuple[NDArray[np.datetime64], list[str]]:
    """The weeks all of whose trading days lie within the days that are there; a note for each that is left out.

    A chain that never trades on Sundays has its week whole on Saturday.
    """
    distinct = np.unique(days).astype("datetime64[D]").astype(np.int64)
    weeks = np.unique(week)
    ends = weeks.astype("datetime64[D]").astype(np.int64)
    # Days from the start of a week on which there was ever trade.
    place = (distinct - ends[0] - 1) % _DAYS
    first, last = ends - _DAYS + 1 + place.min(), ends - _DAYS + 1 + place.max()
    whole = (first >= distinct[0]) & (last <= distinct[-1])
    notes = [
        f"week {str(one)[:10]} is unfinished and left out: its days run to {np.datetime64(int(distinct[-1]), 'D')}"
        if end == ends[-1]
        else f"week {str(one)[:10]} is left out: its days begin with {np.datetime64(int(distinct[0]), 'D')}"
        for one, end in zip(weeks[~whole], ends[~whole], strict=True)
    ]
    return weeks[whole], notes


def _once(part: Part) -> Part:
    """Covariates of weeks, one row per key: means, and flags that are set in any row."""
    keys = [key for key in KEYS[part.plan.kind] if key in part.frame]
    if part.plan.days or not part.frame.duplicated(keys).any():
        return part
    flags = (*part.counted, "is_holiday")
    rules = {str(name): "max" if name in flags else "mean" for name in part.frame if name not in keys}
    return replace(part, frame=part.frame.groupby(keys, sort=True, as_index=False).agg(rules))


def _of_weeks(parts: Sequence[Part], weekday: int) -> tuple[list[_Rows], list[str]]:
    """Covariates of weeks in landing order. Days of parts with the same columns are summed over their files."""
    made = [_Rows([part], part.frame, part.ids) for part in parts if not part.plan.days]
    notes: list[str] = []
    daily = sorted((part for part in parts if part.plan.days), key=_columns)
    for _, group in groupby(daily, _columns):
        same = list(group)
        counted = [str(name) for name in same[0].frame if any(name in part.counted for part in same)]
        rows, more = _summed([_one_a_day(part, counted) for part in same], weekday, counted)
        made, notes = [*made, *rows], [*notes, *more]
    place = {part.content_hash: number for number, part in enumerate(parts)}
    return sorted(made, key=lambda rows: max(place[part.content_hash] for part in rows.parts)), notes


def _one_a_day(part: Part, counted: Sequence[str]) -> Part:
    """A row per key and day: a file of sales tells those of a store in each of its rows. Flags are 1, 0 or NaN."""
    frame = part.frame.drop_duplicates([name for name in _SERIES_DAY if name in part.frame], keep="last")
    return replace(part, frame=frame.assign(**{name: frame[name].ne(0).where(frame[name].notna()) for name in counted}))


def _covariates(parts: Sequence[Part], sales: Sequence[Delivery], weekday: int) -> tuple[list[Delivery], list[str]]:
    """Covariates of stores. Files with the same columns follow each other; files with other columns are joined."""
    weekly, notes = _of_weeks(parts, weekday)
    spread = [_of_each_store(rows, sales) if rows.parts[0].plan.level == "chain" else rows for rows in weekly]
    ordered = sorted(spread, key=lambda rows: tuple(sorted(rows.frame.columns)))
    groups = [list(group) for _, group in groupby(ordered, lambda rows: tuple(sorted(rows.frame.columns)))]
    if len(groups) <= 1:
        return [rows.delivery() for rows in spread], notes
    frames, ids = with_common_ids(spread)
    by_rows = {id(rows): frame for rows, frame in zip(spread, frames, strict=True)}
    whole: pd.DataFrame | None = None
    for group in groups:
        newest = pd.concat([by_rows[id(rows)] for rows in group]).drop_duplicates(_STORE_WEEK, keep="last")
        whole = newest if whole is None else _joined(whole, newest)
    assert whole is not None
    own = {id(part): part for rows in spread for part in rows.parts}
    ordered_parts = [part for part in parts if id(part) in own] or list(own.values())
    return [_Rows(ordered_parts, whole.reset_index(drop=True), ids).delivery()], notes


def _columns(part: Part) -> tuple[str, ...]:
    return (part.plan.level, *sorted(part.frame.columns))


def _joined(whole: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Both, by store and week; a flag in either counts."""
    both = whole.merge(more, on=_STORE_WEEK, how="outer", suffixes=("", "_more"))
    if "is_holiday_more" in both:
        flags = both["is_holiday"].eq(True) | both.pop("is_holiday_more").eq(True)
        both["is_holiday"] = flags
    return both


def _of_each_store(rows: _Rows, sales: Sequence[Delivery]) -> _Rows:
    """Covariates of the chain as those of every store that sells."""
    stores = in_natural_order(one for delivery in sales for one in delivery.present("store_id")) or [ONLY_ID]
    frame = rows.frame.merge(pd.DataFrame({"store_id": np.arange(len(stores), dtype=np.int32)}), how="cross")
    return _Rows(rows.parts, frame, {"store_id": tuple(stores)})


def _flagged(
    sales: Sequence[Delivery], covariates: Sequence[Delivery], calendar: Calendar
) -> tuple[list[Delivery], list[Delivery]]:
    """Both with a holiday flag in every row."""
    return _with_flags_of(covariates, sales, calendar), _with_flags_of(sales, covariates, calendar)


def _with_flags_of(others: Sequence[Delivery], deliveries: Sequence[Delivery], calendar: Calendar) -> list[Delivery]:
    """The deliveries with a flag in every row; the flags of the others are looked up only where one lacks some."""
    if all(_is_flagged(delivery) for delivery in deliveries):
        return list(deliveries)
    flags, lacking = _flags(others), [one for one in deliveries if not _is_flagged(one)]
    # Asked once for all files: there may be ten thousand of them, and a calendar costs more than a small file.
    weeks = pd.DatetimeIndex(np.unique(np.concatenate([one.weeks.to_numpy() for one in lacking])))
    known = pd.Series(calendar(weeks), index=weeks)
    return [one if _is_flagged(one) else _with_flags(one, flags, known) for one in deliveries]


def _is_flagged(delivery: Delivery) -> bool:
    return "is_holiday" in delivery.frame and not delivery.frame["is_holiday"].isna().any()


def _flags(deliveries: Sequence[Delivery]) -> pd.Series:
    """Flag by store id (as text) and week; the newest wins."""
    parts = []
    for delivery in deliveries:
        if "is_holiday" in delivery.frame:
            starts = run_starts([delivery.frame["week"].to_numpy(), delivery.frame["store_id"].to_numpy()])
            rows = delivery.frame[["store_id", "week", "is_holiday"]].iloc[starts]
            parts.append(rows.assign(store_id=_texts(delivery, rows["store_id"].to_numpy())))
    if not parts:
        return pd.Series(dtype=bool)
    return (
        pd.concat(parts)
        .drop_duplicates(["store_id", "week"], keep="last")
        .set_index(["store_id", "week"])["is_holiday"]
    )


def _texts(delivery: Delivery, codes: NDArray[np.int64]) -> NDArray[np.object_]:
    texts = delivery.ids.get("store_id")
    return codes.astype(str).astype(object) if texts is None else np.array(texts, dtype=object)[codes]


def _with_flags(delivery: Delivery, other: pd.Series, known: pd.Series) -> Delivery:
    """The delivery with a flag in every row: its own, else that of `other` by store and week, else that of the week."""
    frame = delivery.frame
    weeks = frame["week"].to_numpy()
    starts = run_starts([weeks, frame["store_id"].to_numpy()])
    flags = known.reindex(weeks[starts]).to_numpy()
    if len(other):
        stores = _texts(delivery, frame["store_id"].to_numpy()[starts])
        told = other.reindex(pd.MultiIndex.from_arrays([stores, weeks[starts]])).to_numpy(dtype=object)
        flags = np.where(pd.isna(told), flags, told == True)  # noqa: E712 - elementwise
    flags = np.repeat(flags.astype(bool), np.diff(starts, append=len(frame)))
    if "is_holiday" in frame:
        own = frame["is_holiday"].to_numpy(dtype=object)
        flags = np.where(pd.isna(own), flags, own == True).astype(bool)  # noqa: E712 - elementwise
    return replace(delivery, frame=frame.assign(is_holiday=flags))
