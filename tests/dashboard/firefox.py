"""Firefox as it is installed, over WebDriver BiDi: Playwright brings a Firefox of its own, which users do not have."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.waiting import GUARD_S, until

_LISTENS = "WebDriver BiDi listening on "


class Firefox:
    """One tab. What scripts did wrong is in `wrong`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.wrong: list[str] = []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self._tab = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(timeout=GUARD_S))
            if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.wrong.append(said["params"]["text"])
            if said.get("id") == number:
                assert said["type"] == "success", said
                return dict(said["result"])

    def show(self, address: str, width: int) -> None:
        """Load a page, in a window of that width, and wait until nothing is left to load."""
        size = {"width": width, "height": 900}
        self.ask("browsingContext.setViewport", context=self._tab, viewport=size)
        self.ask("browsingContext.navigate", context=self._tab, url="about:blank", wait="complete")
        self.ask("browsingContext.navigate", context=self._tab, url=address, wait="complete")
        until(lambda: bool(self.value(_SETTLED)))

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is, by way of JSON."""
        target = {"context": self._tab}
        script = f"(async () => JSON.stringify((await ({expression})) ?? null))()"
        found = self.ask("script.evaluate", expression=script, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        made = self.ask("browsingContext.captureScreenshot", context=self._tab, origin="document")
        path.write_bytes(base64.b64decode(made["data"]))


_SETTLED = """document.querySelector("main h1") !== null
  && document.querySelector("[aria-busy=true], .loading") === null"""


@contextmanager
def firefox(program: str, folder: Path) -> Iterator[Firefox]:
    """A Firefox without a window, with a profile of its own in `folder`."""
    profile, log = folder / "profile", folder / "firefox.log"
    profile.mkdir()
    with log.open("w") as said:
        process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"],
            stdout=said,
            stderr=said,
            env=os.environ | {"HOME": str(folder)},
        )
    try:
        until(lambda: _LISTENS in log.read_text(), process)
        address = log.read_text().partition(_LISTENS)[2].split()[0]
        with connect(f"{address}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait()
