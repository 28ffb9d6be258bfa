"""Lines of landed files in which rows of given keys stand, to be named in messages. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.mapping import Part, week_of_day

# Positions of rows of a part -> their lines in the file.
LinesOf = Callable[[Part, NDArray[np.intp]], list[int]]
# A message names as many lines.
_NAMED = 5
_IDS = ("store_id", "dept_id")


def lines_of_keys(parts: Iterable[Part], rows: pd.DataFrame, weekday: int, lines_of: LinesOf) -> list[int]:
    """Lines, ascending, of the rows of the parts that have the keys of some `rows`: week, and ids as text.

    None where `rows` have no keys. Days count by the week they are in.
    """
    names = [name for name in ("week", *_IDS) if name in rows]
    if rows.empty or not names:
        return []
    found = [line for part in parts for line in lines_of(part, _matching(part, rows[names], weekday))]
    return sorted(set(found))


def first_lines(parts: Sequence[Part], rows: pd.DataFrame, weekday: int, lines_of: LinesOf) -> pd.DataFrame:
    """`file` and `line` of the first row of the parts that has the keys of each of `rows`, by the index of `rows`.

    Keys as in `lines_of_keys`; rows that no part has are absent.
    """
    names = [name for name in ("week", *_IDS) if name in rows]
    found = [_lines_in(part, rows[names], weekday, lines_of) for part in parts]
    return pd.concat([pd.DataFrame(columns=["file", "line"]), *found]).groupby(level=0).first()


def in_lines(lines: Sequence[int]) -> str:
    """`line 3`, `lines 3 and 7`, `lines 3, 7, 8, 9, 12, ...`; empty without any."""
    texts = [str(line) for line in lines[:_NAMED]]
    if len(lines) < 2:
        return "".join(f"line {text}" for text in texts)
    if len(lines) > _NAMED:
        return f"lines {', '.join(texts)}, ..."
    return f"lines {', '.join(texts[:-1])} and {texts[-1]}"


def _matching(part: Part, rows: pd.DataFrame, weekday: int) -> NDArray[np.intp]:
    """Positions of the rows of a part that have the keys of some of `rows`."""
    wanted = _coded(part, rows.drop_duplicates())
    own = _keys(part.frame, weekday)
    names = [str(name) for name in wanted if name in own]
    # Few rows have such a week, store and department, and only they are compared as a whole.
    near = np.logical_and.reduce([np.isin(own[name], wanted[name].to_numpy()) for name in names])
    at = np.flatnonzero(near)
    if not len(at):
        return at
    left = pd.MultiIndex.from_arrays([np.asarray(own[name])[at] for name in names])
    return at[left.isin(pd.MultiIndex.from_frame(wanted[names]))]


def _lines_in(part: Part, rows: pd.DataFrame, weekday: int, lines_of: LinesOf) -> pd.DataFrame:
    """`file` and `line` of the rows of a part with the keys of `rows`, by the index of `rows`; lines ascend."""
    at = _matching(part, rows, weekday)
    keys = {name: np.asarray(values)[at] for name, values in _keys(part.frame, weekday).items() if name in rows}
    held = pd.DataFrame(keys).assign(file=part.file.name, line=lines_of(part, at))
    wanted = _coded(part, rows).rename_axis("row").reset_index()
    return wanted.merge(held, on=list(keys)).sort_values("line").set_index("row")[["file", "line"]]


def _coded(part: Part, rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the numbers that stand for their ids in a part; those whose ids it does not have are absent."""
    for name in _IDS:
        if name in rows and name in part.frame:
            codes = _codes(part.ids.get(name), rows[name])
            rows = rows.assign(**{name: rows[name].map(codes)}).dropna(subset=name)
    return rows


def _codes(texts: Sequence[str] | None, ids: pd.Series) -> dict[str, int]:
    """Text id -> number that stands for it in a part, of those that it has."""
    if texts is not None:
        return {text: code for code, text in enumerate(texts)}
    return {text: int(text) for text in ids.unique() if re.fullmatch(r"-?[0-9]+", text)}


def _keys(frame: pd.DataFrame, weekday: int) -> Mapping[str, NDArray[Any]]:
    keys = {name: frame[name].to_numpy() for name in ("week", *_IDS) if name in frame}
    return {"week": week_of_day(frame["day"].to_numpy(), weekday), **keys} if "day" in frame else keys
