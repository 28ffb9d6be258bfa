"""`demand bootstrap-database`: databases, roles and passwords as the addresses in the environment name them."""

from __future__ import annotations

from collections.abc import Mapping

from demand_assets.commands.terminal import terminal
from demand_assets.errors import SettingsError
from demand_assets.store.database import bootstrap, login_of

# Variable of each address; the service is a guest in the pipeline's database.
OWNERS = ("DEMAND_STORE_URL", "DAGSTER_POSTGRES_URL", "MLFLOW_BACKEND_STORE_URI")
GUESTS = ("DEMAND_API_STORE_URL",)


def make(environ: Mapping[str, str]) -> None:
    """Make them on the server that PGHOST and PGUSER name, and print a line for each."""
    if missing := [name for name in (*OWNERS, *GUESTS, "PGHOST", "PGUSER") if not environ.get(name)]:
        raise SettingsError(f"{', '.join(missing)} not set; docs/deploy.md says what each holds")
    logins = [login_of(name, environ[name], name in GUESTS) for name in (*OWNERS, *GUESTS)]
    for line in bootstrap("dbname=postgres connect_timeout=10", logins):
        terminal().print(line)
