"""API keys: who may ask for what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import make_url, text

from api import ApiSettings, create_app
from demand_assets.store.keys import SCOPES, revoke_key
from tests.api.conftest import Keys, bearer, problem, serving
from tests.api.stores import ASKED, NOW, fill_full
from tests.waiting import until

BODY: dict[str, Any] = {
    "store_id": "1", "dept_id": "3", "week": "2012-11-02", "override": 1.0, "reason": "fair",
}  # fmt: skip


TOKENS: dict[str, str] = {}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Keys]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'store.db'}"
    fill_full(url)
    keys = Keys(url)
    with serving(url, auth="on", refresh_seconds=0.02, rate_burst=10_000) as client:
        client.get("/ready")
        TOKENS.clear()
        TOKENS.update({scope: keys.make(f"only {scope}", scope)[0] for scope in SCOPES})
        yield client, keys
    keys.engine.dispose()


def opens(client: httpx.Client, token: str) -> bool:
    return client.get("/v1/series", headers=bearer(token)).status_code == 200


def test_a_key_is_needed(guarded: tuple[httpx.Client, Keys]) -> None:
    client, _ = guarded
    for headers in (
        {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer dk_x y"}, {"Authorization": "Basic eDp5"},
        bearer("dk_wrong"), {"X-API-Key": "dk_wrong"}, {"X-API-Key": ""}, {"Authorization": "dk_wrong"},
    ):  # fmt: skip
        for answer in (
            client.get("/forecast", params=ASKED, headers=headers),
            client.get("/v1/forecasts", headers=headers),
            client.get("/metrics", headers=headers),
            client.get("/nowhere", headers=headers),
            client.post("/v1/overrides", json=BODY, headers=headers | {"Idempotency-Key": "k"}),
        ):
            assert "send it as `Authorization: Bearer KEY`" in problem(answer, 401)
            assert answer.headers["www-authenticate"] == 'Bearer realm="demand"'
        assert client.head("/v1/forecasts", headers=headers).status_code == 401


OPEN = ("/health", "/ready")
NEEDS = {
    ("post", "/v1/forecasts:batch"): "read",
    ("post", "/v1/workbooks"): "read",
    ("post", "/v1/overrides/{override_id}/review"): "approve",
}


def operations() -> Iterator[tuple[str, str, str]]:
    """(method, path, the scope that it needs) of each operation that is not open to all."""
    for path, methods in create_app(ApiSettings(store_url="sqlite:///unused.db")).openapi()["paths"].items():
        for method in methods:
            if path not in OPEN:
                yield method, path, NEEDS.get((method, path), "read" if method == "get" else "write")


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("method", "path", "needed"), [*operations()])
def test_each_operation_takes_the_one_scope_that_it_needs(
    guarded: tuple[httpx.Client, Keys], method: str, path: str, needed: str, scope: str
) -> None:
    client, _ = guarded
    token = TOKENS[scope]
    until(lambda: client.get("/nowhere", headers=bearer(token)).status_code != 401)
    address = re.sub(r"\{[a-z_]+\}", "1", path)
    answer = client.request(method, address, headers=bearer(token))
    if scope == needed:
        # Without a body or parameters it is refused for these, not for the key.
        assert answer.status_code not in (401, 403)
    else:
        assert f"lacks the scope {needed}" in problem(answer, 403)


def test_an_identity_in_a_header_is_no_identity(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    token, _ = keys.make("ann", "write")
    until(lambda: client.get("/nowhere", headers=bearer(token)).status_code != 401)
    forged = {"X-Amzn-Oidc-Identity": "bob", "X-Forwarded-User": "bob", "Remote-User": "bob", "From": "bob"}
    headers = bearer(token) | forged | {"Idempotency-Key": "forged"}
    assert client.post("/v1/overrides", json=BODY, headers=headers).json()["author"] == "ann"
    problem(client.get("/v1/series", headers=forged), 401)


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/ready", "/openapi.json", "/static/index.html"])
def test_what_everybody_may_see_needs_no_key(guarded: tuple[httpx.Client, Keys], path: str) -> None:
    assert guarded[0].get(path).status_code == 200


def test_a_key_opens_what_its_scopes_name(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    writer, writer_id = keys.make("writer", "write")
    reader, reader_id = keys.make("reader", "read")  # made last, so both are known once it is
    until(lambda: opens(client, reader))
    batch = {"keys": [{"store_id": "1", "dept_id": "3", "week": "2012-11-02"}]}
    for headers in (bearer(reader), {"X-API-Key": reader}, {"Authorization": f"bEARER  {reader}"}):
        assert client.get("/forecast", params=ASKED, headers=headers).status_code == 200
        assert client.head("/v1/series", headers=headers).status_code == 200
        assert client.post("/v1/forecasts:batch", json=batch, headers=headers).status_code == 200
        refused = client.post("/v1/overrides", json=BODY, headers=headers | {"Idempotency-Key": "k"})
        assert problem(refused, 403) == f"key {reader_id} lacks the scope write"
        for method in ("PUT", "PATCH", "DELETE"):
            assert client.request(method, "/v1/series", headers=headers).status_code == 403
    given = client.post("/v1/overrides", json=BODY, headers=bearer(writer) | {"Idempotency-Key": "k"})
    assert given.status_code == 201
    for refused in (
        client.get("/forecast", params=ASKED, headers=bearer(writer)),
        client.get("/v1/overrides", headers=bearer(writer)),
        client.post("/v1/forecasts:batch", json=batch, headers=bearer(writer)),
    ):
        assert problem(refused, 403) == f"key {writer_id} lacks the scope read"


def test_a_key_counts_only_where_keys_are_looked_for(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    token, _ = keys.make("careful", "read")
    until(lambda: opens(client, token))

    def refusals() -> float:
        text = client.get("/metrics", headers=bearer(token)).text
        return float(text.split("\ndemand_api_unauthorised_total ")[1].split("\n")[0])

    before = refusals()
    # A key in its own header is the one that is meant, even where the other would do.
    for headers, said in (
        ({"Authorization": f"Basic {token}"}, "an API key is needed"),
        ({"Authorization": token}, "an API key is needed"),
        ({"X-API-Key": ""} | bearer(token), "an API key is needed"),
        ({"X-API-Key": "dk_wrong"} | bearer(token), "the API key is not valid"),
        ({"X-API-Key": f"Bearer {token}"}, "the API key is not valid"),
        (bearer(token[:-1]), "the API key is not valid"),
        (bearer(token.swapcase()), "the API key is not valid"),
    ):
        assert problem(client.get("/v1/series", headers=headers), 401).startswith(said)
    assert refusals() == before + 7
    assert client.get("/v1/series", headers={"X-API-Key": token} | bearer("dk_wrong")).status_code == 200
    # What a page may ask beforehand says nothing of the store.
    assert client.options("/v1/series").status_code == 405


def test_two_keys_of_a_name_are_valid_until_one_is_revoked(guarded: tuple[httpx.Client, Keys]) -> None:
    client, keys = guarded
    old, old_id = keys.make("rotated", "read")
    new, _ = keys.make("rotated", "read")
    until(lambda: opens(client, old) and opens(client, new))
    revoke_key(keys.engine, old_id, NOW)
    until(lambda: not opens(client, old))
    assert problem(client.get("/v1/series", headers=bearer(old)), 401).startswith("the API key is not valid")
    assert opens(client, new)


def test_a_key_expires_by_the_clock(full_url: str) -> None:
    clock, keys = [NOW], Keys(full_url)
    token, _ = keys.make("short", "read", until=NOW + timedelta(hours=1))
    keys.engine.dispose()
    # Looked at once an hour, so it is the clock alone that ends it.
    with serving(full_url, lambda: clock[0], auth="on", refresh_seconds=3600) as client:
        client.get("/ready")
        assert opens(client, token)
        clock[0] += timedelta(hours=1)
        assert not opens(client, token)


def test_keys_go_on_while_the_store_is_down_and_are_refused_before_it_was_read(
    postgres_server: str, postgres_url: str
) -> None:
    fill_full(postgres_url)
    keys = Keys(postgres_url)
    token, _ = keys.make("reader", "read")
    with keys.engine.begin() as connection:
        [(revision,)] = connection.execute(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with (
        serving(postgres_url, auth="on", refresh_seconds=0.02) as client,
        psycopg.connect(postgres_server, autocommit=True) as admin,
    ):
        refused = client.get("/forecast", params=ASKED, headers=bearer(token))
        assert problem(refused, 503).startswith("keys cannot be checked: ")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        with keys.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        keys.engine.dispose()
        until(lambda: opens(client, token))
        name = make_url(postgres_url).database
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        until(lambda: client.get("/v1/series", headers=bearer(token)).status_code == 503)
        assert client.get("/forecast", params=ASKED, headers=bearer(token)).status_code == 200
        problem(client.get("/forecast", params=ASKED, headers=bearer("dk_wrong")), 401)
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
