"""Spans of each request to an OpenTelemetry collector; needs the extra `tracing`."""

from __future__ import annotations

import os

from fastapi import FastAPI


def trace(app: FastAPI) -> None:
    """Wrap `app`; where spans go is read from the standard OTEL_* variables."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # A name given here wins over the variable, so the variable is read here.
    name = os.environ.get("OTEL_SERVICE_NAME", "demand-api")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider, excluded_urls="health,ready,metrics")
