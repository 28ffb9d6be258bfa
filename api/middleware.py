"""Middleware: request id, host, identity, rate and size of each request; then headers, metrics and a log line.

Plain ASGI, since it is on the path of every request. Point reads of the newest vintage are answered here from memory;
whatever is unusual about one goes on to the route, which gives the same answer or says what is wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Mapping

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import RateLimiter
from api.logs import new_request_id
from api.people import Identify, Principal
from api.points import parse_plain_query
from api.problems import MEDIA_TYPE, RETRY_AFTER_S, ProblemError, body_of
from api.same_origin import require_same_origin
from api.service import Service
from api.settings import ApiSettings
from demand_assets.errors import StoreError

ACCESS = logging.getLogger("api.access")
ERRORS = logging.getLogger("api.errors")
Header = tuple[bytes, bytes]
# Open to all: for load balancers, browsers without an identity yet, and readers of the reference.
_OPEN_PATHS = frozenset({"/", "/docs", "/health", "/ready", "/openapi.json"})
_OPEN_FOR_SIGN_IN = {
    None: frozenset[str](),
    # A load balancer sees to /sign-in itself: who comes through to it without an identity is refused.
    "load_balancer": frozenset({"/sign-out"}),
    "here": frozenset({"/sign-in", "/sign-in/callback", "/sign-out"}),
}
_PROBE_PATHS = frozenset({"/health", "/ready"})
_OPEN_PREFIX = "/static/"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_SECURITY: list[Header] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; object-src 'none'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
]
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_READS = frozenset({"/v1/forecasts:batch", "/v1/workbooks"})
_METHODS = _WRITES | {"GET", "HEAD", "OPTIONS"}


class ServiceMiddleware:
    """ASGI middleware around the whole application. `identify` tells who is signed in; None where nobody can be."""

    def __init__(
        self, app: ASGIApp, *, settings: ApiSettings, service: Service, identify: Identify | None = None
    ) -> None:
        self.app, self.settings, self.service, self.identify = app, settings, service, identify
        self.state, self.metrics, self.now = service.state, service.metrics, service.now
        self.limiter = RateLimiter(settings.rate_per_second, settings.rate_burst, settings.processes)
        self.root_path = settings.root_path
        self.hosts, self.identity_required = settings.hosts, settings.identity_required
        self.open_paths = _OPEN_PATHS | _OPEN_FOR_SIGN_IN[settings.sign_in]
        self.answer: ASGIApp = self._answer
        if settings.origins:
            # Around this middleware's own answers too: a page is to read the forecast, and why it is refused.
            self.answer = CORSMiddleware(
                self._answer,
                allow_origins=sorted(settings.origins),
                allow_methods=["GET", "POST"],
                allow_headers=[
                    "Authorization",
                    "X-API-Key",
                    "Content-Type",
                    "Idempotency-Key",
                    "If-None-Match",
                    "Range",
                ],
                expose_headers=["Accept-Ranges", "Content-Range", "ETag", "Link", "X-Request-Id", "Retry-After"],
            )
        self.quiet = settings.log_level in ("warning", "error")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        request_id = given.decode() if given and _REQUEST_ID.fullmatch(given) else new_request_id()
        scope["request_id"] = request_id
        sent = _RecordedSend(send, [(b"x-request-id", request_id.encode()), *_SECURITY], head=scope["method"] == "HEAD")
        if sent.head:
            # A copy: the server looks at its own to know that no body follows.
            scope = {**scope, "method": "GET"}
        if self.root_path and scope["path"].startswith(f"{self.root_path}/"):
            # The proxy leaves the prefix in. In place, as the server's own scope says nothing of it later.
            scope["path"] = scope["path"].removeprefix(self.root_path)
        scope["recorded"], scope["named_headers"] = sent, headers
        await self.answer(scope, receive, sent)
        # The server's own state holds the scope: left in it, this would be a circle that only the garbage collector
        # ends, with a pause of 50 ms each time.
        del scope["recorded"], scope["named_headers"]
        self._record(scope, sent, started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request; `send` may add the headers of CORS to what is sent here."""
        headers: dict[bytes, bytes] = scope["named_headers"]
        sent, request_id = scope["recorded"], scope["request_id"]
        try:
            if self._admit(scope, headers):
                who = self._key_owner(headers) or await self._person(scope, headers)
                self._require_allowed(scope, who)
                scope["principal"] = who
            answer = await self._point_read(scope, headers)
            if answer is None:
                await self.app(scope, self._limit_body(scope, headers, receive), send)
            else:
                await _send(send, *answer)
            return
        except StoreError as error:
            problem = ProblemError(503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})
        except ProblemError as error:
            problem = error
        except Exception:  # noqa: BLE001 the last resort of every request
            # The log has the traceback; the caller gets none of it.
            ERRORS.exception("unexpected error", extra={"request_id": request_id, "path": scope["path"]})
            problem = ProblemError(500, f"unexpected error; the log has it as request {request_id}")
        if sent.status == 0:
            await _send_problem(send, problem, request_id)

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request has to say who sends it; ProblemError for one that nobody may send."""
        path = scope["path"]
        # A load balancer asks after health by the address of the process.
        if self.hosts and path not in _PROBE_PATHS:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name, _, port = host.rpartition(":")
            name = name if port.isdigit() else host
            if name not in self.hosts:
                raise ProblemError(421, f"host {name[:80]!r} is not served here; see DEMAND_API_ALLOWED_HOSTS")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.settings.body_bytes:
            raise _too_large(self.settings.body_bytes)
        if not self.identity_required or scope["method"] == "OPTIONS":
            return False
        return not (path in self.open_paths or path.startswith(_OPEN_PREFIX))

    def _require_allowed(self, scope: Scope, who: Principal) -> None:
        """ProblemError for a request over the rate of `who`, or beyond what `who` may do."""
        wait = self.limiter.wait(who.key_id, time.monotonic())
        if wait > 0:
            self.metrics.limited.inc()
            processes = self.settings.processes
            shared = f" in {processes} processes, of which each lets its share through" if processes > 1 else ""
            raise ProblemError(
                429,
                f"more than {self.settings.rate_per_second:g} requests a second{shared}; wait {wait:.1f} s",
                headers={"Retry-After": str(max(1, round(wait + 0.5)))},
            )
        needed = _scope_for(scope["method"], scope["path"])
        if needed not in who.scopes:
            raise ProblemError(403, f"{who} lacks the scope {needed}")

    def _key_owner(self, headers: Mapping[bytes, bytes]) -> Principal | None:
        """Whom the request's key belongs to; None for a request without one where people can sign in."""
        token = headers.get(b"x-api-key")
        if token is None:
            kind, _, rest = headers.get(b"authorization", b"").partition(b" ")
            token = rest.strip() if kind.lower() == b"bearer" else None
        if token is None and self.identify is not None:
            return None
        if self.state.refreshed_at is None:
            raise ProblemError(
                503, f"keys cannot be checked: {self.state.problem}", headers={"Retry-After": str(RETRY_AFTER_S)}
            )
        found = self.state.keys.get(hashlib.sha256(token).hexdigest()) if token else None
        if found is None or (found.expires_at is not None and found.expires_at <= self.now()):
            reason = "the API key is not valid" if token else "an API key is needed"
            raise self._unauthorised(f"{reason}; send it as `Authorization: Bearer KEY`")
        return found

    async def _person(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Principal:
        """Who is signed in; ProblemError 401 for nobody, and 403 for what a page of another site sends."""
        assert self.identify is not None  # else there is a key, or the request was refused for want of one
        # The dashboard goes there by itself; what calls the API shows it.
        sign_in = f"{self.root_path}/sign-in"
        try:
            found = await self.identify(headers)
        except ProblemError as error:
            if error.status_code == 401:
                raise self._unauthorised(f"{error.detail}; sign in again at {sign_in}", sign_in=sign_in) from None
            raise
        if found is None:
            needed = f"nobody is signed in; sign in at {sign_in}, or send an API key as `Authorization: Bearer KEY`"
            raise self._unauthorised(needed, sign_in=sign_in)
        if scope["method"] in _WRITES:
            require_same_origin(headers, self.settings.home)
        return found

    def _unauthorised(self, detail: str, **extra: str) -> ProblemError:
        self.metrics.unauthorised.inc()
        return ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="demand"'}, **extra)

    async def _point_read(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[int, list[Header], bytes] | None:
        """The plain form of GET /forecast, if it asks for what there is."""
        if scope["path"] != "/forecast" or scope["method"] != "GET":
            return None
        plain = parse_plain_query(scope["query_string"])
        if plain is None:
            return None
        made = self.service.points.from_memory(plain[0])
        if made is None and self.state.problem is None:
            made = await self.service.points.from_store(*plain)
        if made is None:
            return None
        body, tag = made
        known = headers.get(b"if-none-match")
        scope["route_path"] = "/forecast"
        always = [(b"etag", tag), (b"cache-control", b"private, no-cache"), (b"vary", b"Accept")]
        if known is not None and (tag in known or known.strip() == b"*"):
            return 304, always, b""
        length = (b"content-length", str(len(body)).encode())
        return 200, [(b"content-type", b"application/json"), length, *always], body

    def _limit_body(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> Receive:
        """`receive` that ends a body which is too large or too slow."""
        if scope["method"] not in _WRITES and b"content-length" not in headers:
            return receive
        deadline = time.monotonic() + self.settings.body_seconds
        size, complete = 0, False

        async def limited() -> Message:
            nonlocal size, complete
            if complete:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), deadline - time.monotonic())
            except TimeoutError:
                raise ProblemError(
                    408,
                    f"the body did not arrive within {self.settings.body_seconds:g} s",
                    headers={"Connection": "close"},
                ) from None
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > self.settings.body_bytes:
                raise _too_large(self.settings.body_bytes)
            return message

        return limited

    def _record(self, scope: Scope, sent: _RecordedSend, started: float) -> None:
        seconds = time.perf_counter() - started
        route = scope.get("route_path") or getattr(scope.get("route"), "path", None) or "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.count(route, method, sent.status, seconds)
        if self.quiet and sent.status < 500:
            return
        ACCESS.log(
            logging.ERROR if sent.status >= 500 else logging.INFO,
            "%s %s %d",
            scope["method"],
            scope["path"],
            sent.status,
            extra={
                "request_id": scope["request_id"],
                "route": route,
                "status": sent.status,
                "ms": round(seconds * 1000, 2),
                "bytes": sent.size,
                **_who(scope.get("principal")),
            },
        )


class _RecordedSend:
    """`send` that adds headers, drops the body of an answer to HEAD, and remembers what was answered."""

    __slots__ = ("common", "head", "send", "size", "status")

    def __init__(self, send: Send, common: list[Header], *, head: bool) -> None:
        self.send, self.common, self.head = send, common, head
        self.status = self.size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.common]
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
            if self.head:
                message = {**message, "body": b""}
        await self.send(message)


def _who(sender: Principal | None) -> dict[str, str]:
    """Who sent a request, as the log says it."""
    if sender is None:
        return {}
    return {"key": sender.key_id} if sender.kind == "key" else {"person": sender.name}


def _scope_for(method: str, path: str) -> str:
    """The scope that a request needs. A batch of reads is a POST because of its size alone, and so is a workbook."""
    if method not in _WRITES or path in _READS:
        return "read"
    return "approve" if path.endswith("/review") else "write"


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, f"a body may have {limit:,} bytes", headers={"Connection": "close"})


async def _send(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_problem(send: Send, problem: ProblemError, request_id: str) -> None:
    body = body_of(problem.status_code, problem.detail, request_id, problem.extra)
    headers: list[Header] = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.lower().encode(), value.encode()) for name, value in (problem.headers or {}).items()),
    ]
    await _send(send, problem.status_code, headers, body)
