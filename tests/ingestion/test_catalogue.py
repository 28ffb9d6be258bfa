"""What blocks, what warns, and the page that says so."""

from pathlib import Path

from demand_assets.ingestion.catalogue import CHECKS, checks_page


def test_what_is_certainly_wrong_blocks_and_what_is_unusual_warns() -> None:
    severities = {spec.name: (spec.severity, spec.acceptable) for specs in CHECKS.values() for spec in specs}
    blocks, warns = ("error", False), ("warn", True)
    assert severities == {
        **{
            f"{kind}_{check}": severity
            for kind in ("sales", "covariates", "series_covariates", "stores", "departments")
            for check, severity in (
                ("columns_and_types_are_right", blocks),
                ("keys_are_unique", blocks),
                ("rows_come_once", ("warn", False)),
            )
        },
        "sales_weeks_end_on_one_weekday": blocks,
        "covariates_weeks_end_on_one_weekday": blocks,
        "series_covariates_weeks_end_on_one_weekday": blocks,
        "sales_weeks_have_begun": blocks,
        "covariates_weeks_are_within_10_years": blocks,
        "series_covariates_weeks_are_within_10_years": blocks,
        "sales_are_finite": blocks,
        "sales_are_possible": ("error", True),
        "sales_stores_are_known": warns,
        "covariates_stores_are_known": warns,
        "series_covariates_stores_are_known": warns,
        "sales_are_within_20x_of_their_past": warns,
        "holiday_flags_agree": warns,
        "covariates_holiday_flags_agree": warns,
        "row_count_is_in_band": warns,
        "no_week_is_missing": warns,
        "stores_sell_every_week": warns,
        "no_store_or_dept_starts_or_stops": warns,
        "covariates_cover_the_stores_that_sell": warns,
        "negative_sales_are_returns": warns,
    }


def test_the_page_of_checks_is_that_of_the_catalogue() -> None:
    page = Path(__file__).parents[2] / "docs" / "checks.md"
    assert page.read_text() == checks_page(), "python -m demand_assets.ingestion.catalogue > docs/checks.md"
