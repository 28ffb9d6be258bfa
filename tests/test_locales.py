"""Numbers and days as people of a locale write them."""

from datetime import date

import pytest

from demand_assets.errors import SettingsError
from demand_assets.locales import Writer
from demand_assets.settings import read_settings


@pytest.mark.parametrize(
    ("locale", "unit", "expected"),
    [
        ("en-US", "USD", ("1,234,568", "+1,235", "-2", "0", "+12.5%", "Oct 26, 2012")),
        ("de-DE", "EUR", ("1.234.568", "+1.235", "-2", "0", "+12,5 %", "26.10.2012")),
        ("de-CH", "Stück", ("1'234'567.5", "+1'234.56", "-1.5", "-0.2", "+12.5%", "26.10.2012")),
        ("fr-FR", "pieces", ("1_234_567,5", "+1_234,56", "-1,5", "-0,2", "+12,5 %", "26 oct. 2012")),
        ("en-IN", "INR", ("12,34,568", "+1,235", "-2", "0", "+12.5%", "26 Oct 2012")),
    ],
)  # fmt: skip
def test_amounts_and_days_are_those_of_the_locale(locale: str, unit: str, expected: tuple[str, ...]) -> None:
    write = Writer(locale, unit)
    found = (
        write.amount(1234567.5), write.signed(1234.56), write.signed(-1.5), write.signed(-0.2),
        write.signed_percent(0.125), write.day(date(2012, 10, 26)),
    )  # fmt: skip
    # Releases of Unicode's data differ in the apostrophe of Switzerland and the space before the per cent.
    alike = {"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": "_"}
    assert tuple(each.translate(str.maketrans(alike)).replace("_%", " %") for each in found) == expected


def test_a_locale_that_nobody_writes_in_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"DEMAND_LOCALE is 'xx-Nowhere': .*expected a locale such as en-US or de-CH"
    ):
        read_settings({}, locale="xx-Nowhere")
