"""How many cores there are to work with."""

import os


def usable_cores() -> int:
    """Number of cores this process may use; training slows down badly with more threads than that."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
