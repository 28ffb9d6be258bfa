"""What made a forecast: hashes of the code that decides its numbers, and of the inputs it was given."""

import hashlib
import json
import platform
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


@cache
def environment() -> str:
    """What decides a forecast's last bits beside code and data: libraries, processor, and the kernels BLAS picked."""
    import numpy as np
    import pandas as pd
    import scipy.linalg
    import xgboost
    from threadpoolctl import threadpool_info

    kernels = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".rstrip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    libraries = [f"{library.__name__} {library.__version__}" for library in (np, pd, scipy, xgboost)]
    return ", ".join([*libraries, platform.machine(), *sorted(kernels)])
