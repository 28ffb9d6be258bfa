"""Rows set aside, as a CSV that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pandas as pd

from demand_assets.assets.rows import sheet_of


def test_no_cell_of_a_row_set_aside_is_run_or_ends_its_row() -> None:
    rows = pd.DataFrame(
        {"line": [2, 3, 4], "=shop": ["=1+1", "fair\r=1+1", " \ufeff\uff1d1"], "sales": ["-5", "-5,25", "-1+2"]}
    )
    # Numbers stay as they were landed.
    assert list(csv.reader(io.StringIO(sheet_of(rows), newline=""))) == [
        ["line", "'=shop", "sales"],
        ["2", "'=1+1", "-5"],
        ["3", "fair\r=1+1", "-5,25"],
        ["4", "' \ufeff\uff1d1", "'-1+2"],
    ]
