"""Links from assets in Dagster's UI to their source: files of this machine, or pages of the repository."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

# Below it a checkout has the package.
_CHECKOUT = Path(__file__).parents[1]


def linked_to_source(assets: Sequence[dg.AssetsDefinition], page: str) -> list[dg.AssetsDefinition]:
    """The assets with the file and line that each is defined at.

    `page` of a repository on GitHub or GitLab at a revision, .../tree/main, makes them pages below it; empty: files.
    """
    linked: Sequence[Any] = [_linked(asset) for asset in assets]
    if page:
        repository, _, revision = page.partition("/tree/")
        below = dg.AnchorBasedFilePathMapping(local_file_anchor=_CHECKOUT, file_anchor_path_in_repository="")
        url = repository.removesuffix("/-")
        linked = dg.link_code_references_to_git(linked, url, revision, file_path_mapping=below)
    return list(linked)


def _linked(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    # Dagster's `with_source_code_references` gives a wrapped body the wrapper's file and the body's line.
    made: Any = asset.op.compute_fn
    body = inspect.unwrap(made.decorated_fn)
    place = dg.LocalFileCodeReference(
        file_path=str(inspect.getsourcefile(body)), line_number=inspect.getsourcelines(body)[1]
    )
    links = {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[place])}
    return asset.map_asset_specs(lambda spec: spec.merge_attributes(metadata=links))
