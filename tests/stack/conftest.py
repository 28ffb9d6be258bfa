import os

import pytest

from tests.stack.confinement import memory_group, why_not


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what of the confinement this machine did not allow."""
    if "STACK_TEST" not in os.environ:
        return
    if reason := why_not():
        terminalreporter.write_line(f"Processes of the stack were not confined: {reason}.")
    elif memory_group() is None:
        terminalreporter.write_line("Processes of the stack had no limit of memory: it needs cgroup v1.")
