"""Models of rows, made of the columns of the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from demand_assets.contract.columns import Column
from demand_assets.contract.models import model_fields

Model = TypeVar("Model", bound=BaseModel)
# Columns that the service answers under another name.
_PUBLIC_NAMES = {"target_week": "week"}
_EXAMPLES: dict[str, Any] = {
    "store_id": "1", "store_name": "North", "dept_id": "3", "dept_name": None, "target_week": "2012-11-02",
    "week": "2012-11-02", "origin_week": "2012-10-26",
    "horizon": 1, "horizon_weeks": 4, "forecast": 13740.12, "p10": 11021.5, "p50": 13740.12, "p90": 17003.9,
    "order_quantity": 15210.0, "actual": 13980.4, "override": 15000.0, "unit": "USD",
    "vintage_id": "2012-10-26-0f3a9c5b7d1e2468", "method": "xgboost", "model_version": "7", "data_version": "5be1d2",
    "code_version": "8f3a5c1d90b2", "published_at": "2012-10-27T06:00:00Z", "author": "M. Planner",
    "reason": "Local fair on Saturday", "sequence": 12, "kind": "forecast", "store_label": "Store",
    "dept_label": "Department", "has_stores": True, "has_departments": True, "name": "half-price",
    "final": 15000.0, "final_p10": 12032.2, "final_p50": 15000.0, "final_p90": 18563.2, "final_order_quantity": 16604.8,
    "base_vintage_id": "2012-10-26-0f3a9c5b7d1e2468", "changes": "covariate,change\nprice,*0.5\n",
}  # fmt: skip


def with_columns(*columns: Column) -> Callable[[type[Model]], type[Model]]:
    """Decorates a model: gives it a field per column, before its own ones; its own one of the same name replaces that.

    A column that the service answers under another name has its own as `validation_alias`.
    """

    def decorated(model: type[Model]) -> type[Model]:
        own = {name: (model.model_fields[name].annotation, model.model_fields[name]) for name in model.__annotations__}
        given = model_fields(columns).items()
        fields: dict[str, Any] = {
            _PUBLIC_NAMES.get(name, name): (kind, _field(name, each)) for name, (kind, each) in given
        }
        return create_model(
            model.__name__, __base__=model.__bases__, __doc__=model.__doc__, __module__=model.__module__,
            **(fields | own),
        )  # fmt: skip

    return decorated


def _field(name: str, field: FieldInfo) -> Any:
    options: dict[str, Any] = {"examples": [_EXAMPLES[name]]} if name in _EXAMPLES else {}
    if name in _PUBLIC_NAMES:
        options["validation_alias"] = name
    return Field(description=field.description, **options)


@lru_cache
def columns_of(model: type[BaseModel]) -> dict[str, tuple[str, type]]:
    """Name of each field -> (name of its column in the store, type of its values)."""
    return {
        name: (str(each.validation_alias or name), _value_type(each.annotation))
        for name, each in model.model_fields.items()
    }


def _value_type(annotation: Any) -> type:
    """`float` of `Annotated[float, ...] | None`, `list` of `list[str]`, `str` of a Literal."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _value_type(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return _value_type(next(each for each in get_args(annotation) if each is not NoneType))
    if origin is Literal:
        return str
    return origin or annotation  # type: ignore[no-any-return]
