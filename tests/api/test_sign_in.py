"""Sign-in: the whole flow at a real provider, what each role may, and every way in that is none."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import Request

from api import ApiSettings
from api.people import SESSION, ClaimRules, parse_grants
from api.problems import ProblemError
from api.provider import Provider
from api.sessions import UNDER_WAY
from tests.api.conftest import Keys, bearer, problem, serving
from tests.api.openid import ALGORITHMS, ANN, OpenIdProvider, encoded, provider
from tests.api.people import (
    MAY,
    WHOLE,
    Role,
    cookie_of,
    own,
    signed_in,
    signing_in,
    until_the_callback,
    value_of,
    visitor,
)
from tests.api.stores import ASKED, NOW, fill_full
from tests.api.test_keys import BODY, operations
from tests.waiting import until


@pytest.fixture(scope="module")
def openid() -> Iterator[OpenIdProvider]:
    with provider() as made:
        yield made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('signed-in') / 'store.db'}"
    fill_full(url)
    return url


CLOCK = [NOW]


@pytest.fixture(scope="module")
def service(openid: OpenIdProvider, store: str) -> Iterator[httpx.Client]:
    with signing_in(store, openid, lambda: CLOCK[0]) as client:
        yield client


@pytest.fixture
def clock() -> Iterator[list[datetime]]:
    """The time of the service, which one test changes."""
    yield CLOCK
    CLOCK[0] = NOW


@pytest.fixture
def at(openid: OpenIdProvider, service: httpx.Client) -> Iterator[tuple[OpenIdProvider, httpx.Client]]:
    """The provider, to be changed by one test, and the service."""
    before = dict(vars(openid))
    yield openid, service
    vars(openid).update(before)


# --- what roles may -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize(("method", "path", "needed"), [*operations()])
def test_each_operation_takes_the_roles_that_may(
    service: httpx.Client, method: str, path: str, needed: str, role: Role
) -> None:
    address = re.sub(r"\{[a-z_]+\}", "1", path)
    answer = service.request(method, address, headers=cookie_of(role) | own(service))
    if needed in MAY[role]:
        # Without a body or parameters it is refused for these, not for the role.
        assert answer.status_code not in (401, 403)
    else:
        assert problem(answer, 403) == f"ann@example.org ({role}) lacks the scope {needed}"


@pytest.mark.parametrize(
    ("groups", "roles", "scopes"),
    [
        (["sales"], ["viewer"], ["read"]),
        (["other", "sales-planners", 7, None], ["planner"], ["read", "write"]),
        (["cn=leads,ou=sales", "sales-planners"], ["planner", "approver"], ["read", "write", "approve"]),
        ("it", ["admin"], ["read", "write", "approve"]),
    ],
)
def test_groups_give_roles_and_what_roles_may_adds_up(
    at: tuple[OpenIdProvider, httpx.Client], groups: Any, roles: list[str], scopes: list[str]
) -> None:
    openid, service = at
    openid.person = openid.person | {"groups": groups}
    browser, _ = signed_in(service)
    assert browser.get("/v1/me").json() == {
        "name": "ann@example.org", "kind": "session", "roles": roles, "scopes": scopes,
        "expires_at": (NOW + timedelta(hours=8)).isoformat().replace("+00:00", "Z"),
    }  # fmt: skip


def test_everybody_may_be_a_viewer() -> None:
    rules = ClaimRules("email", "groups", parse_grants("ROLES", "viewer=*; admin=it; viewer=sales"))
    assert rules.person("session", {"email": "ann@example.org"}, NOW).roles == ("viewer",)
    assert rules.person("session", ANN | {"groups": ["it"]}, NOW).roles == ("viewer", "admin")


def test_without_sign_in_nothing_has_changed(full_url: str) -> None:
    with serving(full_url) as client:
        assert client.get("/v1/me").json() == {
            "name": "local", "kind": "local", "roles": [], "scopes": ["read", "write", "approve"], "expires_at": None,
        }  # fmt: skip
        for path in ("/sign-in", "/sign-in/callback", "/sign-out"):
            problem(client.get(path), 404)
        # Neither cookie nor header is looked at.
        headers = cookie_of("viewer") | {"X-Amzn-Oidc-Data": "x", "Idempotency-Key": "local"}
        assert client.post("/v1/overrides", json=BODY, headers=headers).json()["author"] == "local"


# --- the way in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_person_signs_in_decides_and_signs_out(at: tuple[OpenIdProvider, httpx.Client], algorithm: str) -> None:
    openid, service = at
    openid.algorithm = algorithm
    browser, last = signed_in(service, "/#/overrides?week=2012-11-02")
    home = str(service.base_url).rstrip("/")
    assert (last.status_code, last.headers["location"]) == (302, f"{home}/#/overrides?week=2012-11-02")
    assert last.headers["cache-control"] == "no-store"
    assert browser.get("/forecast", params=ASKED).status_code == 200
    forged = own(service) | {"Idempotency-Key": algorithm, "X-Amzn-Oidc-Identity": "bob", "Remote-User": "bob"}
    assert browser.post("/v1/overrides", json=BODY, headers=forged).json()["author"] == "ann@example.org"
    assert browser.post("/sign-out", headers=own(service)).status_code == 204
    assert problem(browser.get("/v1/me"), 401).startswith("nobody is signed in")
    assert "You are signed out" in browser.get("/sign-out").text


def test_cookies_are_for_the_service_alone(service: httpx.Client, full_url: str, openid: OpenIdProvider) -> None:
    _, last = signed_in(service)
    [session, under_way] = last.headers.get_list("set-cookie")
    assert session.split("; ", 1)[1] == "HttpOnly; Max-Age=28800; Path=/; SameSite=lax"
    assert (UNDER_WAY in under_way, "Max-Age=0" in under_way) == (True, True)
    with signing_in(full_url, openid, public_url="https://demand.test/shop", root_path="/shop") as client:
        begun = client.get("/shop/sign-in")
        assert begun.headers["location"].startswith(f"{openid.issuer}/authorize?")
        assert client.get("/shop/v1/me").json()["sign_in"] == "/shop/sign-in"
    [cookie] = begun.headers.get_list("set-cookie")
    assert cookie.split("; ", 1)[1] == "HttpOnly; Max-Age=600; Path=/shop; SameSite=lax; Secure"


def test_without_an_identity_programs_get_401_and_pages_learn_where_to_sign_in(service: httpx.Client) -> None:
    refused = service.get("/v1/series")
    assert problem(refused, 401) == (
        "nobody is signed in; sign in at /sign-in, or send an API key as `Authorization: Bearer KEY`"
    )
    assert refused.headers["www-authenticate"] == 'Bearer realm="demand"'
    assert refused.json()["sign_in"] == "/sign-in"
    # A key that is sent is what is meant, whoever is signed in beside it.
    wrong = service.get("/v1/series", headers=bearer("dk_wrong") | cookie_of("admin"))
    assert (problem(wrong, 401).startswith("the API key is not valid"), "sign_in" in wrong.json()) == (True, False)
    for path in ("/", "/docs", "/health", "/ready", "/openapi.json", "/static/index.html", "/sign-out"):
        assert service.get(path).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/", "//evil.test", "/\\evil.test", "\\\\evil.test", "evil.test", "javascript:alert(1)", "",
        "/v1/series", "/docs/../x", "/\n/evil.test", "/?x#y", "/#a\r\nSet-Cookie: x=y", "/sign-out", "@evil.test",
    ],
)  # fmt: skip
def test_a_sign_in_leads_to_no_other_place(service: httpx.Client, target: str) -> None:
    answer = visitor(service).get("/sign-in", params={"next": target})
    assert (answer.status_code, "location" in answer.headers, "set-cookie" in answer.headers) == (422, False, False)
    assert "expected a page of this service" in answer.text


# --- and what is none ---------------------------------------------------------------------------------------------


def refused(browser: httpx.Client, address: str, status: int) -> str:
    """What the page says that the browser gets in place of a session."""
    answer = browser.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), answer.text
    assert SESSION not in answer.headers.get("set-cookie", "")
    assert browser.get("/v1/me").status_code == 401
    return answer.text


def test_an_answer_counts_once_in_the_browser_that_asked(service: httpx.Client) -> None:
    asked, other = visitor(service), visitor(service)
    address = until_the_callback(asked)
    told = "was not started in this browser"
    assert told in refused(other, address, 400)
    assert told in refused(asked, re.sub(r"state=[^&]+", "state=guessed", address), 400)
    assert told in refused(asked, re.sub(r"&?state=[^&]+", "", address), 400)
    assert asked.get(address).status_code == 302
    asked.cookies.delete(SESSION)
    assert told in refused(asked, address, 400)


def test_a_sign_in_may_not_take_for_ever(service: httpx.Client, clock: list[datetime]) -> None:
    browser = visitor(service)
    address = until_the_callback(browser)
    clock[0] += timedelta(seconds=601)
    assert "took too long" in refused(browser, address, 400)


def test_a_code_of_another_sign_in_does_not_do(service: httpx.Client) -> None:
    mine, other = visitor(service), visitor(service)
    stolen = re.search(r"code=[^&]+", until_the_callback(other))
    assert stolen is not None
    address = re.sub(r"code=[^&]+", stolen[0], until_the_callback(mine))
    assert "no such code" in refused(mine, address, 400)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"claims": {"nonce": "another"}}, "nonce"),
        ({"claims": {"aud": "somebody else"}}, "aud"),
        ({"claims": {"iss": "https://another.test"}}, "iss"),
        ({"claims": {"exp": 1}}, "ExpiredTokenError"),
        ({"claims": {"iat": None}}, "iat"),
        ({"signed": "by another key"}, "BadSignatureError"),
        ({"signed": "with the secret"}, "not valid"),
        ({"signed": "not at all"}, "not valid"),
    ],
    ids=str,
)
def test_an_id_token_that_is_not_the_providers_signs_nobody_in(
    at: tuple[OpenIdProvider, httpx.Client], changes: dict[str, Any], said: str
) -> None:
    openid, service = at
    vars(openid).update(changes)
    browser = visitor(service)
    assert said in refused(browser, until_the_callback(browser), 400)


@pytest.mark.parametrize(
    ("person", "said"),
    [
        ({"groups": []}, "You are signed in as ann@example.org and have no role here"),
        ({"groups": ["salesmen"]}, "Ask whoever runs this service for a role"),
        ({"groups": {"sales": True}}, "have no role here"),
        ({"groups": None}, "have no role here"),
        ({"email": None}, "The claim email of the identity provider names nobody"),
        ({"email": "a\x00b"}, "names nobody"),
        ({"email_verified": False}, "has not verified"),
        ({"email": "<b>x</b>", "groups": []}, "signed in as &lt;b&gt;x&lt;/b&gt;"),
    ],
    ids=str,
)
def test_who_has_no_role_or_no_name_is_told_so(
    at: tuple[OpenIdProvider, httpx.Client], person: dict[str, Any], said: str
) -> None:
    openid, service = at
    openid.person = openid.person | person
    browser = visitor(service)
    text = refused(browser, until_the_callback(browser), 403)
    assert said in text


def test_groups_may_be_in_the_user_info(at: tuple[OpenIdProvider, httpx.Client]) -> None:
    openid, service = at
    openid.person = {"sub": "1", "email": "ann@example.org"}
    openid.userinfo = {"sub": "1", "email": "eve@example.org", "groups": ["it"]}
    browser, _ = signed_in(service)
    me = browser.get("/v1/me").json()
    assert (me["name"], me["roles"]) == ("ann@example.org", ["admin"])
    openid.userinfo = {"sub": "2", "groups": ["it"]}
    other = visitor(service)
    assert "about somebody else" in refused(other, until_the_callback(other), 400)


def test_a_provider_that_says_no_is_told(service: httpx.Client) -> None:
    browser = visitor(service)
    denied = until_the_callback(browser).partition("?")[0] + "?error=access_denied&error_description=not+you"
    assert "access_denied" in refused(browser, denied, 400)


async def address_at(provider: Provider) -> str:
    return await provider.address(Request({"type": "http", "session": {}}))


def test_a_provider_that_is_down_or_another_signs_nobody_in(at: tuple[OpenIdProvider, httpx.Client]) -> None:
    openid, _ = at
    down, there = (
        Provider(ApiSettings(**WHOLE | {"oidc_issuer": issuer})) for issuer in ("http://127.0.0.1:1", openid.issuer)
    )
    with pytest.raises(ProblemError, match=r"cannot be asked \(ConnectError\)") as error:
        asyncio.run(address_at(down))
    assert error.value.status_code == 503
    openid.says_issuer = "https://another.test"
    with pytest.raises(ProblemError, match=r"calls itself https://another\.test"):
        asyncio.run(address_at(there))
    # Asked again, not remembered.
    openid.says_issuer = None
    assert asyncio.run(address_at(there)).startswith(f"{openid.issuer}/authorize?")


# --- the session --------------------------------------------------------------------------------------------------


def changed(cookie: dict[str, str], **claims: Any) -> str:
    """The value of a cookie with other claims and the same signature."""
    head, body, signature = value_of(cookie).split(".")
    read = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{encoded(read | claims)}.{signature}"


VIEWER = cookie_of("viewer")


@pytest.mark.parametrize(
    "value",
    [
        changed(VIEWER, roles=["admin"]), changed(VIEWER, name="bob@example.org"), changed(VIEWER, exp=2**40),
        value_of(VIEWER)[:-4] + "AAAA", value_of(VIEWER).rpartition(".")[0] + ".", "x", "a.b.c", "é",
        f"{encoded({'alg': 'none'})}.{value_of(VIEWER).split('.')[1]}.",
        value_of(cookie_of("admin", secret="another secret " * 3)),
    ],
)  # fmt: skip
def test_a_changed_cookie_is_no_session(service: httpx.Client, value: str) -> None:
    answer = service.get("/v1/series", headers={"Cookie": f"{SESSION}={value}".encode()})
    assert problem(answer, 401).startswith("the session has ended or is not valid")
    assert answer.json()["sign_in"] == "/sign-in"


def test_the_cookie_of_a_sign_in_under_way_is_no_session(service: httpx.Client) -> None:
    browser = visitor(service)
    until_the_callback(browser)
    headers = {"Cookie": f"{SESSION}={browser.cookies[UNDER_WAY]}"}
    assert "has ended or is not valid" in problem(service.get("/v1/series", headers=headers), 401)


def test_a_session_ends_by_the_clock(service: httpx.Client, clock: list[datetime]) -> None:
    session = cookie_of("viewer", hours=1)
    clock[0] += timedelta(minutes=59)
    assert service.get("/v1/me", headers=session).json()["expires_at"] == "2012-10-29T09:00:00Z"
    clock[0] += timedelta(minutes=1, seconds=1)
    assert "ExpiredTokenError" in problem(service.get("/v1/me", headers=session), 401)


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Origin": "https://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://127.0.0.1:1"},
        {"Referer": "http://127.0.0.1/"},
    ],
    ids=str,
)  # fmt: skip
def test_a_write_of_another_site_is_refused(service: httpx.Client, headers: dict[str, str]) -> None:
    sent = cookie_of("admin") | headers | {"Idempotency-Key": "crossing"}
    for path in ("/v1/overrides", "/v1/overrides/1/review", "/v1/forecasts:batch"):
        assert "has to come from a page of http://127.0.0.1:" in problem(
            service.post(path, json=BODY, headers=sent), 403
        )
    problem(service.post("/sign-out", headers=sent), 403)
    assert service.get("/v1/overrides", headers=cookie_of("admin") | headers).status_code == 200
    # Either says enough, and the one that no proxy changes is asked first.
    forged = {"Sec-Fetch-Site": "cross-site", "Origin": own(service)["Origin"]}
    problem(service.post("/v1/overrides", json=BODY, headers=sent | forged), 403)


def test_keys_need_no_page_and_are_somebody_else(service: httpx.Client, store: str) -> None:
    keys = Keys(store)
    token, _ = keys.make("machine", "read", "write")
    keys.engine.dispose()
    until(lambda: service.get("/v1/me", headers=bearer(token)).status_code == 200)
    for number, headers in enumerate(({}, {"Origin": "https://evil.test"}, cookie_of("viewer"))):
        sent = bearer(token) | headers | {"Idempotency-Key": f"machine-{number}"}
        assert service.post("/v1/overrides", json=BODY, headers=sent).json()["author"] == "machine"
    assert service.get("/v1/me", headers=bearer(token)).json() == {
        "name": "machine", "kind": "key", "roles": [], "scopes": ["read", "write"], "expires_at": None,
    }  # fmt: skip


def test_a_person_may_ask_as_often_as_a_key(full_url: str) -> None:
    with signing_in(full_url, None, rate_per_second=0.001, rate_burst=2) as client:
        ann, bob = cookie_of("viewer"), cookie_of("viewer", name="bob@example.org")
        answers = [client.get("/v1/me", headers=one).status_code for one in (ann, ann, bob, ann)]
    assert answers == [200, 200, 200, 429]
