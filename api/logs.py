"""Logs as lines of JSON, with the id of the request they are about; no key, password or query in them."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import TextIO
from uuid import uuid4

_FIELDS = ("request_id", "route", "path", "status", "ms", "bytes", "key", "person", "rows")
_LOGGERS = ("api", "uvicorn", "asyncio", "asyncpg")
_GATHER_S, _LAST_WRITE_S = 0.01, 5.0
# Asking the system for chance at each request would take a tenth of answering it.
_PROCESS, _NUMBER = uuid4().hex[:16], count()


def new_request_id() -> str:
    """What the log calls a request that came without a name: 32 hex digits, no two alike."""
    return f"{_PROCESS}{next(_NUMBER):016x}"


class JsonFormatter(logging.Formatter):
    """One line per record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: time, level, logger, message, the fields above that it has, and any traceback."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in _FIELDS if (value := record.__dict__.get(name)) is not None}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class BatchHandler(logging.Handler):
    """Hands records to a thread that writes all that came within a hundredth of a second at once.

    A full pipe must not hold the event loop; and a thread that woke for each record, as the standard library's queue
    listener does, takes the interpreter from it so often that it costs a quarter of the requests.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._records: deque[logging.LogRecord] = deque()
        self._any, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record until the next write."""
        self._records.append(record)
        if not self._any.is_set():
            self._any.set()

    def close(self) -> None:
        """Write what is left."""
        self._ended.set()
        self._any.set()
        self._thread.join(_LAST_WRITE_S)
        super().close()

    def _write(self) -> None:
        ended = False
        while not ended:
            self._any.wait()
            ended = self._ended.wait(_GATHER_S)
            self._any.clear()
            records = [self._records.popleft() for _ in range(len(self._records))]
            lines = [line for record in records if (line := self._line(record)) is not None]
            if lines:
                # The reader of the log may be gone. The service must not fail or keep what cannot be written.
                with suppress(OSError, ValueError):
                    self._stream.write("\n".join(lines) + "\n")
                    self._stream.flush()

    def _line(self, record: logging.LogRecord) -> str | None:
        """The record as text; None, and the standard library's complaint, for one that has none."""
        try:
            return self.format(record)
        except Exception:  # noqa: BLE001 one record is not to end the log
            self.handleError(record)
            return None


def log_as_json(level: str, stream: TextIO | None = None) -> logging.Handler:
    """Send records of the service and what it runs on to `stream` (stderr); the caller closes the handler."""
    # What no line tells is not to be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = BatchHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    return handler
