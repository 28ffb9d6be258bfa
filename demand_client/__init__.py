"""Client of the demand API: forecasts as pandas frames.

from demand_client import DemandClient

with DemandClient("http://127.0.0.1:8000") as demand:
    forecasts = demand.forecasts(store_id=["1", "2"], dept_id="3")
"""

from demand_client.client import DemandClient
from demand_client.errors import DemandError, RefusedError, UnavailableError

__all__ = ["DemandClient", "DemandError", "RefusedError", "UnavailableError"]
