"""Spans of each request to an OpenTelemetry collector; needs the extra `tracing`."""

from __future__ import annotations

from fastapi import FastAPI


def trace(app: FastAPI) -> None:
    """Wrap `app`; where spans go is read from the standard OTEL_* variables."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # OTEL_SERVICE_NAME, if set, wins over this name.
    provider = TracerProvider(resource=Resource({SERVICE_NAME: "demand-api"}).merge(Resource.create()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider, excluded_urls="health,ready,metrics")
