from __future__ import annotations

import pytest

from demand_assets.ingestion.reading import date_formats, number_marks
from demand_assets.ingestion.source import ColumnType
from tests.ingestion.test_reading import read_one


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        (["1", "-20", "NA", ""], (".", "")),
        (["1.5", "2.25"], (".", "")),
        (["1.234"], (".", "")),
        (["2.572", "2.548"], (".", "")),
        (["1,5", "2"], (",", "")),
        (["1,234", "12"], (".", ",")),
        (["0,123"], (",", "")),
        (["1,234", "1,5"], (",", "")),
        (["1,234.50", "2.5"], (".", ",")),
        (["1.234,50", "2,5"], (",", ".")),
        (["1.234.567"], (",", ".")),
        (["1 234,5"], (",", " ")),
        (["1\u202f234,5"], (",", " ")),
        (["1 234.5"], (".", " ")),
        (["1'234.5"], (".", "'")),
        (["1\u2019234"], (".", "'")),
        (["$1,234.50", "-$5.00", "($3.25)"], (".", ",")),
        (["1.234,50 €", "CHF 3,00"], (",", ".")),
        (["1,00,000.50"], (".", ",")),
        (["1e12"], (".", "")),
        (["1", "abc"], None),
        (["2010-02-05"], None),
        (["05.02.2010"], None),
        (["NA", ""], None),
        ([], None),
    ],
)
def test_marks_of_numbers(values: list[str], marks: tuple[str, str] | None) -> None:
    assert number_marks(values) == marks


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2010-02-05", "2010-02-12", "NA"], [""]),
        (["2010-02-05 00:00:00"], [""]),
        (["2010-02-05T13:00:00.000Z", "2010-02-05T13:00:00+01:00"], [""]),
        (["2010/02/05"], ["%Y/%m/%d"]),
        (["05/02/2010", "12/02/2010"], ["%d/%m/%Y", "%m/%d/%Y"]),
        (["05/02/2010", "13/02/2010"], ["%d/%m/%Y"]),
        (["05/02/2010 00:00", "13/02/2010 00:00"], ["%d/%m/%Y"]),
        (["02/05/2010", "02/13/2010"], ["%m/%d/%Y"]),
        (["5-2-2010", "13-2-2010"], ["%d-%m-%Y"]),
        (["2-13-2010"], ["%m-%d-%Y"]),
        (["13.02.2010"], ["%d.%m.%Y"]),
        (["13.02.10"], ["%d.%m.%y"]),
        (["13/02/10"], ["%d/%m/%y"]),
        (["02/13/10 1:00 PM"], ["%m/%d/%y"]),
        (["20100213"], ["%Y%m%d"]),
        (["13-Feb-2010"], ["%d-%b-%Y"]),
        (["13/02/2010", "02/13/2010"], []),
        (["13/02/2010", "13-02-2010"], []),
        (["2010-02-30"], []),
        (["12345678"], []),
        (["24924.5"], []),
        (["NA"], []),
    ],
)
def test_forms_of_dates(values: list[str], formats: list[str]) -> None:
    assert date_formats(values) == formats
    for form in formats:
        data = "n,Date\n" + "".join(f"1,{value}\n" for value in values if value != "NA")
        assert len(read_one(data.encode(), {"Date": ColumnType("date", form)})) == len(set(values) - {"NA"})
