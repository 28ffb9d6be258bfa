"""Retries of steps that lost the store: a restart or a failover takes a minute."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import dagster as dg

from demand_assets.errors import StoreUnavailableError

# A failover of RDS takes one or two minutes.
PATIENCE_S = 300.0
MAX_RETRIES = 3


def retry_on_store_outage(body: Callable[..., Any]) -> Callable[..., Any]:
    """A body with `store` or `ledger` among its resources: it runs again if the store was lost and came back.

    Only then: bad data fails at once, and so does a store that does not come back. Writes to the store are one
    transaction each and can be repeated, so a vintage is there once, whenever the connection was lost.
    """

    @wraps(body)
    def retried(*arguments: Any, **resources: Any) -> Any:
        try:
            return body(*arguments, **resources)
        except StoreUnavailableError as error:
            from demand_assets.store.engine import await_store

            url = (resources["store"] if "store" in resources else resources["ledger"]).address
            # Waited for here, not between two attempts: Dagster's record of the retry goes to the same server.
            await_store(url, PATIENCE_S)
            raise dg.RetryRequested(max_retries=MAX_RETRIES) from error

    return retried
