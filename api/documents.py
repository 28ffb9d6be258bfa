"""What the OpenAPI document says of routes that are alike."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.formats import COMPRESSED_MEDIA_TYPES
from api.people import SESSION
from api.problems import Problem, problem_responses
from api.schema_parts import Listing

LIST_CONTENT: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    **{media: {"schema": {"type": "string", "format": "binary"}} for media in COMPRESSED_MEDIA_TYPES},
}
_NOT_MODIFIED = {304: {"description": "As the ETag in If-None-Match."}}
_PARTS: dict[int | str, dict[str, Any]] = {
    206: {"description": "Of a file, the part that Range asks for."},
    **problem_responses(416),
}
_ANYWHERE = (401, 403, 421, 422, 429, 500, 503)


def list_responses(item: type[BaseModel], *statuses: int, body: type[BaseModel] | None = None) -> dict[str, Any]:
    """`response_model` and `responses` of a list of `item`, or of a list body of its own."""
    responses: dict[int | str, dict[str, Any]] = {
        200: {"content": LIST_CONTENT},
        **_PARTS,
        **problem_responses(*statuses),
    }
    return {"response_model": body or Listing[item], "responses": responses}  # type: ignore[valid-type]


def document(app: FastAPI, root_path: str) -> dict[str, Any]:
    """The OpenAPI document: the routes', and what the middleware may answer before them; below `root_path`."""
    servers = [{"url": root_path}] if root_path else None
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=servers
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key of `demand keys create`."},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": SESSION,
            "description": "Of a person who is signed in; `/sign-in` begins it.",
        },
    }
    made["security"] = [{}, {"bearer": []}, {"header": []}, {"session": []}]
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            statuses = [503] if path in ("/health", "/ready") else list(_ANYWHERE)
            if method == "post":
                statuses += [400, 408, 413]
            for status, answer in problem_responses(*statuses, 500, 421).items():
                if status == 422 or str(status) not in responses:
                    responses[str(status)] = answer
            if method == "get":
                responses["304"] = _NOT_MODIFIED[304]
            operation["responses"] = dict(sorted(responses.items()))
    return made
