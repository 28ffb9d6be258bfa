"""Text ids and the integer keys that stand for them in the lake. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
