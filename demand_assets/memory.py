"""How a command looks after its memory: when it looks for garbage, and how much of what was freed it keeps."""

import atexit
import ctypes
import gc

# Python's own are 700 (2,000 as of 3.12), for programs of few modules.
_OBJECTS_PER_COLLECTION = 50_000
# Parameter of `mallopt` -> value; smaller blocks are reused, since arrays would take longer to get than to fill.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = {_MMAP_THRESHOLD: 16 << 20, _TRIM_THRESHOLD: 64 << 20, _ARENA_MAX: 2}


def collect_less() -> None:
    """Have the collector of cycles look more rarely, and not at all while the process ends.

    The libraries of a command are half a million objects that stay: looking at them again and again takes a quarter of
    the time of importing them, and as they are freed one by one at the end, more than a second.
    """
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 20, 20)
    atexit.register(gc.freeze)


def keep_less() -> None:
    """Have the C library, where it is one that can (glibc), keep less of what is freed.

    It has a heap for each thread, and puts blocks of up to 32 MB there once it has seen some: what is freed between
    others stays. Fewer heaps, and large blocks from the system, take a sixth off the peak of a run, and no time.
    Source: https://man7.org/linux/man-pages/man3/mallopt.3.html.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _KEPT.items():
            mallopt(parameter, value)
