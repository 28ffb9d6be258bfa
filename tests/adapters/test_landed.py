"""What a landing zone holds, and when that is not enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from demand_assets.adapters.landed import Contents, forget, held
from demand_assets.errors import LandingError, SchemaError
from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.screening import Refusal
from demand_assets.ingestion.understanding import Question, Understanding
from tests.ingestion.landed import TRAIN, deliveries, understood

FILE = LandedFile("bad.csv", "/in/bad.csv", 1, datetime(2012, 1, 1, tzinfo=UTC), "")
REFUSED = (Refusal(FILE, "bad.csv is a PDF"), Refusal(FILE, "worse.csv is empty"))
UNDERSTOOD = understood({"train.csv": TRAIN})
SALES = deliveries({"train.csv": TRAIN})["train.csv"]
MEMBERS = Delivery(FILE, "stores", pd.DataFrame({"store_id": [1]}), "", pd.DatetimeIndex([]))


def asking(*texts: str) -> Understanding:
    """Of one file that was read."""
    questions = tuple(Question(text, "[sales]\ndate = 1") for text in texts)
    return replace(UNDERSTOOD, plans=(), questions=questions)


def test_refused_files_do_not_stop_those_that_hold_sales() -> None:
    contents = Contents(UNDERSTOOD, (SALES,), refused=REFUSED)
    contents.require_answers()
    assert len(contents.tables().sales) == len(SALES.frame)


def test_without_sales_every_refusal_is_said_in_one_line() -> None:
    with pytest.raises(SchemaError, match=r"^bad\.csv is a PDF; worse\.csv is empty$"):
        Contents(UNDERSTOOD, (MEMBERS,), refused=REFUSED).require_answers()


def test_open_questions_and_refusals_are_said_together() -> None:
    with pytest.raises(SchemaError) as raised:
        Contents(asking("Which?", "When?"), refused=REFUSED[:1]).require_answers()
    assert str(raised.value) == (
        "bad.csv is a PDF; 2 open questions, to be answered in demand.toml: (1) Which?: add [sales] date = 1; "
        "(2) When?: add [sales] date = 1"
    )


def test_where_no_file_could_be_read_nothing_is_asked() -> None:
    with pytest.raises(SchemaError, match=r"^bad\.csv is a PDF$"):
        Contents(replace(asking("Which?"), files=()), refused=REFUSED[:1]).require_answers()


def test_files_without_sales_make_no_tables() -> None:
    with pytest.raises(LandingError, match="no file holds sales; land one first"):
        Contents(UNDERSTOOD, (MEMBERS,)).tables()


def test_contents_are_read_once_for_a_key_until_they_are_forgotten() -> None:
    made: list[Contents] = []

    def read() -> Contents:
        made.append(Contents(UNDERSTOOD, (SALES,)))
        return made[-1]

    forget()
    assert held("a", read) is held("a", read)
    assert held("b", read) is made[1]
    forget()
    held("b", read)
    assert len(made) == 3
