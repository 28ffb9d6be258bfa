"""Tables of drivers: what may move sales beside time, such as prices and promotions, as it was and as it is planned."""

from __future__ import annotations

from dataclasses import replace

from demand_assets.contract.columns import Column, Table, Type
from demand_assets.contract.store import STORE_ID, TOTAL_DEPT_ID

# Kinds of drivers: of a flag all values are 0 or 1.
NUMBER_KIND, FLAG_KIND = "number", "flag"
# Markdowns 1 to 5 of Walmart's form together; observed, but delivered for weeks ahead too.
MARKDOWN = "markdown"

_DRIVER_KEY = Column("driver_key", Type.INTEGER, "What driver_values calls the driver; from 1", key=True)
DRIVERS = Table(
    "drivers",
    "Drivers that the newest data have values of: covariates that are known ahead, and markdowns.",
    (
        _DRIVER_KEY,
        Column("driver", Type.TEXT, "Name, as the lake and the changes of a scenario have it", unique=True),
        Column("kind", Type.TEXT, f"{NUMBER_KIND}, or {FLAG_KIND}: 1 where it is set, 0 where it is not"),
        Column(
            "known_ahead",
            Type.FLAG,
            "Whether forecasts use what is planned of it; otherwise they know it once its week has ended",
        ),
    ),
)
DRIVER_VALUES = Table(
    "driver_values",
    "Values of drivers in the weeks that charts show, and as planned for the weeks of the newest forecast. A row per "
    "stretch of weeks with one value; weeks without one are in no row.",
    (
        STORE_ID,
        replace(TOTAL_DEPT_ID, text="Department; null where the value is that of the whole store"),
        replace(_DRIVER_KEY, text="The driver", references="drivers.driver_key"),
        Column("first_week", Type.WEEK, "First week with the value, by the day that ends it", key=True),
        Column("last_week", Type.WEEK, "Last week with the value, by the day that ends it"),
        Column("value", Type.NUMBER, "The value of each of these weeks", "the driver's own"),
        Column("is_planned", Type.FLAG, "Whether these weeks are after the newest sales, and the value is a plan"),
    ),
)
