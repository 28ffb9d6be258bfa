"""The Parquet file of a vintage is compared too, when the vintage is made again."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.wiring.conftest import demand


def test_a_changed_vintage_file_is_named_by_its_columns(
    workspace: tuple[Path, Path], finished: tuple[Path, dict[str, object]]
) -> None:
    home, origin = workspace[0], str(finished[1]["origin_week"])
    (file,) = (home / "lake" / "published_forecast").rglob("*.parquet")
    # Its footer stays, and still says what the rows were.
    table = pq.read_table(file)
    place = table.schema.get_field_index("order_quantity")
    pq.write_table(table.set_column(place, "order_quantity", pc.add(table["order_quantity"], pa.scalar(1.0))), file)
    ended = demand(home, "reproduce", "--origin", origin, "--json")
    found = json.loads(ended.stdout)
    assert (ended.returncode, found["identical"]) == (1, False)
    assert found["differences"] == ["the Parquet file differs in order_quantity"]
    # The forecast itself was made again.
    assert found["made_again_as"] == found["vintage_id"]
