"""Logs as lines of JSON, with the id of the request they are about; no key, password or query in them."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
from datetime import UTC, datetime
from typing import TextIO

_FIELDS = ("request_id", "route", "path", "status", "ms", "bytes", "key", "rows")


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


def log_as_json(level: str, stream: TextIO | None = None) -> logging.handlers.QueueListener:
    """Send the service's and uvicorn's records to `stream` (stderr); the caller stops what this returns at the end.

    Through a queue: a full pipe must not hold the event loop.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, handler)
    for name in ("api", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [_Enqueue(records)]
        logger.setLevel(level.upper())
        logger.propagate = False
    listener.start()
    return listener


class _Enqueue(logging.handlers.QueueHandler):
    """Without the formatting that the standard one does for other processes' sake, on the thread that logs."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record
