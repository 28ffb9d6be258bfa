"""What made a forecast: hashes of the code that decides its numbers, and of the inputs it was given."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


@cache
def code_version() -> str:
    """Hash of the forecasting package's sources, 12 hex digits: equal code gives equal forecasts from equal data."""
    package = Path(__file__).parent / "forecasting"
    digest = hashlib.blake2b(digest_size=6)
    for source in sorted(package.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def fingerprint(parts: Mapping[str, Any] | Sequence[Any]) -> str:
    """Hash of a JSON-like value, 16 hex digits; equal values, equal fingerprints."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()
