"""A version's card: what the gate said replaces what it said before, and the whole fits into MLflow's column."""

from demand_assets.adapters.model_card import LONGEST, with_decision


def test_a_decision_replaces_the_one_before() -> None:
    first = with_decision("# Weekly demand\n\n## Limits\n\n- Some.\n", "Not judged yet.")
    assert first == "# Weekly demand\n\n## Limits\n\n- Some.\n\n## Gate\n\nNot judged yet."
    assert with_decision(first, "refused") == first.replace("Not judged yet.", "refused")
    assert with_decision("", "refused") == "## Gate\n\nrefused"


def test_a_long_decision_is_cut_to_what_mlflow_takes() -> None:
    assert len(with_decision("# Weekly demand", "x" * 9000)) == LONGEST
