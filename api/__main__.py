"""`python -m api`: serve the store of DEMAND_STORE_URL."""

from __future__ import annotations

import argparse
import json
import signal
import sys

import uvicorn
from pydantic import ValidationError

from api.app import create_app
from api.logs import log_as_json
from api.server import options_of
from api.settings import DEADLINE, PREFIX, STORE_URL, ApiSettings
from demand_assets.errors import StoreError

_VARIABLES = {"store_url": STORE_URL, "forecast_deadline_hours": DEADLINE}


def main() -> None:
    """Serve until stopped; one line and exit code 2 on a setting that is missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the forecasts of DEMAND_STORE_URL.")
    parser.add_argument(
        "--host", default=argparse.SUPPRESS, help="address to listen on; else DEMAND_API_HOST, 127.0.0.1"
    )
    parser.add_argument("--port", default=argparse.SUPPRESS, help="port to listen on; else DEMAND_API_PORT, 8000")
    parser.add_argument(
        "--store-url",
        default=argparse.SUPPRESS,
        help="else DEMAND_STORE_URL, which keeps a password out of the list of processes",
    )
    parser.add_argument("--openapi", action="store_true", help="print the OpenAPI document and end")
    given = vars(parser.parse_args())
    if given.pop("openapi"):
        sys.stdout.write(openapi_text())
        return
    try:
        settings = ApiSettings(**given).for_listening()
        app = create_app(settings)
    except ValidationError as error:
        first = error.errors()[0]
        sys.exit(_refusal(_explained(str(first["loc"][0]) if first["loc"] else "", str(first["msg"]))))
    except StoreError as error:
        sys.exit(_refusal(f"{STORE_URL}: {error}"))
    logs = log_as_json(settings.log_level)
    # uvicorn stops in peace and then raises the signal again, which by default ends the process on the spot: the last
    # lines of the log and spans not sent yet would be lost.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        uvicorn.run(app, host=settings.host, port=settings.port, **options_of(settings))
    finally:
        logs.close()


def openapi_text() -> str:
    """The OpenAPI document as it is checked in."""
    return json.dumps(create_app(ApiSettings(store_url="sqlite:///unused.db")).openapi(), indent=1) + "\n"


def _explained(field: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not field:
        return message
    return f"{_VARIABLES.get(field, field if field.startswith('DEMAND_') else PREFIX + field.upper())}: {message}"


def _refusal(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 2


if __name__ == "__main__":
    main()
