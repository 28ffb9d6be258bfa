"""Text in a CSV that a spreadsheet opens. Source: OWASP, CSV Injection."""

from __future__ import annotations

import re

# Blanks, control characters, marks without width such as U+FEFF: spreadsheets drop them before they read a cell.
_UNSEEN = r"[\s\x00-\x20\x7f-\xa0\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
# = + - @, the same in wide, small, raised and lowered forms, and the minus sign.
_SIGNS = "[-=+@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207c\u207a\u207b\u208c\u208a\u208b\u2212]"
# Matches no character: the place before a text that begins like a formula. Tab, CR and LF begin one by themselves.
FORMULA = rf"\A(?=[\t\r\n]|{_UNSEEN}{_SIGNS})"
# The same, unless the text is a number: what was read from a file, and may be landed again.
FORMULA_BUT_NO_NUMBER = rf"(?!\A[-+]?[\d.,]*\d\Z){FORMULA}"
MARK = "'"
_FORMULA = re.compile(FORMULA)


def no_formula(text: str) -> str:
    """`text` as a spreadsheet shows it and does not run it: with an apostrophe before a formula."""
    return _FORMULA.sub(MARK, text)
