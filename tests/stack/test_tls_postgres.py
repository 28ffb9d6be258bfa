"""What stands before PostgreSQL in the stack admits who speaks TLS, and clients check whom they speak with."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.api.conftest import free_port
from tests.repository.docker_files import ROOT
from tests.stack.tls_postgres import HOST, make_certificates
from tests.waiting import until

pytestmark = pytest.mark.skipif("TEST_POSTGRES_URL" in os.environ, reason="needs the server's socket")


@pytest.fixture
def door(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """`HOST:PORT/DATABASE?sslrootcert=FILE` of a server that is reached over TLS."""
    authority = make_certificates(tmp_path)
    url = make_url(postgres_url)
    with free_port() as held:
        port = held.getsockname()[1]
    socket_file = Path(str(url.query["host"])) / ".s.PGSQL.5432"
    command = [sys.executable, "-m", "tests.stack.tls_postgres", str(port), str(socket_file), str(tmp_path)]
    address = f"{port}/{url.database}?sslrootcert={authority}"

    def listens() -> bool:
        try:
            psycopg.connect(f"postgresql://postgres@{HOST}:{address}&sslmode=require").close()
        except psycopg.OperationalError:
            return False
        return True

    with subprocess.Popen(command, cwd=ROOT) as process:
        until(listens, process)
        yield address
        process.terminate()


def test_a_client_that_checks_everything_is_served(door: str) -> None:
    with psycopg.connect(f"postgresql://postgres@{HOST}:{door}&sslmode=verify-full") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("postgres",)
        assert connection.pgconn.ssl_in_use


@pytest.mark.parametrize(
    ("host", "mode", "told"),
    [
        (HOST, "disable", "no encryption"),
        ("127.0.0.1", "verify-full", "does not match host name"),
    ],
)
def test_plain_text_and_another_name_are_refused(door: str, host: str, mode: str, told: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=told):
        psycopg.connect(f"postgresql://postgres@{host}:{door}&sslmode={mode}")


def test_another_authority_is_refused(door: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificates(tmp_path / "other")
    address = door.partition("?")[0]
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(f"postgresql://postgres@{HOST}:{address}?sslrootcert={other}&sslmode=verify-full")
