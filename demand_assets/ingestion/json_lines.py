"""Which line of a file of JSON lines is wrong: Arrow counts rows within a block. Pure."""

from __future__ import annotations

import json
from typing import Any

_KINDS: dict[type, str] = {str: "text", bool: "true or false", int: "a number", float: "a number"}


def first_fault(content: bytes) -> str:
    """`line 2: Sales is "x", expected a number as in the lines before it`; empty where each line is as the others."""
    kinds: dict[str, str] = {}
    for line, text in enumerate(content.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError:
            return f"line {line}: expected a whole JSON object, got {_shown(text.decode('utf-8', 'replace'))}"
        if not isinstance(row, dict):
            return f"line {line}: expected a JSON object, got {_shown(row)}"
        for name, value in row.items():
            kind = _kind(value)
            if value is not None and kinds.setdefault(name, kind) != kind:
                return f"line {line}: {name} is {_shown(value)}, expected {kinds[name]} as in the lines before it"
    return ""


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a list or an object")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
