"""Lists: pages by key, in four forms, each with the vintage it is about and a strong ETag."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from sqlalchemy import Date, DateTime, Integer, Select, SmallInteger
from sqlalchemy.types import TypeEngine

from api.formats import MEDIA_TYPES, Format, accepted, render
from api.problems import ProblemError
from api.rows import UNIT, tagged, to_json
from api.service import Service
from demand_assets.store.reads import Order

DEFAULT_ROWS, MOST_ROWS = 100, 1000
_REVALIDATE, _FOREVER = "private, no-cache", "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for, and in which form."""

    limit: int | None
    cursor: str | None
    form: Format


def _page(
    limit: Annotated[
        int | None,
        Query(ge=1, le=MOST_ROWS, description=f"Rows of a page; {DEFAULT_ROWS} in JSON, all in the other forms."),
    ] = None,
    cursor: Annotated[
        str | None,
        Query(
            max_length=1000,
            pattern=r"^[A-Za-z0-9_-]+$",
            description="`next_cursor` of the page before, with the same filters.",
            json_schema_extra={"format": "cursor"},
        ),
    ] = None,
    form: Annotated[
        Format | None, Query(alias="format", description="Instead of the Accept header, for links.")
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Page:
    return Page(limit, cursor, form or accepted(accept))


Paged = Annotated[Page, Depends(_page)]


@dataclass
class Listing:
    """One list: rows of `statement` in `order`, and what is said about each.

    `constants`: columns that all rows share. `derived`: further columns from a row by name. `derived_types`: those
    of them that the flat forms have, where a member of a nested one is a column. `prepare`: is given the rows before
    `derived` is. `pin`: what later pages have to go on with, such as the vintage; they get it back from `pinned`.
    """

    name: str
    statement: Select[Any]
    order: Order
    vintage: Mapping[str, Any] | None = None
    constants: Mapping[str, tuple[TypeEngine[Any], Any]] | None = None
    renamed: Mapping[str, str] | None = None
    derived: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    derived_types: Mapping[str, TypeEngine[Any]] | None = None
    hidden: frozenset[str] = frozenset()
    prepare: Callable[[Sequence[Mapping[str, Any]]], Awaitable[None]] | None = None
    pin: str | None = None
    immutable: bool = False
    extra: Mapping[str, Any] | None = None


async def answer_list(request: Request, service: Service, page: Page, listing: Listing) -> Response:
    """One page of `listing` as asked for."""
    names = list(listing.statement.selected_columns.keys())
    after = None if page.cursor is None else _decoded(page.cursor, _fingerprint(request), listing.order)
    export = page.form is not Format.JSON
    limit = page.limit or (service.settings.export_rows if export else DEFAULT_ROWS)
    rows = await service.database.fetch(listing.order.page(listing.statement, after, limit + 1))
    cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        keys = [names.index(str(column.key)) for column in listing.order.columns]
        cursor = _encoded(_fingerprint(request), [rows[-1][position] for position in keys], listing.pin)
    if listing.prepare is not None:
        await listing.prepare([dict(zip(names, row, strict=True)) for row in rows])
    if export:
        return await _exported(request, service, page.form, listing, names, rows, cursor)
    fixed = {name: value for name, (_, value) in (listing.constants or {}).items()}
    shown = listing.renamed or {}
    items = []
    for row in rows:
        item = {shown.get(name, name): value for name, value in zip(names, row, strict=True)} | fixed
        if listing.derived is not None:
            item |= listing.derived(item)
        for name in listing.hidden:
            item.pop(name, None)
        items.append(item)
    body = {"items": items, "next_cursor": cursor, **envelope(service, listing.vintage), **(listing.extra or {})}
    return conditional(request, to_json(body), MEDIA_TYPES[Format.JSON], listing.immutable, _next(request, cursor))


def envelope(service: Service, vintage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What every body says: the vintage it is about, else the newest; whether that is stale; the unit of money."""
    snapshot = service.state.snapshot
    newest = snapshot.vintage if snapshot else None
    about = vintage or newest
    return {"vintage": about, "is_stale": about is not None and service.state.is_stale(about), "unit": UNIT}


def conditional(
    request: Request,
    body: bytes,
    media_type: str = "application/json",
    immutable: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`body` with a strong ETag, or 304 when the caller has it already; `headers` win over those made here."""
    _, tag = tagged(body)
    sent = {
        "ETag": tag.decode(),
        "Cache-Control": _FOREVER if immutable else _REVALIDATE,
        "Vary": "Accept",
        **(headers or {}),
    }
    known = request.headers.get("if-none-match", "")
    if tag.decode() in known or known.strip() == "*":
        return Response(status_code=304, headers=sent)
    return Response(body, media_type=media_type, headers=sent)


async def _exported(
    request: Request,
    service: Service,
    form: Format,
    listing: Listing,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    cursor: str | None,
) -> Response:
    types: dict[str, TypeEngine[Any]] = {
        column.key: column.type for column in listing.statement.selected_columns if column.key is not None
    }
    shown = listing.renamed or {}

    def table() -> bytes:
        values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        columns = {shown.get(name, name): (types[name], values[position]) for position, name in enumerate(names)}
        for name, (kind, value) in (listing.constants or {}).items():
            columns[name] = (kind, (value,) * len(rows))
        if listing.derived is not None:
            order = list(columns)
            made = [
                listing.derived(dict(zip(order, row, strict=True)))
                for row in zip(*(column for _, column in columns.values()), strict=True)
            ]
            for name, kind in (listing.derived_types or {}).items():
                columns[name] = (kind, tuple(_flat(each, name) for each in made))
        return render({name: column for name, column in columns.items() if name not in listing.hidden}, form)

    body = await service.in_thread(table)
    headers = _next(request, cursor)
    about = listing.vintage or (service.state.snapshot.vintage if service.state.snapshot else None)
    week = f"-{about['origin_week']}" if about else ""
    headers["Content-Disposition"] = f'attachment; filename="{listing.name}{week}.{form.value}"'
    return conditional(request, body, MEDIA_TYPES[form], listing.immutable, headers)


def _flat(made: Mapping[str, Any], name: str) -> Any:
    """`override` of a nested override, else the column itself."""
    if name in made and not isinstance(made[name], dict):
        return made[name]
    for value in made.values():
        if isinstance(value, dict) and name in value:
            return value[name]
    return None


def _fingerprint(request: Request) -> str:
    """The list and its filters, which a cursor belongs to."""
    filters = sorted(
        (name, value) for name, value in request.query_params.items() if name not in ("cursor", "limit", "format")
    )
    return hashlib.sha256(json.dumps([request.url.path, filters]).encode()).hexdigest()[:12]


def pinned(request: Request, page: Page) -> str | None:
    """`pin` of the listing whose page before gave the cursor; None on the first page. 422 for another list's cursor."""
    if page.cursor is None:
        return None
    try:
        pin = _opened(page.cursor, _fingerprint(request))[1]
        if not (isinstance(pin, str) and pin.isascii() and pin.isprintable()):
            raise ValueError("no pin")
        return pin
    except _NO_CURSOR:
        raise _refused() from None


def pinned_time(request: Request, page: Page) -> datetime | None:
    """`pinned`, of a list whose pin is a time."""
    pin = pinned(request, page)
    try:
        return None if pin is None else _typed(pin, DateTime())
    except _NO_CURSOR:
        raise _refused() from None


def pinned_week(request: Request, page: Page) -> date | None:
    """`pinned`, of a list whose pin is a week."""
    pin = pinned(request, page)
    try:
        return None if pin is None else date.fromisoformat(pin)
    except ValueError:
        raise _refused() from None


def _encoded(filters: str, key: Sequence[Any], pin: str | None) -> str:
    values = [value.isoformat() if isinstance(value, date) else value for value in key]
    return base64.urlsafe_b64encode(json.dumps([filters, values, pin]).encode()).decode().rstrip("=")


def _opened(cursor: str, filters: str) -> tuple[Any, Any]:
    given, values, pin = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if given != filters:
        raise ValueError("of another list")
    return values, pin


def _decoded(cursor: str, filters: str, order: Order) -> list[Any]:
    """The key in a cursor; 422 for one that this list did not give."""
    try:
        values, _ = _opened(cursor, filters)
        return [_typed(value, column.type) for value, column in zip(values, order.columns, strict=True)]
    except _NO_CURSOR:
        raise _refused() from None


_NO_CURSOR = (ValueError, TypeError, OverflowError, RecursionError)


def _refused() -> ProblemError:
    return ProblemError(422, "cursor: expected next_cursor of a page with the same filters; start without a cursor")


def _typed(value: Any, kind: TypeEngine[Any]) -> Any:
    kind = getattr(kind, "impl", kind)
    if isinstance(kind, DateTime):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC)
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, Integer):
        most = 2**15 if isinstance(kind, SmallInteger) else 2**31
        if type(value) is not int or not 0 <= value < most:
            raise ValueError("no id")
        return value
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("no text")
    value.encode()
    return value


def _next(request: Request, cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    return {
        "Link": f"<{request.url.include_query_params(cursor=cursor).path}?"
        f'{request.url.include_query_params(cursor=cursor).query}>; rel="next"'
    }
