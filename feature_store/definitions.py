"""What Feast is told of the lake: `feast -c feature_store apply` reads this file.

The columns are those of the newest file of demand_features, the retailer's own drivers among them; what they mean is
declared where the features are.
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float32, Float64, UnixTimestamp

from demand_assets.adapters.parquet import ParquetLake
from demand_assets.forecasting.features import column_texts
from demand_assets.settings import read_settings

TABLE, ORIGIN = "demand_features", "origin_week"
_TYPES = {"float": Float32, "double": Float64, "date32[day]": UnixTimestamp}

lake = ParquetLake(uri=read_settings().lake)
newest = lake.partitions(TABLE)[-1]
texts = column_texts()

store = Entity(name="store", join_keys=["store_id"], value_type=ValueType.INT32, description=texts["store_id"])
department = Entity(name="department", join_keys=["dept_id"], value_type=ValueType.INT32, description=texts["dept_id"])
horizon = Entity(name="weeks_ahead", join_keys=["horizon"], value_type=ValueType.INT32, description=texts["horizon"])
KEYS = [store, department, horizon]

source = FileSource(
    name=TABLE, path=f"{lake.address(TABLE)}/*.parquet", timestamp_field=ORIGIN, file_format=ParquetFormat()
)
demand_features = FeatureView(
    name=TABLE,
    description="What was known of a series at the end of its origin week, per horizon",
    entities=KEYS,
    # Rows of the origin asked for and of no earlier one.
    ttl=timedelta(days=1),
    schema=[
        Field(name=field.name, dtype=_TYPES[str(field.type)], description=texts.get(field.name, ""))
        for field in lake.schema_of(TABLE, newest)
        if field.name not in {ORIGIN, *(key.join_key for key in KEYS)}
    ],
    source=source,
)
