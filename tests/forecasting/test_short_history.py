"""Which origins a history allows."""

import pandas as pd

from demand_assets.forecasting.short_history import model_origins, origins_to_build, untrained_origins

WEEKS = pd.date_range("2010-02-05", periods=140, freq="7D")


def built(weeks: int) -> list[int]:
    """Places of the weeks that get features, of a history of so many; horizon 4, eight origins four weeks apart."""
    return [int(place) for place in WEEKS.get_indexer(origins_to_build(WEEKS[:weeks], 100, 8, 4, 4))]


def test_a_short_history_gets_features_of_its_newest_quarter() -> None:
    assert built(1) == [0]
    assert built(8) == list(range(8))
    assert built(20) == list(range(6, 20))


def test_a_history_of_over_a_year_gets_those_with_a_last_year_too() -> None:
    assert built(60) == list(range(46, 60))
    assert built(66) == list(range(52, 66))
    assert built(100) == list(range(52, 100))


def test_a_model_is_never_judged_at_nor_learns_from_origins_without_a_last_year() -> None:
    assert model_origins(WEEKS[:60], WEEKS[:60], WEEKS[59], 8, 4, 4) == []
    short_ones_kept = model_origins(WEEKS[:80], WEEKS[:80], WEEKS[79], 8, 4, 4)
    assert short_ones_kept == model_origins(WEEKS[52:80], WEEKS[:80], WEEKS[79], 8, 4, 4)
    assert min(short_ones_kept) >= WEEKS[60]


def test_an_origin_before_stands_in_where_no_sales_landed() -> None:
    whole = model_origins(WEEKS, WEEKS, WEEKS[-1], 3, 4, 4)
    # The last of them is missing; of the first all four weeks.
    lost = WEEKS.get_indexer(whole)
    held = WEEKS.delete([lost[2], *range(lost[0] - 3, lost[0] + 1)])
    found = model_origins(held, held, WEEKS[-1], 3, 4, 4)
    assert found == [WEEKS[lost[0] - 4], whole[1], WEEKS[lost[2] - 1]]


def test_untrained_methods_are_judged_before_the_week_they_forecast_from() -> None:
    assert untrained_origins(WEEKS[:3], WEEKS[2]) == list(WEEKS[:2])
    assert untrained_origins(WEEKS[:1], WEEKS[0]) == []
