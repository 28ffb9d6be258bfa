"""uvicorn with bounds on a request's head: how many bytes it may have, and how long they may take to arrive.

uvicorn has neither: httptools gathers a header of any length (60 MB held the event loop for 94 s), and nothing ends a
connection whose head never does. Its protocol classes are no documented interface, so nothing else imports them.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.logs import new_request_id
from api.problems import MEDIA_TYPE, body_of
from api.settings import ApiSettings

# Longer than a load balancer's 60 s, or it sends requests into connections that this side has just closed.
KEEP_ALIVE_S = 75
# A refused caller may still be sending: closed at once, the connection would be reset before it reads why.
LINGER_S = 1.0
_LOG = logging.getLogger("api.server")


def options_of(settings: ApiSettings) -> dict[str, Any]:
    """Arguments of `uvicorn.run` and `uvicorn.Config` that bound what a caller can hold."""
    return {
        "http": bounded(default_protocol(), settings.header_bytes, settings.header_seconds),
        # Not a protocol of this service; an upgrade would hand the connection to one without these bounds.
        "ws": "none",
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": 30,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        # One process; WEB_CONCURRENCY, which some hosts set, would stop an application that is not named by its import.
        "workers": 1,
    }


def default_protocol() -> type[BoundedHead]:
    """The one that uvicorn would take: httptools, or h11 where that is not installed."""
    try:
        import httptools  # noqa: F401
    except ImportError:
        return BoundedH11
    return bounded_httptools()


def bounded(protocol: type[BoundedHead], most_bytes: int, seconds: float) -> type[BoundedHead]:
    """`protocol` with these bounds on the head of each request."""
    return type(protocol.__name__, (protocol,), {"most_bytes": most_bytes, "seconds": seconds})


class BoundedHead(asyncio.Protocol):
    """In front of one of uvicorn's protocols: 431 for a head of too many bytes, 408 for one that is too slow.

    Counted are the bytes that lead nowhere: neither a whole head nor part of a body that is read. So trailers, chunk
    extensions, blank lines and a body after its answer are bounded as well.
    """

    most_bytes: ClassVar[int]
    seconds: ClassVar[float]
    transport: Any
    cycle: Any
    loop: asyncio.AbstractEventLoop
    _deadline: asyncio.TimerHandle | None = None
    _refused = False
    pending = 0
    """Bytes received that have led nowhere yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the first request's head its time."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand `data` on in pieces, so that no piece takes a head past its bound unseen."""
        while data and not self._refused:
            room = self.most_bytes - self.pending
            piece, data = data[:room], data[room:]
            self.pending += len(piece)
            super().data_received(piece)
            self.settle()
            if self.pending >= self.most_bytes:
                self.refuse(431, f"the head of a request may have {self.most_bytes:,} bytes")
        if self._refused or self.pending == 0 or self._answering():
            self._disarm()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._too_slow)

    def settle(self) -> None:
        """Correct `pending` after a piece, where the protocol makes no calls that do."""

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for bytes that are no request."""
        self.refuse(400, "these bytes are no HTTP/1.1 request")

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem, unless an answer has begun, and close."""
        self._refused = True
        self._disarm()
        request_id = new_request_id()
        _LOG.warning(detail, extra={"status": status, "request_id": request_id})
        if self._answering():
            # The application learns that its caller is gone, and sends nothing after this.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        body = body_of(status, detail, request_id)
        lines = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}", f"x-request-id: {request_id}", "cache-control: no-store",
            "x-content-type-options: nosniff", "connection: close", "\r\n",
        )  # fmt: skip
        self.transport.write("\r\n".join(lines).encode() + body)
        self.transport.pause_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_slow(self) -> None:
        self._deadline = None
        if self.pending == 0:
            # Nothing was asked: browsers open connections ahead, and would take a 408 for the answer to their next.
            self.transport.close()
        else:
            self.refuse(408, f"the head of the request did not arrive within {self.seconds:g} s")

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class BoundedH11(BoundedHead, H11Protocol):
    """h11, which keeps what it cannot use yet in a buffer."""

    def settle(self) -> None:
        """Pending is what is in that buffer; none while a pipelined request waits there, since reading is paused."""
        state = self.conn.their_state
        if state is h11.SEND_BODY and self.cycle.response_complete:
            return
        self.pending = len(self.conn.trailing_data[0]) if state in (h11.IDLE, h11.SEND_BODY) else 0


def bounded_httptools() -> type[BoundedHead]:
    """The class over httptools, which is imported only where it is installed."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class BoundedHttpTools(BoundedHead, HttpToolsProtocol):
        """httptools, which calls for each part of a request that it has read."""

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self.pending = 0

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            if not self.cycle.response_complete:
                self.pending = 0

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self.pending = 0

    return BoundedHttpTools
