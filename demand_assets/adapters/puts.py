"""Atomic writes: readers never see part of a file, and a file that must be kept is kept before it is replaced."""

import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demand_assets.adapters import objects
from demand_assets.errors import LakeError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

LEFT_AFTER_S = 24 * 3600.0
_RACE_PAUSE_S = 0.1
_RACE_ATTEMPTS = 20


def put(filesystem: "AbstractFileSystem", path: str, content: bytes, remote: bool) -> None:
    """Write a whole file: one put on S3, a temporary name and a rename in a folder."""
    if remote:
        filesystem.pipe_file(path, content)
        return
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    begun = temporary(folder, name)
    try:
        with open(begun, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(begun, path)
    finally:
        if os.path.exists(begun):
            os.unlink(begun)


def temporary(folder: str, name: str) -> str:
    """Path that no reader takes for the file `name`, to write under; it says which process of which machine does."""
    return f"{folder}/.{name}.{_machine()}-{os.getpid()}.{uuid.uuid4().hex}"


def sweep(root: str) -> None:
    """Take away, in a folder and below, parts of Parquet files that killed processes had begun to write.

    A process of another machine, or container, over the same folder counts as killed after a day.
    """
    oldest = time.time() - LEFT_AFTER_S
    for folder, _, names in os.walk(root):
        for part in (Path(folder, name) for name in names if name.startswith(".") and ".parquet" in name):
            with suppress(FileNotFoundError):
                if _is_of_a_dead_process(part.name) or part.stat().st_mtime < oldest:
                    part.unlink()


def _machine() -> str:
    return platform.node().replace(".", "_")


def _is_of_a_dead_process(name: str) -> bool:
    found = re.fullmatch(rf"\..+\.{re.escape(_machine())}-([0-9]+)\.[0-9a-f]{{32}}", name)
    return found is not None and not _is_alive(int(found[1]))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def replace_kept(
    filesystem: "AbstractFileSystem",
    path: str,
    kept: str,
    footer: Mapping[str, str],
    version: str,
    encoded: Callable[[], bytes],
    remote: bool,
) -> int:
    """Put a Parquet file where another may be, which is kept in the folder `kept` first; bytes of the file.

    `version` is the name in the footer of what a kept file is called. On S3 nothing that another run writes meanwhile
    is lost: the put succeeds only if the file is still the one that was kept; otherwise it starts again. LakeError
    after too many attempts.
    """
    content = b""
    for _ in range(_RACE_ATTEMPTS):
        found = _whole(filesystem, path)
        held = _footer_of(found.content) if found else {}
        if found and held == footer:
            return len(found.content)
        content = content or encoded()
        try:
            if found and held[version] != footer[version]:
                _put_once(filesystem, f"{kept}/{held[version]}.parquet", found.content, remote)
            if not remote:
                put(filesystem, path, content, remote)
            elif found:
                filesystem.pipe_file(path, content, chunksize=_one_part(content), IfMatch=found.etag)
            else:
                filesystem.pipe_file(path, content, chunksize=_one_part(content), mode="create")
        except OSError as error:
            if not _met_another(error):
                raise
            time.sleep(_RACE_PAUSE_S)
        else:
            return len(content)
    raise LakeError(f"{path} is written by others all the time; run again when they have ended")


def _put_once(filesystem: "AbstractFileSystem", path: str, content: bytes, remote: bool) -> None:
    """Write a file that is never changed, unless it is there."""
    if not remote:
        if not os.path.exists(path):
            put(filesystem, path, content, remote)
        return
    try:
        filesystem.pipe_file(path, content, chunksize=_one_part(content), mode="create")
    except FileExistsError:
        return


@dataclass(frozen=True)
class _Whole:
    """A file as it was read; its ETag on S3."""

    content: bytes
    etag: str


def _whole(filesystem: "AbstractFileSystem", path: str) -> _Whole | None:
    """A file; None when there is none."""
    try:
        # Before the content: of a file that changes between, the older ETag is refused, never taken.
        etag = filesystem.info(path, refresh=True).get("ETag", "")
        return _Whole(filesystem.cat_file(path), etag)
    except FileNotFoundError:
        return None


def _footer_of(content: bytes) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return objects.notes_in(pq.read_schema(pa.BufferReader(content)))


def _one_part(content: bytes) -> int:
    """Size of a part by which a put is never split: the start of a multipart upload takes no condition."""
    return max(len(content), 1)


def _met_another(error: OSError) -> bool:
    """Whether S3 refused a conditional put for another writer's sake: 412, 409 or, the file being gone, 404."""
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return isinstance(error, FileExistsError | FileNotFoundError) or status in (404, 409, 412)
