"""Text ids and their keys."""

import numpy as np
import pytest

from demand_assets.ingestion.ids import IdColumn, IdTexts, in_natural_order, joined, with_keys


def test_a_whole_number_keeps_itself_as_its_key_where_it_is_free() -> None:
    assert with_keys({}, ["10", "2", "3"]) == {"2": 2, "3": 3, "10": 10}
    assert with_keys({"A": 2}, ["1", "2"]) == {"A": 2, "1": 1, "2": 3}


def test_the_only_number_in_an_id_is_its_key_and_stays_it() -> None:
    first = with_keys({}, ["ZRH-10", "ZRH-2"])
    assert first == {"ZRH-2": 2, "ZRH-10": 10}
    assert with_keys(first, ["ZRH-1", "BRN-2"]) == {"ZRH-2": 2, "ZRH-10": 10, "ZRH-1": 1, "BRN-2": 11}


def test_a_number_is_that_of_the_whole_number_before_that_of_a_text() -> None:
    assert with_keys({}, ["7", "007"]) == {"7": 7, "007": 8}


@pytest.mark.parametrize("one", ["bread", "8-5", "1234567", "0"])
def test_ids_without_one_number_of_six_digits_take_the_next_free_keys(one: str) -> None:
    assert with_keys({}, [one, "7"]) == {"7": 7, one: 8}


def test_natural_order_puts_numbers_in_texts_by_size() -> None:
    assert in_natural_order(["b", "A-10", "10", "A-2", "2", "2", "\u00b2"]) == ["2", "10", "A-2", "A-10", "b", "\u00b2"]


def test_joined_columns_make_one_id_a_pair() -> None:
    product = IdColumn(np.array([1, 0, 1]), ("soap", "tea"))
    size = IdColumn(np.array([5, 12, 6]))
    both = joined([product, size])
    assert [(both.texts or ())[code] for code in both.codes] == ["tea/5", "soap/12", "tea/6"]


def test_keys_of_rows_follow_the_ids() -> None:
    column = IdColumn(np.array([1, 0, 1]), ("a", "b"))
    assert column.keys({"a": 7, "b": 3}).tolist() == [3, 7, 3]
    with pytest.raises(KeyError, match="b"):
        column.keys({"a": 7})


def test_a_key_without_a_text_stands_for_its_number() -> None:
    texts = IdTexts({1: "ZRH-01"}, {})
    assert (texts.store(1), texts.store(2), texts.dept(5)) == ("ZRH-01", "2", "5")
