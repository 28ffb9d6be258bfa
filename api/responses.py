"""Bodies with their ETag, or 304 where the caller has them."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request, Response

from api.serialization import etag_of

_REVALIDATE, _FOREVER = "private, no-cache", "private, max-age=31536000, immutable"


def conditional_response(
    request: Request,
    body: bytes,
    media_type: str = "application/json",
    immutable: bool = False,
    headers: Mapping[str, str] | None = None,
    tag: str | None = None,
) -> Response:
    """`body` with a strong ETag, or 304 when the caller has it already; `headers` win over those made here.

    `tag`: the ETag of `body`, where it is known already.
    """
    tag = tag or etag_of(body).decode()
    sent = {
        "ETag": tag,
        "Cache-Control": _FOREVER if immutable else _REVALIDATE,
        "Vary": "Accept",
        **(headers or {}),
    }
    known = request.headers.get("if-none-match", "")
    if tag in known or known.strip() == "*":
        return Response(status_code=304, headers=sent)
    return Response(body, media_type=media_type, headers=sent)
