"""What a landing zone holds, kept in memory as long as its files stay the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from demand_assets.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd

    from demand_assets.ingestion.assemble import Tables
    from demand_assets.ingestion.dataset import Dataset
    from demand_assets.ingestion.delivery import Delivery
    from demand_assets.ingestion.locating import LinesOf
    from demand_assets.ingestion.mapping import Part
    from demand_assets.ingestion.screening import Refusal, Screening
    from demand_assets.ingestion.understanding import Understanding

_CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Contents:
    """The understood files, their deliveries by kind in landing order, notes in words, and what was left out.

    `set_aside`: rows that are wrong by themselves, one frame per file with file, line, check and reason.
    """

    understanding: Understanding
    deliveries: tuple[Delivery, ...] = ()
    notes: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    set_aside: tuple[pd.DataFrame, ...] = ()

    @classmethod
    def of(
        cls,
        understood: Understanding,
        parts: Sequence[Part],
        refused: Sequence[Refusal],
        screening: Screening,
        lines_of: LinesOf,
    ) -> Contents:
        """The contents that these rows make."""
        from demand_assets.ingestion.context import context_of
        from demand_assets.ingestion.dataset import Dataset
        from demand_assets.ingestion.ids import IdTexts
        from demand_assets.ingestion.screening import screen_deliveries, screen_rows
        from demand_assets.ingestion.weekly import deliveries_of

        facts = Dataset.of(understood.spec, understood.form)
        context = context_of(understood.spec, screening.today, IdTexts(), screening.accepted)
        kept, set_aside, wrong_files = screen_rows(parts, context, screening.quarantine, lines_of)
        adds_up = understood.spec.sales.repeated == "sum"
        landed = deliveries_of(kept, facts.week_ends, facts.calendar(), add_repeated=adds_up)
        good, more = screen_deliveries(landed.deliveries, context, parts, lines_of)
        notes = (*understood.notes, *landed.notes)
        return cls(understood, tuple(good), notes, (*refused, *wrong_files, *more), tuple(set_aside))

    @property
    def dataset(self) -> Dataset:
        """Facts of all files together."""
        from demand_assets.ingestion.dataset import Dataset

        return Dataset.of(self.understanding.spec, self.understanding.form)

    def not_understood(self, names: Iterable[str]) -> list[str]:
        """Why each of these files that are not understood is not."""
        wanted = set(names)
        return [
            f"{one.name} is not understood: {'; '.join(one.notes)}"
            for one in self.understanding.files
            if one.role == "not understood" and one.name.split(": ")[0] in wanted
        ]

    def require_answers(self) -> None:
        """SchemaError with every refused file and open question if there is one, or if no sales are left."""
        from demand_assets.ingestion.inspection import NOT_READ
        from demand_assets.ingestion.recognise import open_questions

        # What a question is about may be in a file that could not be read.
        wrong = [one.message for one in self.refused]
        is_any_read = any(one.role != NOT_READ for one in self.understanding.files)
        if self.understanding.questions and (is_any_read or not wrong):
            raise SchemaError("; ".join([*wrong, open_questions(self.understanding)]))
        if wrong and not any(one.kind == "sales" for one in self.deliveries):
            raise SchemaError("; ".join(wrong))

    def tables(self) -> Tables:
        """All rows as the lake would hold them; the errors of `require_answers`."""
        from demand_assets.ingestion.assemble import tables_of

        self.require_answers()
        return tables_of(self.deliveries, self.dataset)

    def wrong_rows(self) -> pd.DataFrame:
        """The rows that were set aside, of all files: file, line, check, reason, and what they hold."""
        import pandas as pd

        first = ["file", "line", "check", "reason"]
        rows = pd.concat(self.set_aside, ignore_index=True) if self.set_aside else pd.DataFrame(columns=first)
        return rows[[*first, *(name for name in rows.columns if name not in first)]]

    def size(self) -> int:
        """Bytes of the frames."""
        return sum(int(one.frame.memory_usage(index=False, deep=False).sum()) for one in self.deliveries)


_recent: dict[Hashable, Contents] = {}
# What is over the limit is found again only as long as someone else holds it.
_in_use: WeakValueDictionary[Hashable, Contents] = WeakValueDictionary()
_lock = threading.Lock()


def forget() -> None:
    """Let the next reader read the files themselves."""
    with _lock:
        _recent.clear()
        _in_use.clear()


def held(key: Hashable, read: Callable[[], Contents]) -> Contents:
    """The contents of that key, read unless they are in memory. The last that fit into a limit are kept."""
    with _lock:
        found = _recent.get(key) or _in_use.get(key)
        if found is None:
            found = read()
            _in_use[key] = found
            _recent.clear()
            if found.size() <= _CACHE_BYTES:
                _recent[key] = found
        return found
