"""The check of benchmarks against what is recorded."""

import json

from benchmarks.check import RECORDED, slower


def test_only_what_is_slower_by_more_than_is_allowed_is_named() -> None:
    recorded = {"features": 4.0, "ingestion": 0.5, "reasons": 10.0}
    assert slower({"features": 3.1, "ingestion": 0.37, "reasons": 12.0, "new": 0.1}, recorded) == [
        "ingestion: expected at least 0.38, recorded 0.50, got 0.37"
    ]


def test_a_ratio_that_is_not_measured_any_more_is_named() -> None:
    assert slower({}, {"features": 4.0}) == ["features: expected at least 3.00, recorded 4.00, got none"]


def test_ratios_are_recorded() -> None:
    recorded = json.loads(RECORDED.read_text())
    assert len(recorded) > 3
    assert slower(recorded, recorded) == []
