"""Tables that the lake has in another form than the store: ids are integers there, 0 where a total spans all."""

from __future__ import annotations

from dataclasses import replace

from demand_assets.contract import store
from demand_assets.contract.store import LEVEL, ORIGIN_WEEK, TOTAL_DEPT_ID, TOTAL_STORE_ID

_KEYS = (
    LEVEL,
    replace(TOTAL_STORE_ID, text="Store; 0 where the total spans all stores", nullable=False),
    replace(TOTAL_DEPT_ID, text="Department; 0 where the total spans all departments", nullable=False),
    replace(ORIGIN_WEEK, key=True),
)
_REST = store.FORECAST_TOTALS.without("vintage_id", "level", "store_id", "dept_id").columns
FORECAST_TOTALS = replace(store.FORECAST_TOTALS, columns=(*_KEYS, *_REST), indexes={})
