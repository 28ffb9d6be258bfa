"""The network of namespaces that benchmarks measure over has the limits that it is given, and leaves nothing behind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A process of its own: it becomes part of a namespace.
PROGRAM = """
import json
from benchmarks.wire import Limits, Wire
with Wire(["run", "worker"]) as wire:
    wire.limit(Limits(mbits=50, rtt_ms=20))
    print(json.dumps([wire.name("run"), *wire.probed("worker", 3)]))
"""


def _networks_can_be_made() -> bool:
    tools = all(map(shutil.which, ("ip", "tc", "unshare")))
    if os.geteuid() != 0 or not tools or not os.access("/dev/net/tun", os.W_OK):
        return False
    linked = ["unshare", "--net", "ip", "link", "add", "v0", "type", "veth"]
    return subprocess.run(linked, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _networks_can_be_made(), reason="network namespaces are made by root, with iproute2")
def test_a_link_has_the_bandwidth_and_the_latency_that_it_is_given() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    name, trip, rate = json.loads(ended.stdout)
    assert trip >= 20
    # A bucket of the rate is full at first.
    assert 10 < rate < 60
    assert name not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
