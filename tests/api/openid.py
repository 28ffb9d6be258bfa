"""A small OpenID provider: discovery, keys, authorisation with PKCE, tokens, user info."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.api.conftest import free_port, listening

CLIENT_ID, CLIENT_SECRET = "demand", "a secret of the provider"
ALGORITHMS = ("RS256", "ES256")
ANN = {"sub": "1", "email": "ann@example.org", "groups": ["sales-planners"]}


@cache
def key_of(algorithm: str, number: int = 0) -> RSAKey | ECKey:
    """A key that is made once, since one of RSA takes 0.1 s."""
    options = {"kid": f"{algorithm}-{number}", "alg": algorithm, "use": "sig"}
    return RSAKey.generate_key(2048, options) if algorithm == "RS256" else ECKey.generate_key("P-256", options)


@dataclass
class OpenIdProvider:
    """Who signs in is `person`; `claims` and `signed` say what is wrong with the ID token, where something is."""

    algorithm: str = "RS256"
    person: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=lambda: {"sub": ANN["sub"]})
    signed: Literal["right", "by another key", "with the secret", "not at all"] = "right"
    # Whether the page of the provider waits for a click.
    asks: bool = False
    issuer: str = ""
    says_issuer: str | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._described),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _described(self, request: Request) -> Response:
        names = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        described: dict[str, Any] = {f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in names.items()}
        described |= {"issuer": self.says_issuer or self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        return JSONResponse(described | {"id_token_signing_alg_values_supported": [*ALGORITHMS, "HS256", "none"]})

    async def _keys(self, request: Request) -> Response:
        return JSONResponse(KeySet([key_of(algorithm) for algorithm in ALGORITHMS]).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        if self.asks:
            link = f'<a href="{escape(back)}">Continue as {escape(self.person["email"])}</a>'
            return HTMLResponse(f"<!doctype html><title>Provider</title>{link}")
        return RedirectResponse(back, 302)

    async def _token(self, request: Request) -> Response:
        given = dict(parse_qsl((await request.body()).decode()))
        asked = self.codes.pop(given.get("code", ""), None)
        kind, _, client = request.headers.get("authorization", "").partition(" ")
        if (kind, client) != ("Basic", base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()):
            return JSONResponse({"error": "invalid_client"}, 401)
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["redirect_uri"], asked["code_challenge"]) != (given["redirect_uri"], challenge):
            return JSONResponse({"error": "invalid_grant", "error_description": "no such code"}, 400)
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": self._id_token(asked)})

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "nonce": asked["nonce"], **times, **self.person, **self.claims}
        if self.signed == "not at all":
            return ".".join((encoded({"alg": "none"}), encoded(claims), ""))
        keys = {"by another key": key_of(self.algorithm, 1), "with the secret": OctKey.import_key(CLIENT_SECRET)}
        key = keys.get(self.signed) or key_of(self.algorithm)
        header = {"alg": "HS256" if self.signed == "with the secret" else self.algorithm, "kid": f"{self.algorithm}-0"}
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer opaque"
        return JSONResponse(self.userinfo)


def encoded(part: dict[str, Any]) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@contextmanager
def provider(**options: Any) -> Iterator[OpenIdProvider]:
    """A provider on a free port of loopback."""
    made = OpenIdProvider(**options)
    with listening(made.app(), free_port(), log_config=None, access_log=False, ws="none") as address:
        made.issuer = address
        yield made
