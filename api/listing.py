"""Lists: pages by key, in five formats, each with the vintage it is about and a strong ETag."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy import Select

from api.cursors import decode_key, encode_cursor
from api.files import File, asks_for_a_part, file_response
from api.formats import MEDIA_TYPES, MOST_ROWS, Format, Table, accepted, render
from api.names import NAME_COLUMNS, Names
from api.parameters import DEFAULT_ROWS, MAX_INTEGER, PageParameters
from api.responses import conditional_response
from api.row_models import columns_of
from api.serialization import etag_of, to_json
from api.service import Service
from demand_assets.store.reads.statements import Order


@dataclass
class Listing:
    """One list: rows of `statement` in `order`, answered as the columns of `item`.

    A column is one of the statement, one of `shared`, whose value all rows have, one that `complete` makes from these
    columns, or one that `derive` makes from a row. `prepare` is given the rows before that. `snapshot_token`: what
    later pages have to go on with, such as the vintage. `extra`: further members of the JSON body. `layout`: writes the
    file in place of the format that is asked for.
    """

    name: str
    item: type[BaseModel]
    statement: Select[Any]
    order: Order
    vintage: Mapping[str, Any] | None = None
    shared: Mapping[str, Any] = field(default_factory=dict)
    complete: Callable[[Mapping[str, Sequence[Any]]], Mapping[str, Sequence[Any]]] | None = None
    derive: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    prepare: Callable[[Sequence[dict[str, Any]]], Awaitable[None]] | None = None
    snapshot_token: str | None = None
    immutable: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    layout: Callable[[Table], bytes] | None = None

    @property
    def names(self) -> Sequence[str]:
        """Names of the statement's columns."""
        return self.statement.selected_columns.keys()

    def table(self, rows: Sequence[Sequence[Any]], called: Names) -> Table:
        """`rows` of the statement as columns of `item`; `called`: what stores and departments are called."""
        names = self.names
        columns: dict[str, Sequence[Any]] = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
        columns |= {name: (value,) * len(rows) for name, value in self.shared.items()}
        wanted = columns_of(self.item)
        if self.complete is not None and rows:
            columns |= self.complete(columns)
        if self.derive is not None and rows:
            derived = [self.derive(dict(zip(names, row, strict=True))) for row in rows]
            columns |= {name: [each[name] for each in derived] for name in derived[0]}
        columns |= {
            column: called.of(of, columns[of])
            for column, of in NAME_COLUMNS.items()
            if column in wanted and column not in columns and of in columns
        }
        return {name: (kind, columns[source] if rows else ()) for name, (source, kind) in wanted.items()}


async def list_response(request: Request, service: Service, page: PageParameters, listing: Listing) -> Response:
    """One page of `listing` as asked for."""
    form = page.format or accepted(request.headers.get("accept"))
    if form is Format.JSON:
        return await _json_response(request, service, page, listing)
    is_one_of_many, now = asks_for_a_part(request), time.monotonic()
    file = service.files.find(request, now) if is_one_of_many else None
    if file is None:
        file = await _file(request, service, page, listing, form)
        if is_one_of_many:
            service.files.keep(request, file, now)
    return file_response(request, file)


async def _json_response(request: Request, service: Service, page: PageParameters, listing: Listing) -> Response:
    rows, cursor = await _page(request, service, page, listing, DEFAULT_ROWS)
    shared = {**envelope(service, listing.vintage), **listing.extra}
    body = {"items": _items(listing, rows, service.state.names), "next_cursor": cursor, **shared}
    headers = _next_link(request, service, cursor)
    return conditional_response(request, to_json(body), immutable=listing.immutable, headers=headers)


async def _file(request: Request, service: Service, page: PageParameters, listing: Listing, form: Format) -> File:
    most = min(service.settings.export_rows, MOST_ROWS.get(form, MAX_INTEGER))
    rows, cursor = await _page(request, service, page, listing, most)
    content, tag = await service.in_thread(partial(_rendered, listing, rows, service.state.names, form))
    headers = _next_link(request, service, cursor)
    headers["Content-Disposition"] = f'attachment; filename="{_file_name(service, listing)}.{form.value}"'
    return File(content, tag, MEDIA_TYPES[form], headers, listing.immutable)


async def _page(
    request: Request, service: Service, page: PageParameters, listing: Listing, most: int
) -> tuple[Sequence[Sequence[Any]], str | None]:
    """Up to `most` rows, or as many as the page asks for, and the cursor of the page after it, if there is one."""
    key = decode_key(request, page.cursor, listing.order)
    limit = page.limit or most
    rows = await service.fetch(listing.order.page(listing.statement, key, limit + 1))
    cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        last = dict(zip(listing.names, rows[-1], strict=True))
        key = [last[name] for name in listing.order.names]
        cursor = encode_cursor(request, key, listing.snapshot_token)
    if listing.prepare is not None:
        await listing.prepare([dict(zip(listing.names, row, strict=True)) for row in rows])
    return rows, cursor


def _items(listing: Listing, rows: Sequence[Sequence[Any]], called: Names) -> list[dict[str, Any]]:
    table = listing.table(rows, called)
    return [dict(zip(table, row, strict=True)) for row in zip(*(values for _, values in table.values()), strict=True)]


def _rendered(listing: Listing, rows: Sequence[Sequence[Any]], called: Names, form: Format) -> tuple[bytes, str]:
    """The file and its ETag."""
    columns = listing.table(rows, called).items()
    table = {name: _flat(name, *column) for name, column in columns}
    content = render(table, form) if listing.layout is None else listing.layout(table)
    return content, etag_of(content).decode()


def _flat(name: str, kind: type, values: Sequence[Any]) -> tuple[type, Sequence[Any]]:
    """Of an object in a column, such as `override`, its member of the same name."""
    if not issubclass(kind, BaseModel):
        return kind, values
    return columns_of(kind)[name][1], [None if value is None else value[name] for value in values]


def _file_name(service: Service, listing: Listing) -> str:
    vintage = listing.vintage or service.state.newest_vintage
    return f"{listing.name}-{vintage['origin_week']}" if vintage else listing.name


def envelope(service: Service, vintage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What every body says: the vintage it is about, else the newest; whether that is stale; the unit of amounts."""
    about = vintage or service.state.newest_vintage
    if about is None:
        unit = service.state.dataset["unit"] if service.state.dataset else None
        return {"vintage": None, "is_stale": False, "unit": unit}
    return {"vintage": about, "is_stale": service.state.is_stale(about), "unit": about["unit"]}


def _next_link(request: Request, service: Service, cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    url = request.url.include_query_params(cursor=cursor)
    return {"Link": f'<{service.settings.root_path}{url.path}?{url.query}>; rel="next"'}
