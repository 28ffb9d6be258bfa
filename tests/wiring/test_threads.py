"""Threads that share a machine with others."""

import os
import subprocess
import sys


def test_threads_of_xgboost_sleep_while_they_wait_unless_told_otherwise() -> None:
    code = "import os, demand_assets; print(os.environ['OMP_WAIT_POLICY'])"
    free = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        said = subprocess.run([sys.executable, "-c", code], env={**free, **given}, capture_output=True, text=True)
        assert said.stdout.strip() == expected, said.stderr
