"""Errors of the client.

DemandError
    RefusedError       the service refused the request (4xx), or failed (500)
    UnavailableError   it could not be reached, or said so (429, 503) as often as it was asked
"""

from __future__ import annotations


class DemandError(Exception):
    """What went wrong, in one line."""


class RefusedError(DemandError):
    """The service's answer: its HTTP `status`, its `detail`, and the `request_id` that its log has."""

    def __init__(self, status: int, detail: str, request_id: str | None) -> None:
        super().__init__(f"{status}: {detail} (request {request_id})")
        self.status, self.detail, self.request_id = status, detail, request_id


class UnavailableError(DemandError):
    """The service does not answer now."""
