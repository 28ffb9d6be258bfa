"""When to train anew, and why not."""

import pandas as pd
import pytest

from demand_assets.monitoring.retraining import Evidence, RetrainingPolicy, decide_retraining, loss_state

WEEK = pd.Timestamp("2012-06-29")
POLICY = RetrainingPolicy(max_age_weeks=26, cooldown_weeks=4)
QUIET = (100.0, 110.0, 90.0, 105.0, 95.0, 100.0, 108.0, 92.0)

REFUSED = (*QUIET, 300.0, 310.0, 105.0, 100.0, 102.0, 98.0)


def ago(weeks: int) -> str:
    return f"{WEEK - pd.Timedelta(weeks=weeks):%Y-%m-%d}"


def evidence(
    losses: tuple[float, ...] = QUIET,
    drift: tuple[str, ...] = ("none",),
    champion: int = 10,
    trained: int = 10,
    judged: int = 12,
) -> Evidence:
    """Losses and drift of the newest weeks; ages in weeks of champion, newest model and the newest origin it saw."""
    return Evidence(
        week=WEEK,
        champion="3",
        champion_as_of=WEEK - pd.Timedelta(weeks=champion),
        trained_as_of=WEEK - pd.Timedelta(weeks=trained),
        judged_to=WEEK - pd.Timedelta(weeks=judged),
        losses=tuple((ago(len(losses) - 1 - number), loss) for number, loss in enumerate(losses)),
        drift=tuple((f"w{number}", severity) for number, severity in enumerate(drift)),
    )


@pytest.mark.parametrize(
    ("given", "trigger", "words"),
    [
        (evidence(), "", "8 scored weeks are too few for a band of loss; drift is none; the champion is 10 of 26"),
        (evidence((*QUIET, 101.0)), "", "WMAE 101 of week 2012-06-29 is within its band"),
        (evidence((*QUIET, 300.0)), "", "WMAE 300 of week 2012-06-29 is above its band"),
        (evidence((*QUIET, 300.0, 310.0)), "loss", "for 2 weeks now"),
        (evidence((*QUIET, 300.0, 310.0, 100.0)), "", "within its band"),
        (evidence(drift=("severe", "severe")), "", "drift is severe for 2 of 3 weeks"),
        (evidence(drift=("severe", "severe", "severe")), "drift", "drift has been severe for 3 weeks"),
        (evidence(drift=("severe", "severe", "severe", "warn")), "", "drift is warn"),
        (evidence(drift=()), "", "drift is not reported; "),
        # Loss says it before drift does, and drift before age.
        (evidence((*QUIET, 300.0, 310.0), ("severe",) * 3, champion=30), "loss", "for 2 weeks now"),
        (evidence(drift=("severe",) * 3, champion=30), "drift", "drift has been severe for 3 weeks"),
        (evidence(champion=25, trained=25), "", "the champion is 25 of 26 weeks old"),
        (evidence(champion=26, trained=26), "age", "the champion is 26 weeks old, 26 are allowed"),
        (evidence(champion=26, trained=3), "", "a model was trained 3 weeks ago and 4 must pass"),
        (evidence((*QUIET, 300.0, 310.0), trained=0), "", "a model was trained 0 weeks ago"),
        # Trained four weeks ago in the second bad week and refused, judged before the first: once more.
        (
            evidence(REFUSED, trained=4, judged=6),
            "loss",
            "was refused, judged up to 2012-05-18, before loss rose in 2012-05-25",
        ),
        (evidence(REFUSED[:-1], trained=3, judged=5), "", "a model was trained 3 weeks ago and 4 must pass"),
        # Judged at an origin that knew the change: answered.
        (evidence(REFUSED, trained=4, judged=5), "", "is within its band"),
        # Trained in the first bad week, which was no reason yet.
        (evidence(REFUSED, trained=5, judged=7), "", "is within its band"),
        # Promoted.
        (evidence(REFUSED, trained=4, judged=6, champion=4), "", "is within its band"),
        (Evidence(week=WEEK), "first model", "no model was trained yet"),
        (Evidence(week=WEEK, trained_as_of=WEEK - pd.Timedelta(weeks=9)), "age", "the gate refused every challenger"),
        (Evidence(week=WEEK, trained_as_of=WEEK - pd.Timedelta(weeks=3)), "", "3 weeks ago and 4 must pass"),
    ],
)
def test_what_is_done_and_said(given: Evidence, trigger: str, words: str) -> None:
    decision = decide_retraining(given, POLICY)
    assert (decision.trigger if decision.act else "") == trigger
    assert decision.act == bool(trigger)
    assert words in decision.words


def test_even_without_a_cooldown_one_week_is_trained_on_once() -> None:
    given = evidence((*QUIET, 300.0, 310.0), trained=0)
    assert not decide_retraining(given, RetrainingPolicy(cooldown_weeks=0)).act


def test_a_loss_state_counts_weeks_above_in_a_row() -> None:
    losses = [(str(number), loss) for number, loss in enumerate((*QUIET, 300.0, 100.0, 290.0, 310.0))]
    state = loss_state(losses)
    assert state is not None
    assert (state.week, state.wmae, state.weeks_above, state.degraded) == ("11", 310.0, 2, True)
    assert loss_state([]) is None


def test_evidence_is_described_by_all_that_a_decision_rests_on() -> None:
    assert evidence((100.0, 1 / 3), ("none", "warn")).described() == {
        "week": "2012-06-29",
        "champion": "3",
        "trained_as_of": "2012-04-20",
        "judged_to": "2012-04-06",
        "losses": [["2012-06-22", 100.0], ["2012-06-29", 0.333333]],
        "drift": [["w0", "none"], ["w1", "warn"]],
        "set-up": [False, False],
    }
    assert Evidence(week=WEEK).described() == {
        "week": "2012-06-29",
        **dict.fromkeys(("champion", "trained_as_of", "judged_to")),
        "losses": [],
        "drift": [],
        "set-up": [False, False],
    }
