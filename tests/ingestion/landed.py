"""Small landing zones as text, and what is understood of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from demand_assets.ingestion.dataset import Dataset
from demand_assets.ingestion.dataspec import DataSpec, read_spec
from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.mapping import Part, part_of
from demand_assets.ingestion.reading import read, sources
from demand_assets.ingestion.recognise import understand
from demand_assets.ingestion.source import Source
from demand_assets.ingestion.understanding import FileReport, Plan, Understanding
from demand_assets.ingestion.weekly import deliveries_of

FRIDAY = date(2010, 2, 5)


def landed(name: str, data: bytes) -> LandedFile:
    return LandedFile(name, f"/zone/{name}", len(data), datetime(2012, 1, 1, tzinfo=UTC), name)


def zone(files: Mapping[str, str | bytes]) -> list[Source]:
    """Tables of files, in landing order."""
    found: list[Source] = []
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        found += sources(landed(name, data), data)
    return found


def understood(files: Mapping[str, str | bytes], toml: str = "") -> Understanding:
    return understand(zone(files), read_spec(toml) if toml else DataSpec())


def parts(files: Mapping[str, str], toml: str = "") -> tuple[Understanding, list[Part]]:
    """The rows of the files as they are read, none screened; each file's name is the hash of its content."""
    found = understood(files, toml)
    assert not found.questions
    return found, [
        part_of(source, plan, read(source, files[source.file.name].encode(), plan.types), source.file.name)
        for source, plan in found.plans
    ]


def deliveries(files: Mapping[str, str], toml: str = "") -> dict[str, Delivery]:
    """Name of each file -> its delivery; of a file with rows of several kinds the last."""
    found, rows = parts(files, toml)
    facts = Dataset.of(found.spec, found.form)
    return {one.file.name: one for one in deliveries_of(rows, facts.week_ends, facts.calendar()).deliveries}


def csv(header: str, *rows: Iterable[object], sep: str = ",") -> str:
    return "\n".join([header.replace(",", sep), *(sep.join(map(str, row)) for row in rows)]) + "\n"


def days(count: int, step: int = 7, first: date = FRIDAY) -> list[date]:
    return [first + timedelta(days=step * index) for index in range(count)]


def report(understanding: Understanding, name: str) -> FileReport:
    return next(one for one in understanding.files if one.name == name)


def roles(understanding: Understanding) -> dict[str, str]:
    return {one.name: one.role for one in understanding.files}


def plans(understanding: Understanding, name: str) -> list[Plan]:
    return [plan for source, plan in understanding.plans if source.name == name]


def plan(understanding: Understanding, kind: str) -> Plan:
    """The one plan of a kind."""
    (found,) = [plan for _, plan in understanding.plans if plan.kind == kind]
    return found


TRAIN = csv(
    "Store,Dept,Date,Weekly_Sales,IsHoliday",
    *(
        (store, dept, day, 1000.5 + store + dept + index, "FALSE" if index else "TRUE")
        for store, dept, (index, day) in itertools.product((1, 2), (1, 2), enumerate(days(8)))
    ),
)
FEATURES = csv(
    "Store,Date,Temperature,Fuel_Price,MarkDown1,MarkDown2,MarkDown3,MarkDown4,MarkDown5,CPI,Unemployment,IsHoliday",
    *(
        (store, day, 40.5 + index, 2.5, "NA", "NA", "NA", "NA", "NA", 211.1, 8.1, "FALSE" if index else "TRUE")
        for store, (index, day) in itertools.product((1, 2), enumerate(days(10)))
    ),
)
STORES = csv("Store,Type,Size", (1, "A", 151315), (2, "B", 202307))
WALMART = {"features.csv": FEATURES, "stores.csv": STORES, "train.csv": TRAIN}
