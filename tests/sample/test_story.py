"""The story of `demand sample`: what it changes in the invented sales, and that it can be found."""

import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from demand_assets.adapters.landing import LandingZone
from demand_assets.sample import SampleStream, Story, stream, tell, write_story
from demand_assets.sample.story import NEXT_PROMOTION
from demand_assets.sample.words import in_words

KEYS = ["store_id", "dept_id", "week"]
LAST = pd.Timestamp("2026-02-20")


def sample(stores: int = 3, departments: int = 5, weeks: int = 80) -> SampleStream:
    return stream(stores, departments, weeks, seed=9, last_week=LAST.date())


def told() -> Story:
    return tell(sample())


@pytest.fixture(scope="module")
def both() -> tuple[Story, pd.DataFrame]:
    """A story, and [*KEYS, plain, told, number]: the sales without and with it, as first reported."""
    story = told()
    rows = pd.concat(story.data.sales).merge(pd.concat(sample().sales), on=KEYS, how="right", suffixes=("", "_plain"))
    return story, pd.DataFrame(
        {
            **rows[KEYS],
            "plain": rows["sales_plain"],
            "told": rows["sales"],
            "number": (rows["week"] - LAST) // pd.Timedelta(weeks=1),
        }
    )


def ratios(rows: pd.DataFrame) -> "pd.Series[float]":
    """(n,) sales of each row over those without the story, of the rows with enough to tell."""
    large = rows[rows["plain"] > 1_000]
    assert len(large) > 0
    return large["told"] / large["plain"]


def test_the_roles_are_different_and_known_to_everybody(both: tuple[Story, pd.DataFrame]) -> None:
    roles = both[0].roles
    assert len({roles.worked, roles.failed, roles.drifting}) == 3
    assert (roles.corrected, roles.opened, roles.newest) == (1, 3, LAST)
    text = in_words(both[0])
    assert re.findall(r"8000/#/(\S+)", text) == [
        f"series?store=1&dept={roles.worked}",
        "overrides?store=1",
        f"series?store=1&dept={roles.failed}",
        f"exceptions?dept={roles.drifting}",
        "?level=store&store=3",
    ]
    assert "3000/assets/raw_sales" in text
    assert "2026-03-06" in text


def test_the_store_that_is_shown_sells_both_promotions_every_week(both: tuple[Story, pd.DataFrame]) -> None:
    story, sales = both
    roles = story.roles
    promoted = sales[(sales["store_id"] == roles.shown) & sales["dept_id"].isin([roles.worked, roles.failed])]
    recent = promoted[promoted["week"] > roles.week(-52)]
    assert recent.groupby("dept_id")["week"].nunique().tolist() == [52, 52]
    assert roles.shown != roles.opened


def test_a_store_opens(both: tuple[Story, pd.DataFrame]) -> None:
    story, rows = both
    opened = rows[rows["store_id"] == story.roles.opened]
    assert opened.loc[opened["number"] < -39, "told"].isna().all()
    assert opened.loc[opened["number"] >= -39, "told"].notna().all()
    assert rows.loc[rows["store_id"] != story.roles.opened, "told"].notna().all()


def test_a_promotion_works_every_nine_weeks_and_another_does_not(both: tuple[Story, pd.DataFrame]) -> None:
    story, rows = both
    old = rows[rows["store_id"] == 2]
    runs = old["number"].isin(range(-7, -80, -9))
    for dept, lift in ((story.roles.worked, 1.7), (story.roles.failed, 1.02)):
        own = old["dept_id"] == dept
        assert ratios(old[own & runs]).to_numpy() == pytest.approx(lift, abs=1e-4)
        assert (ratios(old[own & ~runs]) == 1).all()


def test_a_department_loses_more_each_week_in_the_end(both: tuple[Story, pd.DataFrame]) -> None:
    story, rows = both
    own = rows[(rows["store_id"] == 2) & (rows["dept_id"] == story.roles.drifting) & (rows["number"] > -5)]
    assert ratios(own.sort_values("week")).tolist() == pytest.approx([0.88**weeks for weeks in range(5)], abs=1e-4)


def test_everything_else_stays_as_it_was(both: tuple[Story, pd.DataFrame]) -> None:
    story, rows = both
    roles = story.roles
    plays = rows["dept_id"].isin([roles.worked, roles.failed, roles.drifting]) | (rows["store_id"] == roles.opened)
    others = rows[~plays & ~((rows["store_id"] == roles.corrected) & (rows["number"] == -3))]
    assert others["told"].tolist() == others["plain"].tolist()


def test_prices_and_promotions_are_planned_for_eight_weeks(both: tuple[Story, pd.DataFrame]) -> None:
    story = both[0]
    plan = story.plan
    assert set(zip(plan["store_id"], plan["dept_id"], strict=True)) == {
        (store, dept) for store in (1, 2, 3) for dept in (story.roles.worked, story.roles.failed)
    }
    ahead = plan[(plan["week"] > LAST) & (plan["store_id"] == 1) & (plan["dept_id"] == story.roles.worked)]
    assert ahead["promo"].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert ahead["price"].tolist() == [8.65, 6.49, *[8.65] * 6]


def test_the_corrected_week_counts_when_the_files_land(tmp_path: Path, both: tuple[Story, pd.DataFrame]) -> None:
    story, rows = both
    write_story(told(), tmp_path)
    contents = LandingZone(str(tmp_path)).contents()
    assert not contents.refused
    tables = contents.tables()
    landed = tables.sales[tables.sales["week"] == pd.Timestamp("2026-01-30")]
    wrong = rows[(rows["store_id"] == 1) & (rows["number"] == -3)]
    right = story.correction["sales"].sum()
    store = int(tables.stores.set_index("id").loc["1", "store_id"])
    assert landed.loc[landed["store_id"] == store, "sales"].sum() == pytest.approx(right)
    assert wrong["told"].sum() == pytest.approx(0.35 * right, rel=1e-4)


def test_what_is_planned_is_declared_and_conditions_stay(tmp_path: Path) -> None:
    write_story(told(), tmp_path)
    spec = LandingZone(str(tmp_path)).contents().understanding.spec
    assert [(block.level, block.known_ahead, len(block.columns)) for block in spec.covariates] == [
        ("store", False, 9),
        ("series", True, 2),
    ]


def test_the_same_arguments_give_the_same_files(tmp_path: Path) -> None:
    one, other = (write_story(told(), tmp_path / name) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert {path.name for path in one} == {
        "train.csv", "features.csv", "stores.csv", "departments.csv", "demand.toml", "promotions.csv",
        "train_correction.csv", "README.txt", "what-if.txt",
    }  # fmt: skip


def test_the_what_if_drops_the_planned_promotion_of_one_store(tmp_path: Path) -> None:
    story = told()
    write_story(story, tmp_path)
    head, promo, price = (tmp_path / "what-if.txt").read_text().splitlines()
    store, dept, week = story.roles.shown, story.roles.worked, story.roles.week(NEXT_PROMOTION)
    assert head == "store_id,dept_id,week,covariate,change"
    assert promo == f"{store},{dept},{week:%Y-%m-%d},promo,0"
    plan = story.plan.set_index(["store_id", "dept_id", "week"])["price"]
    usual = plan.loc[(store, dept, week - pd.Timedelta(weeks=1))]
    assert plan.loc[(store, dept, week)] * float(price.rpartition("*")[2]) == pytest.approx(usual, abs=0.01)


@pytest.mark.parametrize(("stores", "departments", "weeks"), [(1, 1, 1), (1, 2, 3), (2, 3, 10)])
def test_a_small_sample_has_as_much_of_it_as_fits(stores: int, departments: int, weeks: int, tmp_path: Path) -> None:
    story = tell(stream(stores, departments, weeks, seed=1, last_week=date(2026, 2, 20)))
    assert (story.roles.opened is None, story.roles.failed is None) == (stores == 1, departments == 1)
    write_story(story, tmp_path)
    assert not LandingZone(str(tmp_path)).contents().refused
