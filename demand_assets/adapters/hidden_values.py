"""Values that Dagster's UI must not show: it shows every field of a resource, the address of the store included."""

from __future__ import annotations

import os

import dagster as dg

from demand_assets.settings import PREFIX


def unshown(name: str, value: str) -> str:
    """The environment variable `DEMAND_<name>` if it holds `value`, which is what the UI then shows; else `value`."""
    variable = PREFIX + name
    return dg.EnvVar(variable) if value and os.environ.get(variable) == value else value


def revealed(value: str) -> str:
    """The value of a field that may name an environment variable; Dagster itself reveals those of a run."""
    return value.get_value() or "" if isinstance(value, dg.EnvVar) else value


class StoreResource(dg.ConfigurableResource):
    """A resource over the SQL store at `store_url`, SQLite or PostgreSQL, whose address may hold a password."""

    store_url: str

    @property
    def address(self) -> str:
        """Where the store is."""
        return revealed(self.store_url)
