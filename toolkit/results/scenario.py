"""Scenarios beside the baseline: totals, weeks and products, and their differences. Plain data.

Differences are of the same draws: their quantiles are those of draw-wise differences, never
differences of quantiles. Dates are ISO text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from toolkit.card import SHOWN_ROWS, Card, CardCell, Grid, Shown, Strong, counted, in_a_line
from toolkit.data.scenario import NumberedScenario
from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.results.customer import code_cells, coded, money
from toolkit.results.metadata import ModelMetadata
from toolkit.results.scenario_fields import (
    ComparedProduct,
    ComparedProducts,
    ComparedScenario,
    Difference,
    Outcome,
    compared_scenario,
)
from toolkit.results.tables import ColumnKind, Schema, frame_of, quantile_columns, table_named

if TYPE_CHECKING:
    import pandas as pd

type ScenarioTable = Literal["products", "weeks", "totals"]

_DIFFERENCE: dict[str, ColumnKind] = {
    "expected_orders": "float64",
    **quantile_columns("orders"),
    "baseline_orders": "float64",
    "difference_orders": "float64",
    **quantile_columns("difference_orders"),
    "expected_quantity": "float64",
    **quantile_columns("quantity"),
    "baseline_quantity": "float64",
    **quantile_columns("baseline_quantity"),
    "difference_quantity": "float64",
    **quantile_columns("difference_quantity"),
    "expected_revenue": "float64",
    **quantile_columns("revenue"),
    "baseline_revenue": "float64",
    "difference_revenue": "float64",
    **quantile_columns("difference_revenue"),
}
SCENARIO_TOTALS: Schema = {"scenario": "string", **_DIFFERENCE}
SCENARIO_WEEKS: Schema = {
    "scenario": "string",
    "week_number": "int64",
    "week_start_date": "date",
    **_DIFFERENCE,
}
SCENARIO_PRODUCTS: Schema = {
    "scenario": "string",
    "product_id": "int64",
    "product_name": "string",
    **_DIFFERENCE,
}


@dataclass(frozen=True, slots=True)
class ScenarioComparison(Shown):
    """Scenarios beside the baseline, in the order in which they were given."""

    forecast_period_weeks: int
    forecast_start_date: str
    forecast_end_date: str
    unpriced_products: int
    never_ordered: list[int]
    scenarios: list[ComparedScenario]
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls,
        products: ComparedProducts,
        baseline: Outcome,
        outcomes: Sequence[tuple[NumberedScenario, Outcome]],
        never_ordered: Sequence[int],
        as_of: date,
        metadata: ModelMetadata,
    ) -> "ScenarioComparison":
        """What the outcomes say beside the baseline."""
        weeks = baseline.own.draws.shape[1]
        return cls(
            forecast_period_weeks=weeks,
            forecast_start_date=as_of.isoformat(),
            forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * weeks - 1)).isoformat(),
            unpriced_products=sum(price is None for price in products.unit_price),
            never_ordered=list(never_ordered),
            scenarios=[
                compared_scenario(scenario, products, baseline, outcome, as_of)
                for scenario, outcome in outcomes
            ],
            model_metadata=metadata,
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    def to_frame(self, table: ScenarioTable | None = None) -> "pd.DataFrame":
        """One of its tables, by default ``products``: a row a scenario and product.

        ``weeks``: a row a scenario and week, of all products; ``totals``: a row a scenario. Columns
        and types are ``SCENARIO_PRODUCTS``, ``SCENARIO_WEEKS`` and ``SCENARIO_TOTALS``.
        ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""

        def rows(key: Literal["products", "weekly"]) -> list[Mapping[str, object]]:
            return [{"scenario": s["scenario"], **row} for s in self.scenarios for row in s[key]]

        totals = [{"scenario": s["scenario"], **s["total"]} for s in self.scenarios]
        return {
            "products": frame_of(rows("products"), SCENARIO_PRODUCTS),
            "weeks": frame_of(rows("weekly"), SCENARIO_WEEKS),
            "totals": frame_of(totals, SCENARIO_TOTALS),
        }

    def __repr__(self) -> str:
        """Which scenarios, and what each changes."""
        changes = ", ".join(
            f"{s['scenario']!r} {s['total']['difference_quantity']:+,.0f} units"
            for s in self.scenarios
        )
        return (
            f"<ScenarioComparison, {self.forecast_start_date} to {self.forecast_end_date}: "
            f"{changes}>"
        )

    def to_card(
        self, top: int | None = SHOWN_ROWS, product_codes: Mapping[int, str] | None = None
    ) -> Card:
        """Totals, and of each scenario the ``top`` products that it changes most, None for all.

        The weeks instead, where there is one product. Codes are shown where ids stand for codes.
        """
        made = self.model_metadata
        failed, missing = made["failed_pairs"], len(self.never_ordered)
        warnings = [f"{counted(failed, 'pair')} failed, left out."] if failed else []
        if missing:
            left_out = counted(missing, "product")
            warnings.append(f"{left_out} never ordered before, or replaced since, left out.")
        if self.unpriced_products:
            unpriced = counted(self.unpriced_products, "product")
            warnings.append(f"{unpriced} without a price, left out of revenue.")
        return Card(
            title=counted(len(self.scenarios), "scenario"),
            subtitle=(
                f"{self.forecast_start_date} to {self.forecast_end_date}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            warnings=warnings,
            grids=[
                _totals(self.scenarios),
                *(grid for s in self.scenarios for grid in _details(s, top, product_codes)),
            ],
            sentences=self._sentences(),
        )

    def _sentences(self) -> list[str]:
        said = [
            f"{in_a_line(s['scenario'])}: {in_a_line('; '.join(s['changes']) or 'no change')}."
            for s in self.scenarios
        ]
        said.append("Intervals hold 80 %; differences are of the same draws.")
        if any(s["changes_customers"] for s in self.scenarios):
            said.append(CUSTOMERS_NOTE)
        if any(s["wins_customers"] for s in self.scenarios):
            said.append(WON_NOTE)
        if any(s["receives_orders"] for s in self.scenarios):
            said.append(f"All is as of {self.forecast_start_date}. {RECEIVED_NOTE}")
        return said


CUSTOMERS_NOTE = (
    "What single customers change is their own part of each draw. Of more than 100 of them, and of "
    "a model that does not tell them apart, it is their expected share of it: the interval of such "
    "a difference is too narrow."
)

WON_NOTE = (
    "A customer who is won has draws of their own: the interval of such a difference holds the "
    "chance of what they order."
)

RECEIVED_NOTE = (
    "An order received is one of the day before: a difference is the forecast with it less that of "
    "the same date without it, and the order's own units are in neither. Its interval holds the "
    "chance of what its customer orders otherwise; what others do cancels."
)

_CHANGED = ("units", "forecast", "difference", "80 % of it", "revenue change")


def _totals(scenarios: Sequence[ComparedScenario]) -> Grid:
    """A row for what is forecast as it is, and one for each scenario."""
    heads = ("scenario", "units", "80 % interval", "difference", "80 % of it", "revenue", "change")
    rows: list[Sequence[CardCell]] = [
        (
            in_a_line(one["scenario"]),
            Strong(f"{one['total']['expected_quantity']:,.0f}"),
            _interval(one["total"]["quantity_quantiles"]),
            *_change(one["total"]),
            money(one["total"]["expected_revenue"]),
            _signed(one["total"]["difference_revenue"]),
        )
        for one in scenarios
    ]
    now = scenarios[0]["total"]
    baseline = (
        "the forecast",
        f"{now['baseline_quantity']:,.0f}",
        _interval(now["baseline_quantity_quantiles"]),
        *("", "", money(now["baseline_revenue"]), ""),
    )
    return Grid("All products together", heads, [baseline, *rows], frozenset(heads[1:]))


def _details(
    scenario: ComparedScenario, top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    title = in_a_line(scenario["scenario"])
    products = scenario["products"]
    if len(products) == 1:
        weeks = [
            (f"{week['week_number']}", week["week_start_date"], *_cells(week))
            for week in scenario["weekly"]
        ]
        heads = ("week", "from", *_CHANGED)
        return [Grid(f"{title}: the weeks", heads, weeks, frozenset({"week", *_CHANGED}))]
    changed = [p for p in products if p["difference_quantity"] or p["difference_revenue"]]
    rows = [
        (*code_cells(codes, p["product_id"]), in_a_line(p["product_name"]), *_cells(p))
        for p in sorted(changed, key=_largest_change)
    ]
    name = f"{title}: products that change most"
    return coded(name, ("product", *_CHANGED), rows, _CHANGED, top, codes)


def _largest_change(product: ComparedProduct) -> tuple[float, float, int]:
    revenue, units = product["difference_revenue"] or 0.0, product["difference_quantity"]
    return -abs(revenue), -abs(units), product["product_id"]


def _cells(row: Difference) -> tuple[str, ...]:
    return (
        f"{row['expected_quantity']:,.0f}",
        f"{row['baseline_quantity']:,.0f}",
        *_change(row),
        _signed(row["difference_revenue"]),
    )


def _change(row: Difference) -> tuple[str, str]:
    low, high = (row["difference_quantity_quantiles"][name] for name in ("q10", "q90"))
    return _signed(row["difference_quantity"]), f"{_signed(low)} to {_signed(high)}"


def _signed(amount: float | None) -> str:
    return "–" if amount is None else f"{amount:+,.0f}"


def _interval(quantiles: Mapping[str, float]) -> str:
    return f"{quantiles['q10']:,.0f} – {quantiles['q90']:,.0f}"
