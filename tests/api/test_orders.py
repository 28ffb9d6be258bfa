"""The service's order quantities are the pipeline's."""

import pandas as pd
import pytest

from api.orders import order_quantity
from demand_assets.forecasting.orders import quantile_at

ROWS = pd.DataFrame(
    {"p10": [80.0, -20.0, 5.0], "p50": [100.0, 1.0, 5.0], "p90": [150.0, 40.0, 5.0]},
)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999])
def test_a_quantity_is_the_pipelines_at_that_level(level: float) -> None:
    ours = [order_quantity(*row, level) for row in ROWS.itertuples(index=False, name=None)]
    assert ours == pytest.approx(quantile_at(ROWS, level).clip(min=0.0))
