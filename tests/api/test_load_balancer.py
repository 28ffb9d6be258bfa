"""The identity that a load balancer states: accepted when it has signed it, refused however else it is made."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api import ApiSettings
from api.load_balancer import LoadBalancer
from api.people import ClaimRules, parse_grants
from api.problems import ProblemError
from tests.api.conftest import Keys, bearer, free_port, listening, monday, problem
from tests.api.openid import ANN, CLIENT_ID
from tests.api.people import ROLES, cookie_of, own, signing_in, visitor
from tests.api.stores import NOW, fill_full
from tests.api.test_keys import BODY
from tests.waiting import until

ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/demand/0123456789abcdef"
ISSUER = "https://provider.invalid"
KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
SOON = int(NOW.timestamp()) + 120
HEAD = {"typ": "JWT", "kid": "key-1", "alg": "ES256", "iss": ISSUER, "client": CLIENT_ID, "signer": ARN, "exp": SOON}


def part(of: dict[str, Any], *, pad: bool = True) -> str:
    made = base64.urlsafe_b64encode(json.dumps(of).encode()).decode()
    return made if pad else made.rstrip("=")


def signature(signed: str, key: ec.EllipticCurvePrivateKey = KEY) -> str:
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
    return base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()


def stated(
    head: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, *, pad: bool = True,
    key: ec.EllipticCurvePrivateKey = KEY,
) -> dict[str, str]:  # fmt: skip
    """The header as the load balancer makes it, with its padding."""
    given = {**ANN, "exp": SOON, "iss": ISSUER, **(claims or {})}
    signed = f"{part(HEAD | (head or {}), pad=pad)}.{part(given, pad=pad)}"
    return {"X-Amzn-Oidc-Data": f"{signed}.{signature(signed, key)}"}


@dataclass
class PublicKeys:
    """AWS's public keys: what was asked for, and what is answered in its place."""

    asked: list[str] = field(default_factory=list)
    status: int = 200

    async def answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.asked.append(name)
        if name != "key-1" or self.status != 200:
            return PlainTextResponse("no", max(self.status, 403))
        pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return PlainTextResponse(pem)


@pytest.fixture(scope="module")
def public_keys() -> Iterator[tuple[PublicKeys, str]]:
    keys = PublicKeys()
    app = Starlette(routes=[Route("/{name}", keys.answer)])
    with listening(app, free_port(), log_config=None, access_log=False, ws="none") as address:
        yield keys, address


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('balanced') / 'store.db'}"
    fill_full(url)
    return url


@pytest.fixture(scope="module")
def service(url: str, public_keys: tuple[PublicKeys, str]) -> Iterator[httpx.Client]:
    with signing_in(url, None, alb_arn=ARN, alb_key_url=public_keys[1], session_secret="") as client:
        yield client


def test_who_the_load_balancer_has_signed_in_is_the_author(
    service: httpx.Client, public_keys: tuple[PublicKeys, str]
) -> None:
    for pad in (True, False):
        me = service.get("/v1/me", headers=stated(pad=pad)).json()
        assert (me["name"], me["kind"], me["roles"]) == ("ann@example.org", "load_balancer", ["planner"])
    sent = stated() | own(service) | {"Idempotency-Key": "balanced"}
    assert service.post("/v1/overrides", json=BODY, headers=sent).json()["author"] == "ann@example.org"
    assert public_keys[0].asked.count("key-1") == 1


def forged(value: str) -> dict[str, str]:
    return {"X-Amzn-Oidc-Data": value}


GOOD = stated()["X-Amzn-Oidc-Data"]
FIRST, SECOND, THIRD = GOOD.split(".")
FORGED: dict[str, dict[str, str]] = {
    "no JWT": forged("ann@example.org"),
    "empty": forged(""),
    "an identity in plain": {"X-Amzn-Oidc-Data": json.dumps(ANN)},
    "other claims": forged(f"{FIRST}.{part(ANN | {'groups': ['it']})}.{THIRD}"),
    "no signature": forged(f"{FIRST}.{SECOND}."),
    "half a signature": forged(f"{FIRST}.{SECOND}.{THIRD[:40]}"),
    "a signature of zeros": forged(f"{FIRST}.{SECOND}.{base64.urlsafe_b64encode(bytes(64)).decode()}"),
    "unsigned": forged(f"{part(HEAD | {'alg': 'none'})}.{SECOND}."),
    "signed symmetrically": stated({"alg": "HS256"}),
    "another key": stated(key=OTHER),
    "another key by name": stated({"kid": "key-2"}, key=OTHER),
    "a key elsewhere": stated({"kid": "../key-1"}),
    "no key": stated({"kid": None}),
    "another load balancer": stated({"signer": ARN.replace("demand", "evil")}),
    "no load balancer": stated({"signer": None}),
    "another issuer": stated({"iss": "https://evil.test"}),
    "claims of another issuer": stated(claims={"iss": "https://evil.test"}),
    "another client": stated({"client": "other"}),
    "expired": stated({"exp": int(NOW.timestamp())}),
    "no end": stated({"exp": None}),
    "an end that is no number": stated({"exp": "2999"}),
    "a list": forged(f"{base64.urlsafe_b64encode(b'[]').decode()}.{SECOND}.{THIRD}"),
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_a_forged_identity_is_refused(service: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/v1/series"), ("GET", "/sign-in"), ("POST", "/v1/overrides")):
        refused = service.request(
            method, path, headers=headers | own(service) | {"Idempotency-Key": "forged"}, json=BODY
        )
        assert problem(refused, 401).startswith("the header x-amzn-oidc-data is not valid: ")
    # What is meant is the key, whatever else is sent.
    problem(service.get("/v1/series", headers=headers | bearer("dk_wrong")), 401)


def test_a_key_counts_beside_the_header(url: str, service: httpx.Client) -> None:
    keys = Keys(url)
    token, _ = keys.make("machine", "read")
    keys.engine.dispose()
    headers = bearer(token) | FORGED["unsigned"]
    until(lambda: service.get("/v1/me", headers=headers).status_code == 200)
    me = service.get("/v1/me", headers=headers).json()
    assert (me["name"], me["kind"]) == ("machine", "key")


def test_sign_in_is_the_load_balancers(service: httpx.Client) -> None:
    home = str(service.base_url).rstrip("/")
    answer = service.get("/sign-in", params={"next": "/#/drift"}, headers=stated())
    assert (answer.status_code, answer.headers["location"]) == (302, f"{home}/#/drift")
    problem(service.get("/sign-in", params={"next": "//evil.test"}, headers=stated()), 422)
    refused = service.get("/v1/series", headers=cookie_of("admin"))
    assert (problem(refused, 401).startswith("nobody is signed in"), refused.json()["sign_in"]) == (True, "/sign-in")
    problem(service.get("/sign-in/callback", headers=stated()), 404)
    browser = visitor(service)
    ended = browser.post("/sign-out", headers=stated() | own(service))
    assert ended.status_code == 204
    assert [one.partition("=")[0] for one in ended.headers.get_list("set-cookie")] == [
        f"AWSELBAuthSessionCookie-{number}" for number in range(4)
    ]


def test_roles_and_pages_count_as_in_a_session(service: httpx.Client) -> None:
    nobody = service.get("/v1/series", headers=stated(claims={"groups": []}))
    assert problem(nobody, 403).startswith("you are signed in as ann@example.org and have no role")
    body, key = BODY, {"Idempotency-Key": "viewer"}
    viewer = service.post("/v1/overrides", json=body, headers=stated(claims={"groups": "sales"}) | own(service) | key)
    assert problem(viewer, 403) == "ann@example.org (viewer) lacks the scope write"
    for crossing in ({}, {"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = service.post("/v1/overrides", json=body, headers=stated() | crossing | key)
        assert "has to come from a page of" in problem(refused, 403)


def door(key_url: str) -> LoadBalancer:
    rules = ClaimRules("email", "groups", parse_grants("ROLES", ROLES))
    return LoadBalancer(ARN, key_url, ISSUER, CLIENT_ID, rules, monday)


def test_while_keys_cannot_be_had_nobody_is_let_in_and_nothing_is_remembered(
    public_keys: tuple[PublicKeys, str],
) -> None:
    keys, address = public_keys
    headers = {b"x-amzn-oidc-data": GOOD.encode()}
    checking = door(address)
    keys.status = 500
    with pytest.raises(ProblemError, match=r"cannot be checked: .* answers 500") as error:
        asyncio.run(checking.principal(headers))
    assert (error.value.status_code, error.value.headers) == (503, {"Retry-After": "5"})
    keys.status = 200
    assert str(asyncio.run(checking.principal(headers))) == "ann@example.org (planner)"
    with pytest.raises(ProblemError, match=r"does not answer \(ConnectError\)"):
        asyncio.run(door("http://127.0.0.1:1").principal(headers))


def test_its_keys_are_at_awss_address_for_its_region() -> None:
    settings = ApiSettings(
        store_url="sqlite:///x.db", public_url="https://demand.test", oidc_issuer=ISSUER, oidc_client_id="x",
        oidc_roles="viewer=*", alb_arn=ARN,
    )  # fmt: skip
    assert settings.sign_in == "load_balancer"
    assert door("").key_url == "https://public-keys.auth.elb.eu-central-1.amazonaws.com"
