"""Requests per second of each caller. Source: the token bucket (generic cell rate algorithm, ITU-T I.371)."""

from __future__ import annotations

_MOST_CALLERS = 10_000


class RateLimiter:
    """Lets this process's share of `rate` requests a second through, and of `burst` at once.

    Each of `processes` counts by itself, so together they let no more through, and less where a caller's requests do
    not come to all of them alike.
    """

    def __init__(self, rate: float, burst: int, processes: int = 1) -> None:
        self._interval = processes / rate
        self._tolerance = (burst // processes) * self._interval
        # Caller -> the time at which its bucket is full again.
        self._full_at: dict[str, float] = {}

    def wait(self, caller: str, now: float) -> float:
        """Seconds until the next request may come, 0 to let this one through. `now`: a monotonic clock, s."""
        full_at = max(self._full_at.get(caller, now), now)
        wait = full_at + self._interval - self._tolerance - now
        # Above the rounding error of a clock that has run for months, and too short for anyone to notice.
        if wait > 1e-6:
            return wait
        if len(self._full_at) >= _MOST_CALLERS:
            self._full_at = {name: moment for name, moment in self._full_at.items() if moment > now}
        self._full_at[caller] = full_at + self._interval
        return 0.0
