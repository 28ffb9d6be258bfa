"""The three CSVs, byte for byte in the form Kaggle ships them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from demand_assets.errors import LandingError
from demand_assets.sample.generator import SampleData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Text = NDArray[np.object_]


def write_csvs(data: SampleData, folder: Path) -> list[Path]:
    """Write train.csv, features.csv and stores.csv into `folder`; the same content already there is left alone.

    LandingError when a file of that name holds something else: nothing is overwritten.
    """
    contents = {
        "train.csv": _train(data.sales),
        "features.csv": _features(data.conditions),
        "stores.csv": _stores(data.stores),
    }
    for name, content in contents.items():
        path = folder / name
        if path.exists() and path.read_bytes() != content:
            raise LandingError(f"{path} holds other data; name an empty folder, or remove the file to replace it")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if not (folder / name).exists():
            temporary = folder / f".{name}.{os.getpid()}"
            temporary.write_bytes(content)
            temporary.replace(folder / name)
    return [folder / name for name in contents]


def _csv(columns: "dict[str, Text]", line_end: str = "\n", last_end: str = "\n") -> bytes:
    first, *others = columns.values()
    lines = first.copy()
    for values in others:
        lines = lines + "," + values
    return (line_end.join([",".join(columns), *lines.tolist()]) + last_end).encode()


def _text(values: "pd.Series[float]") -> "Text":
    """Numbers as shortest decimals without a trailing `.0`, missing ones as NA."""
    text = values.astype(str).to_numpy(dtype=object)
    whole = (values == values.round()).to_numpy() & values.notna().to_numpy()
    text[whole] = values[whole].astype("int64").astype(str).to_numpy(dtype=object)
    text[values.isna().to_numpy()] = "NA"
    return np.asarray(text)


def _dates(weeks: "pd.Series[pd.Timestamp]") -> "Text":
    codes, unique = pd.factorize(weeks)
    return np.asarray(pd.DatetimeIndex(unique).strftime("%Y-%m-%d").to_numpy(dtype=object)[codes])


def _flags(flags: "pd.Series[bool]") -> "Text":
    return np.where(flags, "TRUE", "FALSE").astype(object)


def _train(sales: pd.DataFrame) -> bytes:
    rows = sales.sort_values(["store_id", "dept_id", "week"], kind="stable")
    return _csv(
        {
            "Store": _text(rows["store_id"]),
            "Dept": _text(rows["dept_id"]),
            "Date": _dates(rows["week"]),
            "Weekly_Sales": _text(rows["weekly_sales_usd"]),
            "IsHoliday": _flags(rows["is_holiday"]),
        }
    )


def _features(conditions: pd.DataFrame) -> bytes:
    rows = conditions.sort_values(["store_id", "week"], kind="stable")
    return _csv(
        {
            "Store": _text(rows["store_id"]),
            "Date": _dates(rows["week"]),
            "Temperature": _text(rows["temperature_f"]),
            "Fuel_Price": _text(rows["fuel_price_usd"]),
            **{f"MarkDown{number}": _text(rows[f"markdown{number}_usd"]) for number in range(1, 6)},
            "CPI": _text(rows["cpi"]),
            "Unemployment": _text(rows["unemployment_pct"]),
            "IsHoliday": _flags(rows["is_holiday"]),
        }
    )


def _stores(stores: pd.DataFrame) -> bytes:
    # Kaggle's stores.csv parts its lines by a bare carriage return and ends without one.
    return _csv(
        {
            "Store": _text(stores["store_id"]),
            "Type": stores["store_type"].to_numpy(dtype=object),
            "Size": _text(stores["size_sqft"]),
        },
        line_end="\r",
        last_end="",
    )
