"""Text ids and the integer keys that stand for them in the lake. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from demand_assets.ingestion.order import distinct

# The only member of a dimension that the data do not have: one chain, or one series a store.
ONLY_ID = "all"
_DIGITS = re.compile(r"(\d+)")
# Keys are packed into 20 bits beside others; 0 stands for all members of a dimension.
_MOST_DIGITS = 6
_WHOLE = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True, eq=False)
class IdTexts:
    """Key -> text id of stores and of departments; a key that is in neither stands for its own number."""

    stores: Mapping[int, str] = field(default_factory=dict)
    departments: Mapping[int, str] = field(default_factory=dict)

    def store(self, key: int) -> str:
        """Text id of a store."""
        return self.stores.get(int(key), str(int(key)))

    def dept(self, key: int) -> str:
        """Text id of a department."""
        return self.departments.get(int(key), str(int(key)))


@dataclass(frozen=True, eq=False)
class IdColumn:
    """Ids of n rows: `codes` (n,) and the text that each code stands for; no `texts`: the codes are the ids."""

    codes: NDArray[np.integer[Any]]
    texts: tuple[str, ...] | None = None

    def present(self) -> list[str]:
        """Distinct ids, in natural order."""
        return in_natural_order(_texts(self, distinct(self.codes)))

    def keys(self, known: Mapping[str, int]) -> NDArray[np.integer[Any]]:
        """(n,) keys of the ids; `codes` itself where these are the keys. KeyError for one that has none."""
        codes = distinct(self.codes)
        keys = np.fromiter((known[text] for text in _texts(self, codes)), np.int32, len(codes))
        if keys.dtype == self.codes.dtype and (keys == codes).all():
            return self.codes
        return keys[np.searchsorted(codes, self.codes)]


def joined(columns: list[IdColumn]) -> IdColumn:
    """Ids made of several columns, their texts parted by a slash."""
    first, *rest = columns
    for column in rest:
        (lefts, left), (rights, right) = (np.unique(part.codes, return_inverse=True) for part in (first, column))
        place, pairs = pd.factorize(left * max(len(rights), 1) + right, sort=True)
        ones, others = np.divmod(pairs, max(len(rights), 1))
        texts = zip(_texts(first, lefts[ones]), _texts(column, rights[others]), strict=True)
        first = IdColumn(place.astype(np.int64), tuple(f"{one}/{other}" for one, other in texts))
    return first


def _texts(column: IdColumn, codes: NDArray[np.int64]) -> list[str]:
    return [str(code) if column.texts is None else column.texts[code] for code in codes.tolist()]


def in_natural_order(ids: Iterable[str]) -> list[str]:
    """Distinct ids, numbers in them by size: 2, 10, A-2, A-10."""
    return sorted(set(ids), key=_natural)


def _natural(text: str) -> tuple[Any, ...]:
    parts = _DIGITS.split(text)
    return tuple((0, int(part), part) if part.isdecimal() else (1, part) for part in parts if part), text


def with_keys(known: Mapping[str, int], ids: Iterable[str]) -> dict[str, int]:
    """`known` and a key of each further id. A key never changes.

    The only number in an id, of up to six digits, is its key where that is free: the key of store 7, or ZRH-07, is 7.
    Whole numbers come first. Other ids take the next free keys in natural order.
    """
    keys = dict(known)
    taken = set(keys.values())
    new = [one for one in in_natural_order(ids) if one not in keys]
    for one in sorted(new, key=lambda one: not _WHOLE.fullmatch(one)):
        number = _number(one)
        if number and number not in taken:
            keys[one] = number
            taken.add(number)
    free = max(taken, default=0) + 1
    for number, one in enumerate(one for one in new if one not in keys):
        keys[one] = free + number
    return keys


def _number(text: str) -> int:
    """The only number in an id; 0 where there is none, several, or one that is too large."""
    found = _DIGITS.findall(text)
    return int(found[0]) if len(found) == 1 and len(found[0]) <= _MOST_DIGITS else 0
