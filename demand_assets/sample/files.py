"""The three CSVs, byte for byte in the form Kaggle ships them, and names for people beside them."""

import filecmp
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import tomlkit

from demand_assets.errors import LandingError
from demand_assets.ingestion.forms import known_forms
from demand_assets.sample.generator import SampleData, SampleStream
from demand_assets.sample.names import department_names, store_names
from demand_assets.sample.story import Story, without_promotion
from demand_assets.sample.words import in_words

Writer = Callable[[IO[bytes]], object]

_NAMED = b"""# The files are in a known form; only the columns of names are not part of it.
[series]
store_name = "Name"
dept_name = "Name"
"""
_PLANNED = {
    "files": ["promotions.csv"],
    "level": "series",
    "known_ahead": True,
    "columns": {"price": "Price", "promo": "Promo"},
}
_FORM = "walmart"
_AS_IS = pa_csv.WriteOptions(include_header=False, quoting_style="none")


def write_csvs(data: SampleData | SampleStream, folder: Path, named: bool = False) -> list[Path]:
    """Write train.csv, features.csv and stores.csv into `folder`; the same content already there is left alone.

    With `named` stores.csv has a column of names, and departments.csv and the demand.toml that says so are written too.
    Sales that come as a stream are written as they come. LandingError when a file of that name holds something else:
    nothing is overwritten.
    """
    return _write(_writers(data, named), folder)


def write_story(story: Story, folder: Path) -> list[Path]:
    """`write_csvs` with names, and beside it promotions.csv, the correction in a newer file, and two files for people.

    README.txt says what to look for; what-if.txt are changes for `demand scenario`. Neither is data that lands.
    """
    writers = _writers(story.data, named=True)
    writers["demand.toml"] = lambda file: file.write(_NAMED + b"\n" + _covariates())
    writers["promotions.csv"] = lambda file: _write_plan(story.plan, file)
    writers["train_correction.csv"] = lambda file: _write_train([story.correction], file)
    writers["what-if.txt"] = lambda file: file.write(without_promotion(story.roles).encode())
    writers["README.txt"] = lambda file: file.write(in_words(story).encode())
    return _write(writers, folder)


def _writers(data: SampleData | SampleStream, named: bool) -> dict[str, Writer]:
    sales = [data.sales] if isinstance(data, SampleData) else data.sales
    departments: set[int] = set()
    writers: dict[str, Writer] = {
        "train.csv": lambda file: departments.update(_write_train(sales, file)),
        "features.csv": lambda file: _write_features(data.conditions, file),
        "stores.csv": lambda file: _write_stores(data.stores, file, named),
    }
    if named:
        # After the sales, which tell the departments.
        writers["departments.csv"] = lambda file: _write_departments(departments, file)
        writers["demand.toml"] = lambda file: file.write(_NAMED)
    return writers


def _write(writers: Mapping[str, Writer], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = {name: folder / f".{name}.{os.getpid()}" for name in writers}
    try:
        for name, write in writers.items():
            with open(made[name], "wb") as file:
                write(file)
        for name, path in made.items():
            if (folder / name).exists() and not filecmp.cmp(path, folder / name, shallow=False):
                raise LandingError(
                    f"{folder / name} holds other data; name an empty folder, or remove the file to replace it"
                )
        for name, path in made.items():
            if not (folder / name).exists():
                path.replace(folder / name)
    finally:
        for path in made.values():
            path.unlink(missing_ok=True)
    return [folder / name for name in writers]


def _number(values: "pd.Series[float]") -> pa.Array:
    """Shortest decimals without a trailing `.0`, missing ones as NA."""
    # Zero without a sign: a store sold nothing, whichever way it was rounded.
    text = pa.array(values + 0, from_pandas=True).cast(pa.string())
    return pc.fill_null(text, "NA")


def _date(weeks: "pd.Series[pd.Timestamp]") -> pa.Array:
    return pa.array(weeks).cast(pa.date32())


def _flag(flags: "pd.Series[bool]") -> pa.Array:
    return pc.if_else(pa.array(flags), "TRUE", "FALSE")


def _write_train(parts: Iterable[pd.DataFrame], file: IO[bytes]) -> set[int]:
    """Write the sales; return the departments that have any."""
    file.write(b"Store,Dept,Date,Weekly_Sales,IsHoliday\n")
    departments: set[int] = set()
    for part in parts:
        departments.update(part["dept_id"].unique().tolist())
        rows = part.sort_values(["store_id", "dept_id", "week"], kind="stable")
        columns = {
            "Store": pa.array(rows["store_id"]),
            "Dept": pa.array(rows["dept_id"]),
            "Date": _date(rows["week"]),
            "Weekly_Sales": _number(rows["sales"]),
            "IsHoliday": _flag(rows["is_holiday"]),
        }
        pa_csv.write_csv(pa.table(columns), file, _AS_IS)
    return departments


def _write_features(conditions: pd.DataFrame, file: IO[bytes]) -> None:
    rows = conditions.sort_values(["store_id", "week"], kind="stable")
    columns = {
        "Store": pa.array(rows["store_id"]),
        "Date": _date(rows["week"]),
        "Temperature": _number(rows["temperature_f"]),
        "Fuel_Price": _number(rows["fuel_price"]),
        **{f"MarkDown{number}": _number(rows[f"markdown{number}"]) for number in range(1, 6)},
        "CPI": _number(rows["cpi"]),
        "Unemployment": _number(rows["unemployment_pct"]),
        "IsHoliday": _flag(rows["is_holiday"]),
    }
    file.write(",".join(columns).encode() + b"\n")
    pa_csv.write_csv(pa.table(columns), file, _AS_IS)


def _covariates() -> bytes:
    """The covariates of the known form, which counts for none once some are stated, and the plan."""
    (form,) = (form for form in known_forms() if form.name == _FORM)
    stated = [*(block.model_dump(exclude_unset=True) for block in form.covariates), _PLANNED]
    blocks = tomlkit.aot()
    for block in stated:
        table = tomlkit.table()
        for key, value in block.items():
            table[key] = _inline(value) if isinstance(value, Mapping) else value
        blocks.append(table)
    return tomlkit.dumps({"covariates": blocks}).encode()


def _inline(columns: Mapping[str, str]) -> tomlkit.items.InlineTable:
    table = tomlkit.inline_table()
    table.update(columns)
    return table


def _write_plan(plan: pd.DataFrame, file: IO[bytes]) -> None:
    columns = {
        "Store": pa.array(plan["store_id"]),
        "Dept": pa.array(plan["dept_id"]),
        "Date": _date(plan["week"]),
        "Price": _number(plan["price"]),
        "Promo": pa.array(plan["promo"]),
    }
    file.write(",".join(columns).encode() + b"\n")
    pa_csv.write_csv(pa.table(columns), file, _AS_IS)


def _write_stores(stores: pd.DataFrame, file: IO[bytes], named: bool) -> None:
    columns = {"Store": stores["store_id"], "Type": stores["store_type"], "Size": stores["size_sqft"]}
    if named:
        columns["Name"] = pd.Series(store_names(stores["store_id"]))
    # Kaggle's stores.csv parts its lines by a bare carriage return and ends without one.
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    file.write("\r".join(lines).encode())


def _write_departments(departments: Iterable[int], file: IO[bytes]) -> None:
    named = department_names(departments).rename(columns={"dept_id": "Dept", "name": "Name"})
    file.write(named.to_csv(index=False, lineterminator="\n").encode())
