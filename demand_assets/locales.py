"""Numbers and dates as people of a locale write them, for what is sent to people; data and addresses keep ISO 8601."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from babel import Locale
    from babel.numbers import NumberPattern

DEFAULT_LOCALE = "en-US"


def _known(text: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(text, sep="-")
    except (UnknownLocaleError, ValueError):
        raise ValueError("expected a locale such as en-US or de-CH") from None
    return text


LocaleText = Annotated[str, AfterValidator(_known)]
"""Name of a locale, as browsers write it: language, and script and country if given."""


@dataclass(frozen=True)
class Writer:
    """Writes numbers and days for the locale of that name, and amounts of that unit.

    As on the dashboard, money is whole, other amounts keep up to two decimals, and a number that is rounded to zero has
    no sign. Source of the forms: Unicode CLDR, by Babel.
    """

    locale: str
    unit: str

    def amount(self, value: float) -> str:
        """An amount without its unit: 1,234 of USD, 0.25 of pieces."""
        return self._decimal(value, 0, 0 if self._is_money else 2)

    def signed(self, value: float) -> str:
        """An amount with a plus above zero."""
        return self._with_plus(value, self.amount(value))

    def whole(self, value: int) -> str:
        """A count: 1,234."""
        return self._decimal(value, 0, 0)

    def decimal(self, value: float, digits: int = 1) -> str:
        """A number with so many decimals: 1,234.5."""
        return self._decimal(value, digits, digits)

    def percent(self, share: float, digits: int = 0) -> str:
        """A share as per cent: 0.8 is 80%."""
        return self._written(self._locale.percent_formats[None], 100 * share, digits, digits)

    def signed_percent(self, share: float, digits: int = 1) -> str:
        """A share as per cent, with a plus above zero."""
        return self._with_plus(share, self.percent(share, digits))

    def day(self, day: date) -> str:
        """A day, its month in letters where the locale has it so: Oct 26, 2012 or 26.10.2012."""
        from babel.dates import format_date

        return format_date(day, "medium", locale=self._locale)

    @cached_property
    def _locale(self) -> "Locale":
        from babel import Locale

        return Locale.parse(self.locale, sep="-")

    @cached_property
    def _is_money(self) -> bool:
        from babel.numbers import list_currencies

        return self.unit in list_currencies()

    def _with_plus(self, value: float, written: str) -> str:
        from babel.numbers import get_plus_sign_symbol

        is_more = value > 0 and any(mark.isdigit() and mark != "0" for mark in written)
        return f"{get_plus_sign_symbol(self._locale)}{written}" if is_more else written

    def _decimal(self, value: float, fewest: int, most: int) -> str:
        return self._written(self._locale.decimal_formats[None], value, fewest, most)

    def _written(self, pattern: "NumberPattern", value: float, fewest: int, most: int) -> str:
        """By the pattern, but for its own `apply`, which takes the apostrophes between thousands for quotes: de-CH."""
        from babel.numbers import get_decimal_symbol, get_group_symbol

        # What is rounded to zero from below is -0.0, and 0.0 once 0.0 is added.
        rounded = round(float(value), most) + 0.0
        whole, _, part = f"{abs(rounded):.{most}f}".partition(".")
        part = part[:fewest] + part[fewest:].rstrip("0")
        size, further = pattern.grouping
        groups: list[str] = []
        while len(whole) > size:
            whole, groups, size = whole[:-size], [whole[-size:], *groups], further
        number = get_group_symbol(self._locale).join([whole, *groups])
        number += get_decimal_symbol(self._locale) + part if part else ""
        sign = int(rounded < 0)
        return f"{pattern.prefix[sign]}{number}{pattern.suffix[sign]}"
