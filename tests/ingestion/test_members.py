"""The dimension tables stores and departments."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from demand_assets.ingestion.delivery import Delivery, LandedFile
from demand_assets.ingestion.members import extended_keys, merge_members
from demand_assets.ingestion.merge import MergedTable

NO_WEEKS = pd.DatetimeIndex([])


def stores_file(file: str, ids: tuple[str, ...], **facts: list[object]) -> Delivery:
    landed = LandedFile(file, file, 1, datetime(2012, 1, 1, tzinfo=UTC), file)
    frame = pd.DataFrame({"store_id": np.arange(len(ids), dtype=np.int32), **facts})
    return Delivery(landed, "stores", frame, f"hash of {file}", NO_WEEKS, {"store_id": ids})


def merged(existing: MergedTable | None, *deliveries: Delivery, others: tuple[str, ...] = ()) -> MergedTable:
    held = None if existing is None else existing.frame
    keys = {**extended_keys(held, deliveries, "store_id")}
    for one in others:
        keys.setdefault(one, max(keys.values(), default=0) + 1)
    own = [delivery.keyed({"store_id": keys}) for delivery in deliveries]
    return merge_members("store_id", held, () if existing is None else existing.landings, own, keys)


def test_a_store_of_no_file_is_known_by_its_id_alone() -> None:
    table = merged(None, stores_file("a.csv", ("Z-1",), size=[7.0]), others=("Z-9",))
    expected = {
        "store_id": np.array([1, 2], np.int32),
        "id": ["Z-1", "Z-9"],
        "name": ["Z-1", "Z-9"],
        "size": [7.0, np.nan],
    }
    pd.testing.assert_frame_equal(table.frame, pd.DataFrame(expected))


def test_the_newest_file_of_a_store_wins_and_others_stay() -> None:
    first = merged(None, stores_file("a.csv", ("Z-1", "Z-2"), name=["One", "Two"], size=[1.0, 2.0]))
    again = merged(first, stores_file("b.csv", ("Z-2",), name=["Deux"], size=[3.0]))
    assert again.frame[["id", "name", "size"]].to_numpy().tolist() == [["Z-1", "One", 1.0], ["Z-2", "Deux", 3.0]]
    assert (again.changed, again.recorded) == (True, True)


def test_the_same_file_again_changes_nothing() -> None:
    first = merged(None, stores_file("a.csv", ("Z-1",), size=[1.0]))
    again = merged(first, stores_file("a.csv", ("Z-1",), size=[1.0]))
    assert (again.changed, again.recorded) == (False, False)
    pd.testing.assert_frame_equal(again.frame, first.frame)
