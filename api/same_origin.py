"""Writes of people who are signed in come from this service's own pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from api.problems import ProblemError


def require_same_origin(headers: Mapping[bytes, bytes], home: str) -> None:
    """ProblemError 403 unless a page of `home` sends the request.

    A browser adds its cookies to whatever any page makes it send, so a cookie alone does not say that its owner wants
    this. Which page it is the browser says itself, in headers that no script can set: Sec-Fetch-Site over https and on
    loopback, Origin with every request that is neither GET nor HEAD. All browsers since 2023 send the first, all since
    2020 the second. One that sends neither is refused, so no token in forms is needed beside it. What sends no cookie,
    such as a program with a key, is not asked. Source: Fetch Metadata; OWASP, cross-site request forgery prevention.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin", b"").decode("latin-1")
    own = urlsplit(home.lower())
    if site == b"same-origin" or (site is None and origin == f"{own.scheme}://{own.netloc}"):
        return
    said = site.decode("latin-1") if site is not None else origin or "none"
    raise ProblemError(
        403, f"what is written by a signed-in person has to come from a page of {home}, got {said[:80]!r}"
    )
