"""Known forms of sales files, one TOML declaration each. Adding a form is adding one file to this folder.

A declaration has the keys of `demand.toml`, and a table `[form]`: `text` says whose files they are; `headers` is a list
of lists: a table of sales that has all headers of one of them, whatever their case, is of this form, unless it also has
one of `never`; `whole_amounts` says that amounts are whole numbers without being pieces; `[form.passed_over]` names
files that are not read, with the reason. Keys for columns or files that are not there do not apply. Pure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from demand_assets.ingestion.dataspec import DataSpec


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    headers: tuple[tuple[str, ...], ...]
    never: tuple[str, ...] = ()
    whole_amounts: bool = False
    passed_over: Mapping[str, str] = {}


class Form(DataSpec):
    """A known form: what its files hold, in the keys of `demand.toml`, and how it is known."""

    name: str
    form: _Form

    @property
    def spec(self) -> DataSpec:
        """Its declaration as `demand.toml` would say it."""
        return DataSpec.model_validate(self.model_dump(exclude_unset=True, exclude={"name", "form"}))

    def fits(self, headers: Iterable[str]) -> bool:
        """Whether a table with these headers is sales of this form."""
        has = {header.strip().casefold() for header in headers}
        needs = ({header.casefold() for header in option} for option in self.form.headers)
        return any(need <= has for need in needs) and not has & {header.casefold() for header in self.form.never}


@cache
def known_forms() -> tuple[Form, ...]:
    """Every declared form, by name."""
    found = sorted((path for path in files(__name__).iterdir() if path.name.endswith(".toml")), key=lambda p: p.name)
    return tuple(
        Form.model_validate({**tomllib.loads(path.read_text("utf-8")), "name": path.name.removesuffix(".toml")})
        for path in found
    )


def form_of(tables: Sequence[Iterable[str]]) -> Form | None:
    """The form of which some table, by its headers, is sales; None for files of no known form."""
    return next((form for form in known_forms() for headers in tables if form.fits(headers)), None)
