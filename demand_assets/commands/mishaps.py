"""What a machine can do to any command (no space, no right to write, no memory), as one line that says what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

_ADVICE = {
    errno.ENOSPC: "there is no space left; free some and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "a file may not grow that large here; raise the limit (ulimit -f) and run again",
    errno.EROFS: "this file system is read-only; choose a folder that can be written (DEMAND_HOME is the workspace's)",
    errno.EACCES: "permission denied; change its rights or choose another folder (DEMAND_HOME is the workspace's)",
    errno.EPERM: "not permitted; change its rights or choose another folder (DEMAND_HOME is the workspace's)",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n) and run again",
    errno.ENOMEM: "there is not enough memory; close other programs or use a larger machine, and run again",
    errno.EIO: "the disk cannot be read or written, or is full; check it and run again",
}
_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}


def mishap(error: BaseException) -> str | None:
    """One line about the first such cause of `error`; None where it is a fault of another kind."""
    return next((line for cause in _causes(error) if (line := _line(cause)) is not None), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and what libraries keep in `orig`."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or cause in seen:
            continue
        seen.append(cause)
        yield cause
        waiting += [getattr(cause, "orig", None), cause.__cause__, cause.__context__]


def _line(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return _ADVICE[errno.ENOMEM]
    if isinstance(error, sqlite3.Error):
        # The low byte is the kind, the others say more.
        kind = _SQLITE.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF)
        return None if kind is None else f"a database of the workspace: {error}: {_ADVICE[kind]}"
    if isinstance(error, OSError) and error.errno in _ADVICE:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{_ADVICE[error.errno]}"
    return None
