"""Every error of the service as application/problem+json. Source: RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from demand_assets.errors import StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 10


class Problem(BaseModel):
    """Body of an error."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(description="Kind of problem, as a URI.", examples=["about:blank"])] = "about:blank"
    title: Annotated[str, Field(description="The status in words.", examples=["Not Found"])]
    status: Annotated[int, Field(description="The HTTP status.", examples=[404])]
    detail: Annotated[str, Field(description="What was wrong with this request and what to do.")]


class ProblemError(Exception):
    """Ends a request with `status`; `extra` are further members of the body."""

    def __init__(self, status: int, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can end with these statuses."""
    schema = Problem.model_json_schema()
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make every error of `app`, the framework's own included, a problem."""

    @app.exception_handler(ProblemError)
    def _known(request: Request, error: ProblemError) -> JSONResponse:
        return _response(error.status, error.detail, extra=error.extra)

    @app.exception_handler(StoreError)
    def _store(request: Request, error: StoreError) -> JSONResponse:
        return _response(503, str(error), headers={"Retry-After": str(RETRY_AFTER_S)})

    @app.exception_handler(HTTPException)
    def _framework(request: Request, error: HTTPException) -> JSONResponse:
        detail = f"{request.method} {request.url.path}: {error.detail}"
        return _response(error.status_code, detail, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()
        errors = [{"parameter": str(each["loc"][-1]), "message": str(each["msg"])} for each in found]
        detail = "; ".join(f"{each['parameter']}: {each['message']}" for each in errors)
        return _response(422, detail, extra={"errors": errors})

    @app.exception_handler(Exception)
    def _bug(request: Request, error: Exception) -> JSONResponse:
        # The server logs the traceback; the caller gets none of it. uvicorn closes the connection after an error that
        # reaches it, so a caller must be told not to send the next request into it.
        return _response(500, "unexpected error; see the log of the service", headers={"Connection": "close"})


def _response(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, extra: Mapping[str, Any] | None = None
) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **(extra or {}))
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers) if headers else None,
    )
