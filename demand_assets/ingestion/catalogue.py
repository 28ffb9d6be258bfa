"""Every check of the ingested frames: its name, its rule, whether it blocks, and how to answer it. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from demand_assets.ingestion.outcome import CheckSpec
from demand_assets.ingestion.understanding import Kind

_ID_TABLE = "give it a row in the file of stores"
_CLOSED = "land what is lacking, or declare them under [data] closed in demand.toml"


def _types(kind: Kind) -> CheckSpec:
    return CheckSpec(
        f"{kind}_columns_and_types_are_right",
        f"The columns of {kind} are there and typed; no key is missing; no number is infinite or outside the range of "
        "a known column",
    )


def _keys(kind: Kind, per: str) -> tuple[CheckSpec, CheckSpec]:
    return (
        CheckSpec(
            f"{kind}_keys_are_unique",
            f"No two rows of one {per} contradict each other",
            answer="keep the row that is right and land the file again"
            + ('; or set [sales] repeated = "sum" in demand.toml if they add up' if kind == "sales" else ""),
        ),
        CheckSpec(
            f"{kind}_rows_come_once",
            "No row repeats another in all its values; a repeated row counts once",
            "warn",
            answer="nothing to do, or remove the repeated rows",
        ),
    )


def _weekday(kind: Kind) -> CheckSpec:
    return CheckSpec(
        f"{kind}_weeks_end_on_one_weekday",
        "Every week is named by the day that ends it: the weekday of `week_ends`",
        answer="correct the dates, or set [data] week_ends in demand.toml",
    )


def _known(kind: Kind) -> CheckSpec:
    return CheckSpec(
        f"{kind}_stores_are_known",
        "Every store has a row in the stores table, once there is one",
        "warn",
        answer=_ID_TABLE,
        acceptable=True,
    )


def _within(kind: Kind) -> CheckSpec:
    return CheckSpec(f"{kind}_weeks_are_within_10_years", "No week lies more than 10 years ahead")


def _members(kind: Kind, member: str) -> tuple[CheckSpec, ...]:
    return _types(kind), *_keys(kind, member)


CHECKS: Mapping[Kind, tuple[CheckSpec, ...]] = {
    "sales": (
        _types("sales"),
        *_keys("sales", "store, department and week"),
        _weekday("sales"),
        CheckSpec("sales_weeks_have_begun", "No week lies in the future: the first of its seven days has come"),
        _known("sales"),
        CheckSpec("sales_are_finite", "No amount is missing or infinite"),
        CheckSpec(
            "sales_are_possible",
            "No amount is over 1,000 x the largest that any series of its store, its department or the chain had",
            answer="correct the amount",
            acceptable=True,
        ),
        CheckSpec(
            "sales_are_within_20x_of_their_past",
            "No amount is over 20 x the largest its series had, of a series with fewer than 8 weeks its store or "
            "department, of both new ones the chain, and at least the chain's typical amount; of no store with 5 such "
            "series more than half are over 20 x or under a 20th of their mean",
            "warn",
            answer="are the amounts in the usual unit? Land them again if not",
            acceptable=True,
        ),
        CheckSpec(
            "holiday_flags_agree",
            "One holiday flag per week, the same in sales and covariates, unless holidays are set by store",
            "warn",
            answer="correct the flags, or set [holidays] country in demand.toml",
            acceptable=True,
        ),
        CheckSpec(
            "row_count_is_in_band",
            "The stores that sell in a week have 70% to 130% of their usual rows: of the median of the up to 8 weeks "
            "before, at least 4; the first week of all is compared with the 8 after it",
            "warn",
            answer="is the week whole? Land what is lacking",
            acceptable=True,
        ),
        CheckSpec(
            "no_week_is_missing",
            "Between a week and the one before it no week is without any sale, except weeks the chain was closed",
            "warn",
            answer=_CLOSED,
            acceptable=True,
        ),
        CheckSpec(
            "stores_sell_every_week",
            "No store is absent and then sells again, except in weeks it was closed; the week of the finding is the "
            "first one absent",
            "warn",
            answer=_CLOSED,
            acceptable=True,
        ),
        CheckSpec(
            "no_store_or_dept_starts_or_stops",
            "In the newest week no store or department sells for the first time, and none has stopped that sold in "
            "each of the 4 weeks before",
            "warn",
            answer="nothing to do where this is meant",
            acceptable=True,
        ),
        CheckSpec(
            "covariates_cover_the_stores_that_sell",
            "Every store and week with sales has covariates, once covariates have landed",
            "warn",
            answer="land covariates that cover them",
            acceptable=True,
        ),
        CheckSpec(
            "negative_sales_are_returns",
            "Negative amounts are counted and kept",
            "warn",
            answer="kept as returns, nothing to do",
            acceptable=True,
        ),
    ),
    "covariates": (
        _types("covariates"),
        *_keys("covariates", "store and week (and department, where there is one)"),
        _weekday("covariates"),
        _within("covariates"),
        _known("covariates"),
        CheckSpec(
            "covariates_holiday_flags_agree",
            "One holiday flag per week in all rows, unless holidays are set by store",
            "warn",
            answer="correct the flags, or set [holidays] country in demand.toml",
            acceptable=True,
        ),
    ),
    "series_covariates": (
        _types("series_covariates"),
        *_keys("series_covariates", "store, department and week"),
        _weekday("series_covariates"),
        _within("series_covariates"),
        _known("series_covariates"),
    ),
    "stores": _members("stores", "store"),
    "departments": _members("departments", "department"),
}
SPECS: Mapping[str, CheckSpec] = {spec.name: spec for specs in CHECKS.values() for spec in specs}


def checks_page() -> str:
    """`docs/checks.md`."""
    return _HEAD + "".join(
        f"\n## {kind.capitalize().replace('_', ' ')}\n\n| check | rule | if not | how to answer |\n|---|---|---|---|\n"
        + "".join(f"| `{spec.name}` | {spec.rule} | {_effect(spec)} | {_answer(spec)} |\n" for spec in specs)
        for kind, specs in CHECKS.items()
    )


def _effect(spec: CheckSpec) -> str:
    return "blocks" if spec.severity == "error" else "warns"


def _answer(spec: CheckSpec) -> str:
    return f"{spec.answer}; or accept it" if spec.acceptable else spec.answer


_HEAD = """# What is checked, and how to answer

Made from `demand_assets/ingestion/catalogue.py` with `python -m demand_assets.ingestion.catalogue > docs/checks.md`.

What is certainly wrong **blocks**: the file is refused, or its wrong rows are set aside, and good files beside it still
land. What is merely unusual **warns**: the week is published, and the finding stands on the asset check with the rows
and how to answer it. Each oddity is named by one check.

A finding that is right is accepted by week and check, and passes from then on with the reason in its description:

    demand accept --week 2012-11-23 --check sales_are_within_20x_of_their_past --reason "clearance sale"

or in `demand.toml`:

    [[accept]]
    week = 2012-11-23
    check = "sales_are_within_20x_of_their_past"
    reason = "clearance sale"

Of the checks that block only `sales_are_possible` can be accepted: what is wrong otherwise cannot be right.

Weeks without trade are no gap once they are declared:

    [data]
    closed = [2020-04-03, { week = 2020-04-10, stores = ["ZRH-01"] }]

**Wrong rows.** A row of a week to come, of another weekday, without a finite amount, or with an impossible amount can
be set aside by itself; the other rows of its file land. A file in which more than 1% of the rows, and more than 10, are
wrong is refused as a whole.
"""


if __name__ == "__main__":
    sys.stdout.write(checks_page())
