"""How outcomes are put in words and raised."""

import numpy as np
import pandas as pd
import pytest

from demand_assets.errors import SchemaError
from demand_assets.ingestion.ids import IdTexts
from demand_assets.ingestion.outcome import CheckOutcome, count, first_of, plain, raise_on_failure, some
from tests.ingestion.test_quality import FRIDAYS
from tests.ingestion.test_structure import NO_DATE

W1, W2, W3 = FRIDAYS[:3]


def test_the_first_wrong_row_is_told_by_what_it_has() -> None:
    wrong = np.array([False, True, True])
    frame = pd.DataFrame({"week": [W1, W2, W3], "store_id": [1.0, 2.0, 3.0], "dept_id": [4, 5, 6]})
    ids = IdTexts({2: "ZRH 01"}, {})
    assert first_of(frame, wrong, ids) == "2012-01-13 store 'ZRH 01' dept 5"
    assert first_of(frame[["dept_id"]], wrong, ids) == "dept 5"
    assert first_of(frame.assign(week=NO_DATE), wrong, IdTexts()) == "no date store 2 dept 5"
    assert first_of(frame, ~wrong & wrong, ids) == ""
    assert [plain("food/1"), plain("a\nb"), plain("x" * 200)] == ["food/1", "'a\\nb'", "x" * 57 + "..."]
    assert [some(list("abcde")), some(list("abcdef"))] == ["a, b, c, d, e", "a, b, c, d, e, ..."]
    assert [count(0, "row"), count(1, "row"), count(1_234, "row")] == ["0 rows", "1 row", "1,234 rows"]
    assert [count(1, "delivery", "deliveries"), count(2, "delivery", "deliveries")] == ["1 delivery", "2 deliveries"]


def test_the_first_error_is_raised_with_the_number_of_others() -> None:
    warning = CheckOutcome("w", False, "warn", "odd")
    fine = CheckOutcome("f", True, "error", "fine")
    faults = [CheckOutcome(name, False, "error", f"{name} is bad", file="a.csv" * (name == "x")) for name in "xyz"]
    raise_on_failure([warning, fine])
    for failed, message in (
        (faults[1:2], "y: y is bad"),
        (faults[:2], "a.csv: x is bad (and 1 more check failed)"),
        (faults, "a.csv: x is bad (and 2 more checks failed)"),
    ):
        with pytest.raises(SchemaError) as raised:
            raise_on_failure([warning, fine, *failed])
        assert str(raised.value) == message
