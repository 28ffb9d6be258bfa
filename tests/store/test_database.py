"""`demand bootstrap-database` on a real server, whose master user is no superuser, as on RDS."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import URL, make_url

from demand_assets.cli import main
from demand_assets.errors import StoreError
from demand_assets.store.database import Login, bootstrap, login_of
from demand_assets.store.migrations import migrate


@pytest.fixture
def master(postgres_server: str) -> Iterator[URL]:
    """A master user like RDS's; what it makes is removed afterwards."""
    name = f"m_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD 'master'")
    yield make_url(postgres_server).set(username=name, password="master", database="postgres")
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        made = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{name}%",)).fetchall()
        for (database,) in made:
            admin.execute(f"DROP DATABASE {database} WITH (FORCE)")
        roles = admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", (f"{name}%",)).fetchall()
        for (role,) in sorted(roles, key=len):
            admin.execute(f"DROP OWNED BY {role}")
        for (role,) in sorted(roles, reverse=True):
            admin.execute(f"DROP ROLE {role}")


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def as_role(master: URL, login: Login) -> URL:
    return master.set(username=login.role, password=login.password, database=login.database)


def logins_of(master: URL) -> dict[str, Login]:
    name = master.username
    return {
        "store": Login(f"{name}_pipeline", "a", f"{name}_demand"),
        "dagster": Login(f"{name}_dagster", "b", f"{name}_dagster"),
        "api": Login(f"{name}_api", "c", f"{name}_demand", guest=True),
    }


def test_a_master_that_is_no_superuser_makes_databases_that_only_their_roles_enter(master: URL) -> None:
    logins = logins_of(master)
    said = list(bootstrap(shown(master), list(logins.values())))
    assert said[0] == f"role {master.username}_pipeline: made"
    assert said[-1] == f"database {master.username}_demand: {master.username}_api may connect"
    with psycopg.connect(shown(master)) as connection:
        entered = {
            (part, database)
            for part, login in logins.items()
            for database in (f"{master.username}_demand", f"{master.username}_dagster")
            if connection.execute("SELECT has_database_privilege(%s, %s, 'CONNECT')", (login.role, database)).fetchone()
            == (True,)
        }
    assert entered == {(part, login.database) for part, login in logins.items()}
    # The owner is no superuser either, and makes the store's tables.
    migrate(shown(as_role(master, logins["store"])))


def test_it_can_be_repeated_and_sets_passwords_anew(master: URL, postgres_server: str) -> None:
    store = logins_of(master)["store"]
    hashes = []
    for password in ("first", "second"):
        list(bootstrap(shown(master), [Login(store.role, password, store.database)]))
        with psycopg.connect(postgres_server) as admin:
            found = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (store.role,)).fetchone()
        assert found is not None
        hashes.append(found[0])
    assert all(one.startswith("SCRAM-SHA-256$") for one in hashes)
    assert hashes[0] != hashes[1]


def test_a_database_of_another_role_is_left_alone(master: URL) -> None:
    store = logins_of(master)["store"]
    list(bootstrap(shown(master), [store]))
    with pytest.raises(StoreError, match=f"{store.database} belongs to {store.role}, expected {master.username}_x"):
        list(bootstrap(shown(master), [Login(f"{master.username}_x", "x", store.database)]))


def test_an_address_without_a_password_is_refused_without_being_shown() -> None:
    with pytest.raises(StoreError, match="DEMAND_STORE_URL names no password; expected postgresql://ROLE:PASSWORD@"):
        login_of("DEMAND_STORE_URL", "postgresql://demand_pipeline@host/demand")


def test_the_command_reads_server_and_addresses_from_the_environment(master: URL, tmp_path: Path) -> None:
    logins = logins_of(master)
    logins["mlflow"] = Login(f"{master.username}_mlflow", "d", f"{master.username}_mlflow")
    host = master.host or str(master.query["host"])
    names = {"store": "DEMAND_STORE_URL", "dagster": "DAGSTER_POSTGRES_URL", "api": "DEMAND_API_STORE_URL"}
    names["mlflow"] = "MLFLOW_BACKEND_STORE_URI"
    environment = {names[part]: shown(as_role(master, login)) for part, login in logins.items()}
    libpq = {"PGHOST": host, "PGPORT": str(master.port or 5432), "PGUSER": str(master.username), "PGPASSWORD": "master"}
    runner = CliRunner()
    ended = runner.invoke(main, ["bootstrap-database"], env=environment | libpq)
    assert (ended.exit_code, len(ended.output.splitlines())) == (0, 8), ended.output
    environment["MLFLOW_BACKEND_STORE_URI"] = ""
    ended = runner.invoke(main, ["bootstrap-database"], env=environment | libpq)
    assert (ended.exit_code, "MLFLOW_BACKEND_STORE_URI not set" in ended.output) == (1, True)
