"""Spans reach a collector that speaks OTLP over HTTP."""

import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import httpx

from tests.api.conftest import environment
from tests.api.stores import ASKED, fill
from tests.waiting import GUARD_S, answers, until


class Collector(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    bodies: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        self.bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def test_a_request_is_a_span_at_the_collector(tmp_path: Path) -> None:
    collector = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "--port", str(port)],
        env=environment(
            DEMAND_STORE_URL=fill(tmp_path),
            DEMAND_API_TRACING="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
        ),
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/forecast"
        until(lambda: answers(address), process)
        assert httpx.get(address, params=ASKED, timeout=GUARD_S).status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        collector.shutdown()
        collector.server_close()
    path, body = Collector.bodies[0]
    assert path == "/v1/traces"
    assert b"demand-api" in body
    assert b"/forecast" in body
