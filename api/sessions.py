"""Signed cookies: who is signed in, and the state of a sign-in that is under way. Source: RFC 7519, RFC 6265.

Nothing is kept here, so every process of the service can read what another has signed. A cookie can be read by whoever
has it, and changed by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.requests import cookie_parser

from api.people import ROLES, SESSION, Principal, Role, person
from api.problems import ProblemError

UNDER_WAY = "demand_sign_in"
# From the click to the provider's answer: a password, perhaps a second factor.
SIGN_IN_S = 600
_ALGORITHM = "HS256"


class SignedCookies:
    """Cookies that this service signs and reads, for the dashboard at `home` alone."""

    def __init__(self, secret: str, home: str, now: Callable[[], datetime]) -> None:
        self._key, self._now = OctKey.import_key(secret), now
        address = urlsplit(home)
        self._path, self._is_secure = address.path or "/", address.scheme == "https"

    def ends(self, seconds: float) -> datetime:
        """When a cookie ends that is given now."""
        return self._now() + timedelta(seconds=seconds)

    def put(self, response: Response, name: str, claims: Mapping[str, Any], seconds: float) -> None:
        """Give the browser `claims` under `name`, for `seconds`."""
        ends = int(self.ends(seconds).timestamp())
        # The audience keeps one kind of cookie from being taken for the other.
        value = jwt.encode({"alg": _ALGORITHM}, {**claims, "aud": name, "exp": ends}, self._key)
        # Lax: the provider leads back here by a link of another site, which Strict would send without cookies.
        response.set_cookie(
            name, value, int(seconds), path=self._path, secure=self._is_secure, httponly=True, samesite="lax"
        )

    def drop(self, response: Response, name: str) -> None:
        """Take `name` away from the browser."""
        response.delete_cookie(name, path=self._path, secure=self._is_secure, httponly=True, samesite="lax")

    def read(self, headers: Mapping[bytes, bytes], name: str) -> Mapping[str, Any] | None:
        """Claims of a cookie; None without one, JoseError for one that is not ours, was changed, or has ended."""
        value = cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(name)
        if not value:
            return None
        token = jwt.decode(value, self._key, algorithms=[_ALGORITHM])
        rules = jwt.JWTClaimsRegistry(
            now=int(self._now().timestamp()), aud={"essential": True, "value": name}, exp={"essential": True}
        )
        rules.validate(token.claims)
        return token.claims


class Sessions:
    """Who is signed in, by their cookie."""

    def __init__(self, cookies: SignedCookies, hours: float) -> None:
        self.cookies, self.seconds = cookies, hours * 3600

    @property
    def ends(self) -> datetime:
        """When a session ends that begins now."""
        return self.cookies.ends(self.seconds)

    def begin(self, response: Response, who: Principal) -> None:
        """Sign `who` in."""
        self.cookies.put(response, SESSION, {"name": who.name, "roles": who.roles}, self.seconds)

    def end(self, response: Response) -> None:
        """Sign out."""
        self.cookies.drop(response, SESSION)

    async def principal(self, headers: Mapping[bytes, bytes]) -> Principal | None:
        """Who is signed in; None for nobody, ProblemError 401 for a session that has ended or that is not ours."""
        try:
            claims = self.cookies.read(headers, SESSION)
        except (JoseError, ValueError) as error:
            raise ProblemError(401, f"the session has ended or is not valid ({type(error).__name__})") from None
        if claims is None:
            return None
        roles = tuple(cast(Role, role) for role in claims["roles"] if role in ROLES)
        return person("session", claims["name"], roles, datetime.fromtimestamp(claims["exp"], UTC))
