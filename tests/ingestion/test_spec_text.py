"""The written demand.toml says what was understood and is read back to the same."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

import pytest

from demand_assets.ingestion.dataspec import DataSpec, read_spec
from demand_assets.ingestion.recognise import understand
from demand_assets.ingestion.spec_text import spec_table, spec_text
from demand_assets.ingestion.understanding import Question, Understanding
from tests.ingestion.landed import TRAIN, WALMART, csv, days, understood, zone
from tests.ingestion.test_forms import M5, ROSSMANN, STORE, STORE_SALES
from tests.ingestion.test_recognise import POS

ZONES: Mapping[str, Mapping[str, str]] = {
    "walmart": WALMART,
    "sales only": {"train.csv": TRAIN},
    "daily": {"pos.csv": POS},
    "m5": M5,
    "favorita": STORE_SALES,
    "rossmann": {"store.csv": STORE, "train.csv": ROSSMANN},
    "long": {"d.csv": csv("unique_id,ds,y", *(("s", day, 1.5) for day in days(8)))},
    "week starts": {"d.csv": csv("week_start,store,qty", *((day, "s", 1) for day in days(8)))},
}


@pytest.mark.parametrize("name", ZONES)
def test_it_is_read_back_to_the_same_understanding(name: str) -> None:
    first = understood(ZONES[name])
    again = understand(zone(ZONES[name]), read_spec(spec_text(first)))
    assert (again.spec, again.form, again.questions) == (first.spec, first.form, ())
    assert [plan for _, plan in again.plans] == [plan for _, plan in first.plans]


def test_questions_are_lines_to_fill_in() -> None:
    rows = [("a", f"0{1 + k % 9}/0{1 + k % 7}/2012", 3.5) for k in range(30)]
    files = {"sales.csv": csv("store,date,sales", *rows)}
    asked = understood(files)
    text = spec_text(asked)
    assert '# [sales]\n# date_format = "%d/%m/%Y"  # or date_format = "%m/%d/%Y"\n' in text
    assert understand(zone(files), read_spec(text)).questions == asked.questions
    answered = text.replace("\n[sales]\n", '\n[sales]\ndate_format = "%m/%d/%Y"\n')
    assert not understand(zone(files), read_spec(answered)).questions


def test_every_key_is_explained_and_every_file_is_named() -> None:
    text = spec_text(understood(WALMART))
    assert '# Weekday that ends a week.\nweek_ends = "friday"\n' in text
    assert "# train.csv: sales; csv, utf-8, comma; keys Store, Dept; 32 rows; 2010-02-05 to 2010-03-26\n" in text


def test_headers_cannot_break_out_of_comments_or_strings() -> None:
    spec = DataSpec.model_validate({"stores": {"columns": {'a"b': 'x"\n[evil]\ny = 1', "é €": "]"}}})
    hostile = Understanding(spec, "", (), (), (Question("a\n[evil]", "# b"),), ("c\r[evil]\u2028",))
    text = spec_text(hostile)
    assert read_spec(text) == spec
    assert set(tomllib.loads(text)) == {"stores"}


def test_all_kinds_of_values_survive() -> None:
    toml = """
        covariates = []
        [data]
        closed = [2012-01-06, {week = 2012-01-13, stores = ["a b"]}]
        [series]
        store = ["region", "shop"]
        dept = false
        [sales.wide]
        columns = "d_*"
        file = "calendar.csv"
        [[accept]]
        week = 2012-01-06
        check = "sales_are_plausible"
        reason = "we saw the receipts"
    """
    spec = read_spec(toml)
    again = read_spec(spec_text(Understanding(spec, "", (), ())))
    assert again == spec
    assert "covariates" in again.model_fields_set


def test_the_table_of_keys_names_every_key_once() -> None:
    rows = [row.split(" | ") for row in spec_table().splitlines()[2:]]
    keys = [(row[0].removeprefix("| "), row[1]) for row in rows]
    assert len(keys) == len(set(keys))
    assert ("[sales]", "date_format") in keys
    assert ("[sales.wide]", "columns") in keys
    assert ("[[accept]]", "reason") in keys
    assert all(row[-1].strip(" |") for row in rows)
