"""Requests of the client: its key, waiting when it is told to, errors as exceptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from demand_client.errors import RefusedError, UnavailableError

_TO_WAIT = (429, 503)
_WAIT_S = 5.0


class Transport:
    """Sends requests; `attempts` in all where the service says to come later. `sleep` waits that many seconds."""

    def __init__(self, http: httpx.Client, attempts: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self.http, self._attempts, self._sleep = http, attempts, sleep

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of 200 or 201; RefusedError for another, UnavailableError without one."""
        for left in reversed(range(self._attempts)):
            try:
                answer = self.http.request(method, path, **options)
            except httpx.TransportError as error:
                raise UnavailableError(f"{self.http.base_url} does not answer: {error}") from error
            if answer.is_success:
                return answer
            if answer.status_code not in _TO_WAIT:
                raise refused(answer)
            if left:
                self._sleep(float(answer.headers.get("Retry-After", _WAIT_S)))
        last = refused(answer)
        raise UnavailableError(f"asked {self._attempts} times, the last answer was {last}") from last


def refused(answer: httpx.Response) -> RefusedError:
    """The error that an answer of another status is."""
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    body: Mapping[str, Any] = answer.json() if is_problem else {}
    detail = body.get("detail") or f"expected a problem, got {answer.text[:100]!r}"
    return RefusedError(answer.status_code, detail, body.get("request_id"))
