"""How often drift reports cry wolf on the real history, and how soon they name shifts that were put into it.

Every week with half a year of origins behind it is judged as it is: its alarms are false ones. Then each shift starts
at several of these weeks in turn; it counts as named when the report names its group (and one of its variables), which
the report of the unchanged week did not. The champion of each week is at most 13 weeks old; predictions come from one
model, trained on the origins before the first week that is judged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import numpy as np
import pandas as pd

from benchmarks.machine import write
from demand_assets.adapters.landing import LandingZone
from demand_assets.forecasting.calendar import calendar_for, calendar_from_covariates
from demand_assets.forecasting.features import build_features, first_origin
from demand_assets.forecasting.forecaster import Forecaster, fit
from demand_assets.forecasting.holidays import US
from demand_assets.forecasting.models.xgboost import XGBoostConfig
from demand_assets.forecasting.panel import build_panel
from demand_assets.forecasting.weeks import add_weeks, weeks_between
from demand_assets.monitoring.drift import DriftVerdict, drift_report, drift_verdict
from demand_assets.monitoring.drift_metrics import department_group, measured
from demand_assets.monitoring.drift_severity import SEVERE, WARN

LEAST_ORIGINS = 13
CHAMPION_WEEKS = 13
WEEKS_WAITED = 4


@dataclass(frozen=True)
class Shift:
    """A change of the landed frames from a week on, and the (group kind, group id) that a report must name."""

    name: str
    week: pd.Timestamp
    change: Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]
    groups: frozenset[tuple[str, str]]
    variables: tuple[str, ...]


class History:
    """The landed frames, their features of horizon 1, and the one model whose predictions are watched."""

    def __init__(self, raw_dir: str, horizon: int, rounds: int, threads: int, seed: int) -> None:
        landed = LandingZone(raw_dir).contents().tables()
        self.sales, self.conditions, self.stores = landed.sales, landed.covariates, landed.stores
        self.horizon = horizon
        self.calendar = landed.calendar
        panel = build_panel(self.sales, self.conditions, self.stores, self.calendar, horizon)
        self.origins = weeks_between(first_origin(panel.weeks), panel.weeks[-1])
        features = build_features(panel, list(self.origins), horizon)
        self.judged = self.origins[LEAST_ORIGINS:]
        config = XGBoostConfig(rounds=rounds, members=1, seed=seed, threads=threads)
        self.model: Forecaster = fit(features, self.sales, self.judged[0], config)
        self.rows = measured(features, self.model.predict(features)["forecast"].to_numpy())
        ahead = features.groupby(["origin_week", "target_week"])["is_holiday"].max().reset_index()
        self.targets = {pd.Timestamp(str(week)): rows for week, rows in ahead.groupby("origin_week")}

    def champion_of(self, week: pd.Timestamp) -> pd.Timestamp:
        """Last origin that the champion of a week learnt from: a new one every quarter."""
        age = int(np.flatnonzero(self.judged == week)[0]) % CHAMPION_WEEKS + 1
        return add_weeks(week, -age)

    def report(self, week: pd.Timestamp) -> pd.DataFrame:
        """The report of a week as it was."""
        rows = self.rows
        now, past = rows[rows["origin_week"] == week], rows[rows["origin_week"] < week]
        return drift_report(now, past, self.champion_of(week), self.targets[week], self.calendar)

    def shifted_reports(self, shift: Shift) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
        """Reports of the weeks from a shift's start on, each over the shifted weeks before it."""
        last = min(add_weeks(shift.week, WEEKS_WAITED - 1), self.origins[-1])
        sales, conditions = shift.change(self.sales[self.sales["week"] <= last].copy(), self.conditions.copy())
        calendar = calendar_for(calendar_from_covariates(conditions), US, self.sales["week"], self.horizon)
        panel = build_panel(sales, conditions, self.stores, calendar, self.horizon)
        past = self.rows[self.rows["origin_week"] < shift.week]
        for week in weeks_between(shift.week, last):
            features = build_features(panel, [week], self.horizon)
            now = measured(features, self.model.predict(features)["forecast"].to_numpy())
            targets = features[["target_week", "is_holiday"]]
            yield week, drift_report(now, past, self.champion_of(week), targets, calendar)
            past = pd.concat([past, now], ignore_index=True)


def shifts_at(history: History, week: pd.Timestamp, turn: int, seed: int) -> Iterator[Shift]:
    """Every shift, starting at `week`; `turn` chooses which departments and stores."""
    draw = np.random.default_rng([seed, turn])
    recent = history.sales[history.sales["week"].between(add_weeks(week, -51), week)]
    by_dept = recent.groupby("dept_id")["sales"].sum().sort_values(ascending=False)
    groups = pd.Series(by_dept.index.map(department_group), index=by_dept.index)
    # Groups with at least four departments of half a percent of sales: others are too small to be judged.
    sizes = groups[by_dept.to_numpy() > 0.005 * by_dept.sum()].value_counts()
    usable = sorted(sizes[sizes >= 4].index)
    chosen = usable[turn % len(usable)]

    def raised(depts: "list[int]") -> Callable[..., tuple[pd.DataFrame, pd.DataFrame]]:
        def change(sales: pd.DataFrame, conditions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
            here = (sales["week"] >= week) & sales["dept_id"].isin(depts)
            sales["sales"] = sales["sales"].where(~here, sales["sales"] * 1.1)
            return sales, conditions

        return change

    for name, group in (
        ("10% level shift, department group 90-99", "90-99"),
        ("10% level shift, groups in turn", chosen),
    ):
        depts = [int(dept) for dept in groups.index[groups == group]]
        yield Shift(name, week, raised(depts), frozenset({("dept_group", group)}), ("residual_lag_0",))
    dept = int(by_dept.index[turn % 20])
    named = frozenset({("department", str(dept)), ("dept_group", department_group(dept))})
    yield Shift("10% level shift, one large department", week, raised([dept]), named, ("miss_", "growth_", "lag_0"))

    one, other = (int(store) for store in draw.choice(history.stores["store_id"].to_numpy(), 2, replace=False))

    def swapped(sales: pd.DataFrame, conditions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        late = sales["week"] >= week
        sales.loc[late, "store_id"] = sales.loc[late, "store_id"].replace({one: other, other: one})
        return sales, conditions

    stores = frozenset({("store", str(one)), ("store", str(other))})
    yield Shift("two stores swapped", week, swapped, stores, ("miss_", "lag_0", "growth_", "mean_", "prediction"))

    def rescaled(sales: pd.DataFrame, conditions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        conditions.loc[conditions["week"] >= week, "cpi"] *= 100
        return sales, conditions

    yield Shift("CPI times 100", week, rescaled, frozenset({("chain", "all")}), ("cpi_change",))

    def thinned(sales: pd.DataFrame, conditions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        now = history.rows[history.rows["origin_week"] == week]["lag_0"]
        share = now.isna().mean() / now.notna().mean()
        gone = (sales["week"] >= week).to_numpy() & (draw.random(len(sales)) < share)
        return sales[~gone], conditions

    yield Shift("missing sales rows doubled", week, thinned, frozenset({("chain", "all")}), ("lag_0", "residual_lag_0"))


def lost_flags(history: History) -> Iterator[Shift]:
    """Every holiday week that can be judged, without its flag."""
    flagged = history.conditions.loc[history.conditions["is_holiday"], "week"].unique()
    for week in history.judged[history.judged.isin(flagged)]:

        def change(
            sales: pd.DataFrame, conditions: pd.DataFrame, week: pd.Timestamp = week
        ) -> tuple[pd.DataFrame, pd.DataFrame]:
            conditions.loc[conditions["week"] == week, "is_holiday"] = False
            sales.loc[sales["week"] == week, "is_holiday"] = False
            return sales, conditions

        yield Shift("lost holiday flag", week, change, frozenset({("chain", "all")}), ("origin_is_holiday",))


def naming(report: pd.DataFrame, shift: Shift) -> pd.DataFrame:
    """Rows of a report that name the shift: its group and one of its variables."""
    groups = pd.Series(list(zip(report["group_kind"], report["group_id"], strict=True)), index=report.index)
    rows = report["severity"].isin([WARN, SEVERE]) & groups.isin(list(shift.groups))
    return report[rows & report["variable"].str.startswith(shift.variables)]


def detect(history: History, shift: Shift, clean: dict[pd.Timestamp, pd.DataFrame]) -> dict[str, object]:
    """Weeks until a shift was named (None: not within `WEEKS_WAITED`), how, and whether the week was severe."""
    found: dict[str, object] = {"shift": shift.name, "week": f"{shift.week:%Y-%m-%d}", "weeks": None, "as": ""}
    for waited, (week, report) in enumerate(history.shifted_reports(shift), start=1):
        known = set(naming(clean[week], shift)[["group_id", "variable"]].itertuples(index=False, name=None))
        rows = naming(report, shift).sort_values("score", key=np.abs, ascending=False)
        new = [row for row in rows.to_dict("records") if (row["group_id"], row["variable"]) not in known]
        if new:
            verdict: DriftVerdict = drift_verdict(report)
            first = next((row for row in new if row["severity"] == SEVERE), new[0])
            return {
                **found,
                "weeks": waited,
                "as": first["words"],
                "row": first["severity"],
                "verdict": verdict.severity,
            }
    return found


@click.command()
@click.option("--raw-dir", required=True, help="Folder with the three CSVs.")
@click.option("--starts", default=12, show_default=True, help="Weeks at which each shift starts in turn.")
@click.option("--horizon", default=4, show_default=True)
@click.option("--rounds", default=30, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--seed", default=7, show_default=True)
def main(raw_dir: str, starts: int, horizon: int, rounds: int, threads: int, seed: int) -> None:
    """Print false alarms over the history and the delay with which each shift is named; write both as JSON."""
    history = History(raw_dir, horizon, rounds, threads, seed)
    clean = {week: history.report(week) for week in history.judged}
    verdicts = {week: drift_verdict(report) for week, report in clean.items()}
    alarms = {f"{week:%Y-%m-%d}": list(one.severe) for week, one in verdicts.items() if one.severity == SEVERE}
    named = [len(one.named) for one in verdicts.values()]
    click.echo(
        f"{len(alarms)} of {len(clean)} weeks with a false alarm ({len(alarms) / len(clean):.1%}); "
        f"drifts named in a week: median {np.median(named):.0f}, most {max(named)}"
    )
    for week, words in alarms.items():
        click.echo(f"  {week}: {'; '.join(words)}")
    weeks = history.judged[np.linspace(0, len(history.judged) - WEEKS_WAITED, starts).astype(int)]
    shifts = [shift for turn, week in enumerate(weeks) for shift in shifts_at(history, week, turn, seed)]
    found = pd.DataFrame([detect(history, shift, clean) for shift in (*shifts, *lost_flags(history))])
    table = pd.DataFrame(
        [
            {
                "shift": name,
                "starts": len(rows),
                "named in week 1": int((rows["weeks"] == 1).sum()),
                f"within {WEEKS_WAITED}": int(rows["weeks"].notna().sum()),
                "severe row": int((rows["row"] == SEVERE).sum()),
                "week severe": int((rows["verdict"] == SEVERE).sum()),
                "example": rows["as"].iloc[-1],
            }
            for name, rows in found.groupby("shift", sort=False)
        ]
    )
    click.echo(table.to_string(index=False))
    write(
        "drift",
        {
            "weeks": len(clean),
            "false_alarms": alarms,
            "named_per_week": named,
            # A shift that was never named has no number of weeks, which JSON writes as null.
            "shifts": found.astype(object).replace({np.nan: None}).to_dict("records"),
        },
    )


if __name__ == "__main__":
    main()
