"""What Prometheus reads from /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.snapshot import State

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application, in a registry of its own, so that two in one process do not add up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "demand_api_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "demand_api_request_seconds", "Time to answer.", ["route"], buckets=_BUCKETS, registry=self.registry
        )
        self.limited = Counter("demand_api_rate_limited", "Requests over their rate.", registry=self.registry)
        self.unauthorised = Counter("demand_api_unauthorised", "Requests without valid key.", registry=self.registry)
        gauges = {
            "up": ("demand_api_store_up", "1 while the store can be read."),
            "stale": ("demand_api_forecast_stale", "1 while the newest forecast is overdue for a successor."),
            "origin": (
                "demand_api_newest_origin_timestamp_seconds",
                "Start of the day that ends the newest origin week, UTC.",
            ),
            "rows": ("demand_api_memory_forecasts", "Forecasts held in memory."),
            "loads": ("demand_api_vintages_loaded", "Vintages read into memory since the start."),
        }
        self._gauges = {key: Gauge(name, text, registry=self.registry) for key, (name, text) in gauges.items()}
        # labels() looks a child up under a lock; routes are few.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request."""
        key = (route, method, status)
        pair = self._children.get(key)
        if pair is None:
            pair = self._requests.labels(route, method, str(status)), self._seconds.labels(route)
            self._children[key] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def text(self, state: State) -> bytes:
        """All of it in Prometheus' text form."""
        snapshot = state.snapshot
        self._gauges["up"].set(state.problem is None)
        self._gauges["loads"].set(state.vintage_loads)
        if snapshot is not None:
            self._gauges["stale"].set(snapshot.is_stale)
            week = snapshot.vintage["origin_week"]
            self._gauges["origin"].set((week.toordinal() - 719_163) * 86_400)
            self._gauges["rows"].set(len(snapshot.rows or ()))
        return generate_latest(self.registry)
