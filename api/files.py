"""Lists as files: sent whole, or the part of one that Range asks for. Source: RFC 9110, section 14."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request, Response

from api.problems import ProblemError
from api.responses import conditional_response

# One range. Several, or another unit, may be answered with the whole.
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


@dataclass(frozen=True)
class File:
    """A list that was rendered; `headers` are its name and the link to the next page."""

    content: bytes
    tag: str
    media_type: str
    headers: Mapping[str, str]
    immutable: bool


@dataclass
class RecentFiles:
    """Files made up to `seconds` ago, so that all parts of one are cut from the same bytes.

    A reader of Parquet asks for the end of a file, then for its columns, a request each. Made anew for each, the file
    would cost as many queries, and what is published in between would mix two files.
    """

    seconds: float = 15.0
    most_bytes: int = 64 * 2**20
    _made: dict[str, tuple[float, File]] = field(default_factory=dict)

    def find(self, request: Request, now: float) -> File | None:
        """The file of the same request; None without one. `now`: a monotonic clock, s."""
        found = self._made.get(_key(request))
        return found[1] if found is not None and now - found[0] < self.seconds else None

    def keep(self, request: Request, file: File, now: float) -> None:
        """Keep `file` beside the newest that `most_bytes` have room for."""
        self._made.pop(_key(request), None)
        self._made[_key(request)] = now, file
        room = self.most_bytes
        kept: dict[str, tuple[float, File]] = {}
        for key, (made_at, each) in reversed(self._made.items()):
            room -= len(each.content)
            if room < 0 or now - made_at >= self.seconds:
                break
            kept[key] = made_at, each
        self._made = dict(reversed(kept.items()))


def _key(request: Request) -> str:
    # Two forms of a list may have one address, when Accept names the form.
    return f"{request.headers.get('accept')} {request.url.path}?{request.url.query}"


def asks_for_a_part(request: Request) -> bool:
    """Whether more requests for the same file are likely: a part of it is asked for, or its size."""
    return "range" in request.headers or request.scope["recorded"].head


def file_response(request: Request, file: File) -> Response:
    """The file, 304, the part that Range asks for with 206, or 416 where it has no such part."""
    headers = {"Accept-Ranges": "bytes", **file.headers}
    whole = conditional_response(request, file.content, file.media_type, file.immutable, headers, file.tag)
    wanted = request.headers.get("range")
    is_same = request.headers.get("if-range", file.tag) == file.tag
    if whole.status_code == 304 or wanted is None or not is_same or request.scope["recorded"].head:
        return whole
    size = len(file.content)
    span = part_of(wanted, size)
    if span is None:
        return whole
    headers |= {
        "ETag": file.tag,
        "Cache-Control": whole.headers["cache-control"],
        "Vary": whole.headers["vary"],
        "Content-Range": f"bytes {span.start}-{span.stop - 1}/{size}",
    }
    return Response(file.content[span.start : span.stop], 206, headers, file.media_type)


def part_of(wanted: str, size: int) -> range | None:
    """The bytes that a Range header names of `size`; None where the whole is to be answered; 416 where it has none."""
    match = _RANGE.fullmatch(wanted.strip().lower())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        found = range(max(size - int(match[2]), 0), size)
    else:
        last = int(match[2]) if match[2] else size - 1
        if match[2] and last < int(match[1]):
            return None
        found = range(int(match[1]), min(last + 1, size))
    if not found:
        raise ProblemError(
            416,
            f"Range: expected a part of {size:,} bytes, got {wanted[:80]}",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return found
