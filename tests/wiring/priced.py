"""A small made-up retailer whose prices move its sales, with prices planned ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

NEWEST, WEEKS, AHEAD, ELASTICITY = pd.Timestamp("2012-10-26"), 112, 4, -2.0


def write_priced(folder: Path) -> None:
    """sales.csv in pieces to `NEWEST`, and prices.csv that goes `AHEAD` weeks further, at the usual price."""
    random = np.random.default_rng(3)
    weeks = pd.date_range(end=NEWEST + pd.Timedelta(weeks=AHEAD), periods=WEEKS + AHEAD, freq="7D")
    keys = [(store, item) for store in ("Nord", "Sued") for item in ("milk", "bread", "soap")]
    rows = pd.MultiIndex.from_tuples([(*key, week) for key in keys for week in weeks]).to_frame(index=False)
    rows.columns = pd.Index(["store", "item", "date"])
    usual = 2.0 + rows["item"].map({"milk": 0.0, "bread": 1.0, "soap": 2.0})
    is_cut = (random.random(len(rows)) < 0.2) & (rows["date"] <= NEWEST)
    rows["price"] = np.where(is_cut, usual / 2, usual)
    level = 40.0 + 15.0 * rows.groupby(["store", "item"], sort=False).ngroup()
    noise = random.normal(1.0, 0.03, len(rows))
    rows["units"] = (level * np.where(is_cut, 0.5**ELASTICITY, 1.0) * noise).round()
    folder.mkdir(parents=True)
    sold = rows[rows["date"] <= NEWEST]
    sold[["store", "item", "date", "units"]].to_csv(folder / "sales.csv", index=False)
    rows[["store", "item", "date", "price"]].to_csv(folder / "prices.csv", index=False)
