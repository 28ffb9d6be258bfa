"""Databases, roles and grants of a PostgreSQL server; its master user need not be a superuser, as RDS's is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import Connection, make_url, text
from sqlalchemy import exc as sa_exc

from demand_assets.errors import StoreError

# Of the service (api): it reads everything and adds overrides and what is said of them.
SERVICE_ROLE = "demand_api"
_SERVICE_GRANTS = (
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO demand_api",
    "GRANT INSERT ON overrides, override_reviews TO demand_api",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO demand_api",
    # So that tables of later revisions can be read at once.
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO demand_api",
)


@dataclass(frozen=True)
class Login:
    """A role, the password it is to have, and the database it uses; it owns the database unless `guest`."""

    role: str
    password: str = field(repr=False)
    database: str
    guest: bool = False


def login_of(variable: str, url: str, guest: bool = False) -> Login:
    """The login that an address names; StoreError, without the address, if it lacks role, password or database."""
    try:
        parsed = make_url(url)
    except (sa_exc.ArgumentError, ValueError):
        raise StoreError(f"{variable} cannot be read; expected postgresql://ROLE:PASSWORD@HOST:5432/DATABASE") from None
    given = {"role": parsed.username, "password": parsed.password, "database": parsed.database}
    if missing := [part for part, value in given.items() if not value]:
        raise StoreError(
            f"{variable} names no {' and no '.join(missing)}; expected postgresql://ROLE:PASSWORD@HOST:5432/DATABASE"
        )
    return Login(str(parsed.username), str(parsed.password), str(parsed.database), guest)


def bootstrap(master: str, logins: Sequence[Login]) -> Iterator[str]:
    """Make what is missing of roles and databases, set every password, and say so line by line.

    `master` is a libpq connection string of a role that may create roles and databases; what it lacks is taken from
    PGHOST, PGUSER, PGPASSWORD and the like. Each database is closed to all but its own roles. Can be repeated.
    StoreError when the server refuses, or a database belongs to another role.
    """
    try:
        with psycopg.connect(master, autocommit=True) as admin:
            for login in sorted(logins, key=lambda each: each.guest):
                yield _role(admin, login)
                yield _admission(admin, login) if login.guest else _database(admin, login)
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL refused: {str(error).strip().splitlines()[0]}") from None


def _role(admin: psycopg.Connection, login: Login) -> str:
    found = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login.role,)).fetchone()
    # Hashed here, so that no log of statements ever holds the password.
    hashed = admin.pgconn.encrypt_password(login.password.encode(), login.role.encode(), b"scram-sha-256").decode()
    statement = SQL("ALTER ROLE {} LOGIN PASSWORD {}" if found else "CREATE ROLE {} LOGIN PASSWORD {}")
    admin.execute(statement.format(Identifier(login.role), Literal(hashed)))
    return f"role {login.role}: {'password set' if found else 'made'}"


def _database(admin: psycopg.Connection, login: Login) -> str:
    role, database = Identifier(login.role), Identifier(login.database)
    # Only a member of a role may give it something; a superuser need not be one.
    admin.execute(SQL("GRANT {} TO CURRENT_USER").format(role))
    owner = admin.execute(
        "SELECT rolname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = %s", (login.database,)
    ).fetchone()
    if owner is None:
        admin.execute(SQL("CREATE DATABASE {} OWNER {}").format(database, role))
    elif owner[0] != login.role:
        raise StoreError(f"database {login.database} belongs to {owner[0]}, expected {login.role}; rename one of them")
    admin.execute(SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
    return f"database {login.database} of {login.role}: {'made' if owner is None else 'is there'}"


def _admission(admin: psycopg.Connection, login: Login) -> str:
    statement = SQL("GRANT CONNECT ON DATABASE {} TO {}")
    admin.execute(statement.format(Identifier(login.database), Identifier(login.role)))
    return f"database {login.database}: {login.role} may connect"


def grant_service(connection: Connection) -> None:
    """Let the service's role, where the server has one, read the store's tables and add overrides and reviews."""
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": SERVICE_ROLE}).scalar()
    for statement in _SERVICE_GRANTS if known else ():
        connection.execute(text(statement))
