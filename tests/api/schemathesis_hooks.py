"""What JSON Schema cannot say of valid requests, for schemathesis; loaded by it through SCHEMATHESIS_HOOKS."""

import uuid
from datetime import date, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

FIRST_FRIDAY, FRIDAYS = date(1900, 1, 5), 15_600
# A week is the Friday that ends it; any other date may be a Friday too.
schemathesis.openapi.format(
    "date",
    st.integers(0, FRIDAYS).map(lambda number: (FIRST_FRIDAY + timedelta(weeks=number)).isoformat()),
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Leave out a made-up cursor; where the request is to be valid, an end in the past and a key used before."""
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict):
        case.body.pop("expires_at", None)
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.UUID(int=next(_NUMBERS)))


_NUMBERS = iter(range(1, 10**9))
