"""Every error of the service as application/problem+json. Source: RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from demand_assets.errors import StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
_MAX_ERRORS = 20
_MAX_LENGTH = 120


class Problem(BaseModel):
    """Body of an error."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(description="Kind of problem, as a URI.", examples=["about:blank"])] = "about:blank"
    title: Annotated[str, Field(description="The status in words.", examples=["Not Found"])]
    status: Annotated[int, Field(description="The HTTP status.", examples=[404])]
    detail: Annotated[str, Field(description="What was wrong with this request and what to do.")]
    request_id: Annotated[str, Field(description="What the log calls this request.", examples=["5f0c1a9e"])]


class ProblemError(HTTPException):
    """Ends a request with `status`; `extra` are further members of the body."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(status, detail, headers)
        self.extra = extra


class UnavailableError(StoreError):
    """The store cannot be read now, as was found out a moment ago."""


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can end with these statuses."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make every error of `app`, the framework's own included, a problem. The middleware does so for its own."""

    @app.exception_handler(ProblemError)
    async def _known(request: Request, error: ProblemError) -> Response:
        return _response(request, error.status_code, error.detail, headers=error.headers, extra=error.extra)

    @app.exception_handler(StoreError)
    async def _store(request: Request, error: StoreError) -> Response:
        return _response(request, 503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}"
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := _methods(app, request.url.path)):
            headers["Allow"] = ", ".join(sorted(methods))
        return _response(request, error.status_code, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        errors = [{"parameter": _place(each["loc"]), "message": _message(each)} for each in found[:_MAX_ERRORS]]
        detail = "; ".join(f"{each['parameter']}: {each['message']}" for each in errors)
        if len(found) > _MAX_ERRORS:
            detail += f"; and {len(found) - _MAX_ERRORS} more"
        if any(_is_unknown_parameter(each) for each in found):
            detail += f"; known: {', '.join(_parameters(app, request)) or 'none'}"
        return _response(request, 422, detail, extra={"errors": errors})


def _is_unknown_parameter(error: Mapping[str, Any]) -> bool:
    return bool(error["type"] == "extra_forbidden" and error["loc"][0] == "query")


def _message(error: Mapping[str, Any]) -> str:
    if _is_unknown_parameter(error):
        return "unknown parameter"
    return str(error["msg"]).removeprefix("Value error, ")[:_MAX_LENGTH]


def _parameters(app: FastAPI, request: Request) -> list[str]:
    """Names of the query parameters of the route that is asked."""
    operation = app.openapi()["paths"].get(request.scope["route"].path, {}).get(request.method.lower(), {})
    return sorted(each["name"] for each in operation.get("parameters", ()) if each["in"] == "query")


def _methods(app: FastAPI, path: str) -> set[str]:
    """What a path allows: the framework names the methods of the first of its routes only."""
    found: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            found |= {method.upper() for method in operations}
    return found | {"HEAD"} if "GET" in found else found


def body_of(status: int, detail: str, request_id: str, extra: Mapping[str, Any] | None = None) -> bytes:
    """The JSON of a problem."""
    problem = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, request_id=request_id, **(extra or {})
    )
    # What a caller sent may hold half a surrogate pair, which UTF-8 cannot; so it stays escaped.
    return json.dumps(problem.model_dump(), default=str, ensure_ascii=True).encode()


def _place(location: tuple[int | str, ...]) -> str:
    """`week` of a query, `keys.3.week` of a body."""
    inside = [str(part) for part in location if part not in ("query", "path", "header", "body")]
    return ".".join(inside)[:_MAX_LENGTH] or "body"


def _response(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    body = body_of(status, detail, request.scope.get("request_id", ""), extra)
    sent = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=sent)
