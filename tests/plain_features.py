"""demand_features by plain loops over lists: one series, origin and horizon at a time, every number spelled out.

The calendar, the smoothing and the decomposition have tests of their own and are taken as they are.
"""

import math
from dataclasses import dataclass

import numpy as np

from demand_assets.forecasting.calendar import easter_offset, holiday_kind, weeks_back
from demand_assets.forecasting.decomposition import decompose
from demand_assets.forecasting.panel import Panel
from demand_assets.forecasting.smoothing import smooth_departments

NAN = math.nan
Weeks = list[float]


def known(values: Weeks) -> Weeks:
    return [value for value in values if not math.isnan(value)]


def mean(values: Weeks) -> float:
    return sum(values) / len(values) if values else NAN


def ratio(over: float, under: float) -> float:
    return over / under if under > 0 else NAN


def clipped(value: float, low: float, high: float) -> float:
    return value if math.isnan(value) else min(max(value, low), high)


def at(values: Weeks, position: float, origin: int) -> float:
    """The value of a week that may lie between two; one not known at the origin is asked for a year before."""
    while math.floor(position) > origin:
        position -= 52
    low = math.floor(position)
    share = position - low
    before, after = (values[row] if 0 <= row <= min(origin, len(values) - 1) else NAN for row in (low, low + 1))
    if share == 0 or math.isnan(after):
        return before
    return after if math.isnan(before) else before * (1 - share) + after * share


def demand_rate(values: Weeks) -> float:
    """Smoothed probability of demand times its smoothed size."""
    size = likely = NAN
    for now in known(values):
        sold = float(now != 0)
        likely = sold if math.isnan(likely) else likely + 0.2 * (sold - likely)
        if sold:
            size = now if math.isnan(size) else size + 0.2 * (now - size)
    return size * likely if likely else 0.0


@dataclass(frozen=True)
class Pairs:
    """Sales of each week that has a counterpart a year before, and that counterpart; both 0 in the other weeks."""

    now: Weeks
    then: Weeks

    def sums(self, row: int, weeks: int) -> tuple[float, float]:
        """Of the `weeks` weeks to `row`."""
        first = max(row - weeks + 1, 0)
        return sum(self.now[first : row + 1]), sum(self.then[first : row + 1])

    def growth(self, row: int, weeks: int) -> float:
        return ratio(*self.sums(row, weeks))


def _sum(parts: list[Weeks]) -> Weeks:
    return [sum(known(list(week))) for week in zip(*parts, strict=True)]


class PlainFeatures:
    """The columns of demand_features of one origin, a row of a panel, but for the keys."""

    def __init__(self, panel: Panel, origin: int) -> None:
        self.panel, self.origin = panel, origin
        dates = panel.flagged_weeks()
        self.back, self.season_back = (
            weeks_back(dates, panel.calendar).tolist(),
            weeks_back(dates, panel.calendar, with_easter=False).tolist(),
        )
        self.holiday_kind, self.easter_offset = (
            holiday_kind(dates, panel.calendar).tolist(),
            easter_offset(dates, panel.calendar).tolist(),
        )
        self.sales: list[Weeks] = panel.sales.T.tolist()
        self.store, self.dept = panel.series["store"].tolist(), panel.series["dept"].tolist()
        self.pairs = [self._pairs(own) for own in self.sales]
        self.of_dept, self.of_store = self._groups(self.dept), self._groups(self.store)
        self.first = max(origin - 103, 0)
        smoothed, profile = smooth_departments(panel.sales[self.first : origin + 1], np.array(self.dept))
        self.smoothed, self.profile = smoothed.T.tolist(), profile.T.tolist()
        self.season: list[Weeks] = []
        if origin + 1 >= 60:
            season, level = decompose(panel.sales[: origin + 1], np.array(self.dept))
            self.season, self.level = season.T.tolist(), level.tolist()

    def of(self, series: int, horizon: int) -> dict[str, float] | None:
        """One row, unrounded; None for a series without a sale in the 52 weeks to the origin."""
        origin, own, pairs = self.origin, self.sales[series], self.pairs[series]
        year = known(own[max(origin - 51, 0) : origin + 1])
        if not year:
            return None
        scale = max(abs(mean(year)), 1.0)
        (_, dept_pairs), (store_sales, store_pairs) = self.of_dept[self.dept[series]], self.of_store[self.store[series]]
        floor = min([0.0, *known(own[: origin + 1])])
        row: dict[str, float] = {"scale": scale, "floor": floor, "weeks_observed": len(year)}
        for lag in (0, 1, 2, 3, 4, 7, 12):
            row[f"lag_{lag}"] = own[origin - lag] / scale if origin >= lag else NAN
        for weeks in (4, 8, 13, 26):
            row[f"mean_{weeks}"] = mean(known(own[max(origin - weeks + 1, 0) : origin + 1])) / scale
        for weeks in (13, 52):
            recent = known(own[max(origin - weeks + 1, 0) : origin + 1])
            middle = mean(recent)
            row[f"deviation_{weeks}"] = mean([(value - middle) ** 2 for value in recent]) ** 0.5 / scale
        for weeks in (4, 8, 16):
            row[f"growth_{weeks}"] = clipped(pairs.growth(origin, weeks), 0, 5)
            row[f"dept_growth_{weeks}"] = clipped(dept_pairs.growth(origin, weeks), 0, 5)
            row[f"store_growth_{weeks}"] = clipped(store_pairs.growth(origin, weeks), 0, 5)
        now, then = pairs.sums(origin, 8)
        usual = 1.0 if math.isnan(row["dept_growth_8"]) else row["dept_growth_8"]
        growth = clipped((now + 8 * scale * usual) / max(then + 8 * scale, 8 * scale), 0.5, 2.0)
        for lag in (0, 1):
            row[f"residual_lag_{lag}"] = self._residual(series, origin - lag, 1, growth) / scale
        for weeks in (4, 13):
            row[f"residual_mean_{weeks}"] = self._residual(series, origin, weeks, growth) / scale
        for name, both in (("dept_residual_mean_4", dept_pairs), ("store_residual_mean_4", store_pairs)):
            now, then = both.sums(origin, 4)
            row[name] = ratio(now - both.growth(origin, 8) * then, now)
        row |= self._covariates(self.store[series], store_sales)
        store, target = self.panel.stores.iloc[self.store[series]], origin + horizon
        row |= {
            "store_type": {"A": 0.0, "B": 1.0, "C": 2.0}.get(store["store_type"], -1.0),
            "store_size": store["size_sqft"] / 1000,
            "department": float(self.panel.series["dept_id"].iloc[series]),
            "origin_is_holiday": float(self.panel.is_holiday[origin, self.store[series]]),
            "is_holiday": float(self.panel.is_holiday[target, self.store[series]]),
            "holiday_kind": self.holiday_kind[target],
            "easter_offset": self.easter_offset[target],
            "alignment_shift": self.back[target] - 52,
        }
        return row | self._ahead(series, target, scale, growth, row["mean_8"] * scale, mean(year))

    def _ahead(
        self, series: int, target: int, scale: float, growth: float, mean_8: float, mean_52: float
    ) -> dict[str, float]:
        """What depends on the target week."""
        origin, own, position = self.origin, self.sales[series], target - self.back[target]
        dept = self.dept[series]
        (dept_sales, _), (store_sales, _) = self.of_dept[dept], self.of_store[self.store[series]]
        last_year = at(own, position, origin)
        dept_then = ratio(at(dept_sales, position, origin), self._yearly(dept_sales))
        recent = range(max(origin - 7, 0), origin + 1)
        lately = sum(known([at(dept_sales, week - self.back[week], origin) for week in recent])) / len(recent)
        index_change = ratio(dept_then, ratio(lately, self._yearly(dept_sales)))
        smooth_last_year = at(self.smoothed[series], position - self.first, origin - self.first)
        season = 1.0 if math.isnan(index_change) else clipped(index_change, 0.25, 4)
        aligned = (mean_52 if math.isnan(mean_8) else mean_8) * season
        smooth = aligned
        if not math.isnan(last_year):
            aligned = smooth = last_year * growth
            if not math.isnan(smooth_last_year):
                smooth = (0.35 * last_year + 0.65 * smooth_last_year) * growth
        decomposed = NAN
        if self.season:
            decomposed = self.level[series] + at(self.season[series], target - self.season_back[target], origin)
        base = smooth if math.isnan(decomposed) else (smooth + decomposed) / 2
        year = known(own[max(origin - 51, 0) : origin + 1])
        if year.count(0.0) > len(year) / 2:
            base = demand_rate(own[: origin + 1])
        return {
            **self._baselines(series, target, aligned),
            "base": base,
            "base_scaled": base / scale,
            "aligned": aligned / scale,
            "decomposition": decomposed / scale,
            "last_year": last_year / scale,
            "last_year_before": at(own, position - 1, origin) / scale,
            "last_year_after": at(own, position + 1, origin) / scale,
            "last_year_mean": mean(known([at(own, position + away, origin) for away in (-2, -1, 0, 1, 2)])) / scale,
            "two_years_ago": at(own, position - 52, origin) / scale,
            "smooth_last_year": smooth_last_year / scale,
            "smooth_base": smooth_last_year * growth / scale,
            "dept_profile": at(self.profile[dept], position - self.first, origin - self.first),
            "dept_index": dept_then,
            "dept_index_change": index_change,
            "store_index": ratio(at(store_sales, position, origin), self._yearly(store_sales)),
        }

    def _baselines(self, series: int, target: int, aligned: float) -> dict[str, float]:
        """In the unit of sales."""
        origin, own = self.origin, self.sales[series]
        last = known(own[: origin + 1])[-1]
        like = target - 52
        while like > origin:
            like -= 52
        seasonal = last if like < 0 or math.isnan(own[like]) else own[like]
        return {
            "seasonal_naive": seasonal,
            "aligned_seasonal_naive": aligned,
            "svd_stl": seasonal if origin + 1 < 104 else self.level[series] + self.season[series][target % 52],
            "tsb": demand_rate(own[: origin + 1]),
            "moving_average": mean(known(own[max(origin - 7, 0) : origin + 1]) or [last]),
            "last_value": last,
        }

    def _pairs(self, own: Weeks) -> Pairs:
        counterpart = [at(own, week - self.back[week], week) for week in range(len(own))]
        both = [not math.isnan(now + then) for now, then in zip(own, counterpart, strict=True)]
        return Pairs(
            *([value if held else 0.0 for value, held in zip(one, both, strict=True)] for one in (own, counterpart))
        )

    def _groups(self, groups: list[int]) -> dict[int, tuple[Weeks, Pairs]]:
        """Sales and pairs of each group, added up over its series."""
        found = {}
        for group in set(groups):
            members = [one for one, of in enumerate(groups) if of == group]
            pairs = [self.pairs[one] for one in members]
            together = Pairs(_sum([one.now for one in pairs]), _sum([one.then for one in pairs]))
            found[group] = (_sum([self.sales[one] for one in members]), together)
        return found

    def _residual(self, series: int, row: int, weeks: int, growth: float) -> float:
        """Mean error of last year times growth over the weeks that have a counterpart."""
        own = self.sales[series]
        recent = range(max(row - weeks + 1, 0), row + 1)
        return mean(known([own[week] - growth * at(own, week - self.back[week], week) for week in recent]))

    def _covariates(self, store: int, store_sales: Weeks) -> dict[str, float]:
        origin = self.origin
        held = {name: values[:, store].tolist() for name, values in self.panel.covariates.items()}

        def before(name: str) -> float:
            return held[name][origin - 52] if origin >= 52 else NAN

        weekly = max(self._yearly(store_sales), 1.0)
        markdowns = []
        for week in range(max(origin - 3, 0), origin + 1):
            paid = known([held[f"markdown{number}"][week] for number in (1, 2, 3, 4, 5)])
            markdowns.append(sum(paid) if paid else NAN)
        return {
            "temperature": held["temperature_f"][origin],
            "temperature_change": held["temperature_f"][origin] - before("temperature_f"),
            "fuel_change": ratio(held["fuel_price"][origin], before("fuel_price")),
            "cpi_change": ratio(held["cpi"][origin], before("cpi")),
            "unemployment_change": held["unemployment_pct"][origin] - before("unemployment_pct"),
            "markdown": markdowns[-1] / weekly,
            "markdown_4": mean(known(markdowns)) / weekly,
        }

    def _yearly(self, values: Weeks) -> float:
        return mean(values[max(self.origin - 51, 0) : self.origin + 1])
