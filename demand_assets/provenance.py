"""What made a forecast: hashes of the code that decides its numbers, and of the inputs it was given."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn")


@cache
def code_version() -> str:
    """Hash of the forecasting package's sources, 12 hex digits: equal code gives equal forecasts from equal data."""
    package = Path(__file__).parent / "forecasting"
    digest = hashlib.blake2b(digest_size=6)
    for source in sorted(package.rglob("*.py")):
        digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def fingerprint(parts: Mapping[str, Any] | Sequence[Any]) -> str:
    """Hash of a JSON-like value, 16 hex digits; equal values, equal fingerprints."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a forecast's last bits, those of every model included."""
    from demand_assets.forecasting.models import models

    names = [*_LIBRARIES, *sorted({name for model in models().values() for name in model.libraries})]
    return {"python": platform.python_version(), **{name: version(name) for name in dict.fromkeys(names)}}


@cache
def environment() -> str:
    """What decides a forecast's last bits beside code and data: libraries, processor, and the kernels BLAS picked."""
    # Loads the libraries whose kernels are asked for.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    kernels = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".rstrip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    versions = [f"{name} {version}" for name, version in libraries().items()]
    return ", ".join([*versions, platform.machine(), *sorted(kernels)])
