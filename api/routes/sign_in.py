"""Sign-in and sign-out, which browsers open: their answers are pages and redirects, their errors pages too."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Awaitable, Callable
from functools import wraps
from string import Template
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from joserfc.errors import JoseError

from api.load_balancer import COOKIES
from api.people import ClaimRules
from api.problems import ProblemError
from api.provider import Provider
from api.same_origin import require_same_origin
from api.sessions import SIGN_IN_S, UNDER_WAY, Sessions
from api.settings import ApiSettings

LOG = logging.getLogger("api.sign_in")
# The pages of this service with what stands behind #, and nothing else: a sign-in is no way to another site.
_TARGET = re.compile(r"/(docs)?(#[!-~]{0,2000})?")
_NO_STORE = {"Cache-Control": "no-store"}
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title &ndash; Demand forecasts</title>
<link rel="icon" href="$home/static/icon.svg" type="image/svg+xml">
<script src="$home/static/js/theme.js"></script>
<link rel="stylesheet" href="$home/static/css/base.css">
<link rel="stylesheet" href="$home/static/css/parts.css">
</head>
<body>
<main>
<h1>$title</h1>
<p>$text</p>
<p><a href="$home/sign-in">Sign in</a></p>
</main>
</body>
</html>
""")
Route = Callable[..., Awaitable[Response]]


def sign_in_routes(settings: ApiSettings, sessions: Sessions, rules: ClaimRules) -> APIRouter:
    """/sign-in, and where the provider's answer arrives; neither is part of the API that programs call."""
    router = APIRouter(include_in_schema=False)
    provider, cookies = Provider(settings), sessions.cookies

    def read(request: Request) -> dict[str, Any]:
        try:
            return dict(cookies.read(request.scope["named_headers"], UNDER_WAY) or {})
        except (JoseError, ValueError):
            return {}  # as if there were none: whatever comes back then has no state to match

    @router.get("/sign-in")
    @_as_page(settings)
    async def sign_in(request: Request) -> Response:
        target = target_of(request)
        # Authlib keeps here what it is to compare the answer with.
        request.scope["session"] = {}
        answer = RedirectResponse(await provider.address(request), 302, _NO_STORE)
        cookies.put(answer, UNDER_WAY, {"state": request.session, "target": target}, SIGN_IN_S)
        return answer

    @router.get("/sign-in/callback")
    @_as_page(settings)
    async def callback(request: Request) -> Response:
        begun = read(request)
        request.scope["session"] = begun.get("state", {})
        claims = await provider.claims(request)
        who = rules.person("session", claims, sessions.ends)
        answer = RedirectResponse(settings.home + begun["target"], 302, _NO_STORE)
        sessions.begin(answer, who)
        cookies.drop(answer, UNDER_WAY)
        LOG.info("%s is signed in", who)
        return answer

    return router


def load_balancer_routes(settings: ApiSettings) -> APIRouter:
    """/sign-in where the load balancer has done it already: whoever is refused there comes no further than it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        return RedirectResponse(settings.home + target_of(request), 302, _NO_STORE)

    return router


def sign_out_routes(settings: ApiSettings, sessions: Sessions | None) -> APIRouter:
    """/sign-out: POST ends the session, so that no link of another site can; GET says that it has ended."""
    router = APIRouter(include_in_schema=False)

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        require_same_origin(request.scope["named_headers"], settings.home)
        answer = Response(status_code=204, headers=_NO_STORE)
        if sessions is not None:
            sessions.end(answer)
        for name in COOKIES if sessions is None else ():
            answer.delete_cookie(name, secure=True, httponly=True)
        return answer

    @router.get("/sign-out")
    async def signed_out() -> Response:
        text = "You are signed out here. At your identity provider you may still be signed in."
        return _page(settings, 200, "Signed out", text)

    return router


def target_of(request: Request) -> str:
    """The page to come back to after a sign-in; ProblemError 422 for an address that is none of this service."""
    target = request.query_params.get("next", "/")
    if not _TARGET.fullmatch(target):
        raise ProblemError(422, f"next: expected a page of this service such as /#/overrides, got {target[:80]!r}")
    return target


def _as_page(settings: ApiSettings) -> Callable[[Route], Route]:
    """Problems of a route as pages, since it is a person who reads them."""

    def decorated(route: Route) -> Route:
        @wraps(route)
        async def answered(request: Request) -> Response:
            try:
                return await route(request)
            except ProblemError as problem:
                LOG.warning("sign-in refused: %s", problem.detail, extra={"request_id": request.scope["request_id"]})
                return _page(settings, problem.status_code, "Not signed in", problem.detail)

        return answered

    return decorated


def _page(settings: ApiSettings, status: int, title: str, text: str) -> Response:
    sentence = text[:1].upper() + text[1:].rstrip(".") + "."
    body = _PAGE.substitute(title=title, text=html.escape(sentence), home=html.escape(settings.home))
    return Response(body, status, _NO_STORE, "text/html; charset=utf-8")
