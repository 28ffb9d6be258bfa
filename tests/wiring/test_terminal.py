"""What the user wrote is printed as it is, whatever a terminal's library would make of it."""

from __future__ import annotations

from typing import Any

import pytest

from demand_assets.commands import models, summary, terminal

HOSTILE = ("[/tmp/x] was broken", "[red]", "[link=file:///etc/passwd]here[/link]", ":warning: [/]")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_user_is_markup_on_a_console(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.terminal().print(text)
    terminal.print_table(text, [{text: text}])
    assert capsys.readouterr().out.count(text) == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_a_decision_is_printed_with_its_reason_as_given(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    models._print_record(None, False, text)  # type: ignore[arg-type]
    assert capsys.readouterr().out == f"{text}\n"


def summary_with(text: str, wmae: dict[str, float]) -> dict[str, Any]:
    """A summary of which every text is `text` and every count 1."""
    numbers: dict[str, Any] = dict.fromkeys(
        ("rows_landed", "rows_in_lake", "weeks", "series", "forecasts", "seconds", "fit_seconds", "peak_memory_mb"), 1
    )
    texts = dict.fromkeys(
        ("origin_week", "first_week", "last_week", "unit", "backtest_origins", "model_version",
         "production_version", "vintage", "store", "parquet", "method", "retraining", "example"), text
    )  # fmt: skip
    judged = {"wmae": wmae, "coverage_p10_p90": 0.8, "promotion_reasons": [text]}
    return numbers | texts | judged | {"vintage_is_new": True, "retrained": True}


@pytest.mark.parametrize("text", HOSTILE)
def test_the_closing_summary_prints_addresses_and_units_as_they_are(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(terminal.terminal(), summary_with(text, {text: 1.0, "seasonal_naive": 2.0}))
    # Title, last week, unit, origins, version, method, training, gate, vintage, the request.
    assert capsys.readouterr().out.count(text) == 10


@pytest.mark.parametrize(("own", "added"), [(1.5, "FVA +25.0% against 2"), (3.0, "FVA -50.0% against 2")])
def test_what_is_better_than_seasonal_naive_is_positive(
    own: float, added: str, capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(terminal.terminal(), summary_with("model", {"model": own, "seasonal_naive": 2.0}))
    assert added in capsys.readouterr().out
