"""Dagster's UI leads from an asset to its source."""

import inspect
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import demand_assets.assets.features as module
from demand_assets.code_links import linked_to_source
from demand_assets.definitions import defs
from tests.wiring.pages import ROOT

LINE = inspect.getsourcelines(module.demand_features.op.compute_fn.decorated_fn)[1]


def links(asset: dg.AssetsDefinition | dg.AssetSpec) -> list[Any]:
    (spec,) = asset.specs if isinstance(asset, dg.AssetsDefinition) else (asset,)
    return list(spec.metadata["dagster/code_references"].code_references)


def test_every_asset_names_its_file_and_line() -> None:
    for spec in defs.resolve_all_asset_specs():
        (link,) = links(spec)
        assert Path(link.file_path).is_relative_to(ROOT / "demand_assets" / "assets"), spec.key
        lines = Path(link.file_path).read_text().splitlines()[link.line_number - 1 :]
        assert lines[0].startswith(("@", "def ")), spec.key


@pytest.mark.parametrize("page", ["https://github.com/org/repo/tree/v1", "https://gitlab.com/org/repo/-/tree/v1"])
def test_the_page_of_a_repository_makes_them_its_pages(page: str) -> None:
    (asset,) = linked_to_source([module.demand_features], page)
    assert [link.url for link in links(asset)] == [f"{page}/demand_assets/assets/features.py#L{LINE}"]
