"""What forecasts, patterns and predictions show of themselves in a notebook."""

from collections.abc import Sequence

from toolkit.data.tables import Patterns
from toolkit.results.forecast import (
    AtRiskCustomer,
    CustomerPrediction,
    CustomerProductPattern,
    ProductForecast,
    TopCustomer,
    WeeklyForecast,
)
from toolkit.results.html import Card, Cell, Figure, Grid, Span, spans

SHOWN_ROWS = 10
"""So many customers, pairs or orders are shown, and how many more there are is said."""

BEYOND = "beyond two years"


def forecast_card(forecast: ProductForecast) -> Card:
    """A product's weeks, top customers and customers at risk."""
    summary, made = forecast.summary, forecast.model_metadata
    warnings = []
    if made["failed_pairs"]:
        warnings.append(f"{made['failed_pairs']:,} pairs failed and are left out.")
    if made["knows_the_future"]:
        warnings.append(
            f"The model was fitted as of {made['fitted_as_of_date']}, after this forecast's date: "
            "it knows what it forecasts, so do not score it."
        )
    return Card(
        title=summary["product_name"],
        subtitle=(
            f"Product {forecast.product_id}, {summary['forecast_start_date']} to "
            f"{summary['forecast_end_date']}, by {made['model_name']}@{made['model_version']}"
        ),
        figures=_totals(forecast),
        warnings=warnings,
        grids=[
            _weeks(forecast.weekly_forecasts),
            *_top_customers(forecast.top_customers_by_volume),
            *_at_risk(forecast.at_risk_customers),
        ],
    )


def pattern_card(pattern: CustomerProductPattern) -> Card:
    """How a pair ordered so far."""
    mean, deviation = pattern.mean_interval_days, pattern.std_interval_days
    figures = [
        Figure("orders", f"{pattern.total_orders:,}"),
        Figure(
            "days between orders",
            "–" if mean is None else f"{mean:,.1f}",
            "" if deviation is None else f"± {deviation:,.1f}",
        ),
        Figure("days since the last", f"{pattern.open_interval_days:,.0f}"),
        Figure("units an order", f"{pattern.avg_quantity:,.3g}"),
    ]
    gaps = [""] + [
        f"{(later - earlier).days:,}"
        for earlier, later in zip(pattern.order_dates, pattern.order_dates[1:], strict=False)
    ]
    rows = [
        (f"{day}", gap, f"{units:,g}")
        for day, gap, units in zip(pattern.order_dates, gaps, pattern.quantities, strict=True)
    ]
    heads = ("ordered on", "days after", "units")
    return Card(
        title=f"Customer {pattern.customer_id}, product {pattern.product_id}",
        subtitle=f"What was known before {pattern.as_of_date}",
        figures=figures,
        grids=[_some("Last orders", heads, rows[::-1], heads[1:], "orders before these")],
    )


def prediction_card(prediction: CustomerPrediction) -> Card:
    """When a pair orders next, and how sure that is."""
    weeks = range(1, len(prediction.p_order_by_week) + 1)
    rows = [
        (f"{week}", f"{share:.0%}", Span(0.0, share, share), f"{orders:,.2f}", f"{units:,.1f}")
        for week, share, orders, units in zip(
            weeks,
            prediction.p_order_by_week,
            prediction.expected_orders,
            prediction.expected_quantity,
            strict=True,
        )
    ]
    day = prediction.next_order_date
    heads = ("week", "P(ordered by its end)", "", "orders", "units")
    return Card(
        title=f"Customer {prediction.customer_id}, product {prediction.product_id}",
        subtitle=f"As of {prediction.as_of_date}, from {prediction.total_orders:,} orders",
        figures=[
            Figure("next order", BEYOND if day is None else f"{day}"),
            Figure("confidence", f"{prediction.prediction_confidence:.2f}"),
            Figure("P(still a customer)", f"{prediction.p_alive:.2f}"),
            Figure("days between orders", f"{prediction.expected_interval_days:,.0f}"),
        ],
        grids=[Grid("By week", heads, rows, frozenset({*heads[1:2], *heads[3:]}))],
    )


def patterns_card(patterns: Patterns) -> Card:
    """A table of pairs: how many there are, and the first of them."""
    count = len(patterns)
    ids, _ = patterns.product_offsets()
    customers = len(set(patterns.customer_id.tolist()))
    heads = ("product", "customer", "orders", "days between", "since the last", "units")
    rows = [
        (
            f"{patterns.product_id[i]}",
            f"{patterns.customer_id[i]}",
            f"{patterns.order_count[i]:,}",
            f"{patterns.mean_interval[i]:,.1f}" if patterns.order_count[i] > 1 else "–",
            f"{patterns.open_interval[i]:,.0f}",
            f"{patterns.total_quantity[i]:,g}",
        )
        for i in range(min(count, SHOWN_ROWS))
    ]
    rest = f"and {count - len(rows):,} more" if count > len(rows) else ""
    return Card(
        title=f"{count:,} pair{'' if count == 1 else 's'}",
        subtitle=f"Known before {patterns.as_of_date}",
        figures=[
            Figure("product" if len(ids) == 1 else "products", f"{len(ids):,}"),
            Figure("customer" if customers == 1 else "customers", f"{customers:,}"),
            Figure("order events", f"{len(patterns.events):,}"),
        ],
        grids=[Grid("", heads, rows, frozenset(heads[2:]), rest)] if rows else [],
    )


def _totals(forecast: ProductForecast) -> list[Figure]:
    summary, demand = forecast.summary, forecast.summary["demand"]
    interval = demand["quantity_quantiles"]
    sure = "" if interval is None else f"80 %: {interval['q10']:,.0f} to {interval['q90']:,.0f}"
    weeks = forecast.forecast_period_weeks
    return [
        Figure(f"units in {weeks} weeks", f"{demand['expected_quantity']:,.0f}", sure),
        Figure("orders", f"{demand['expected_orders']:,.0f}"),
        Figure("revenue", f"{demand['expected_revenue']:,.0f}"),
        Figure(
            "customers listed",
            f"{summary['unique_customers']:,}",
            f"mean confidence {summary['avg_confidence']:.2f}",
        ),
    ]


def _weeks(weeks: Sequence[WeeklyForecast]) -> Grid:
    """Demand by week, with its interval in figures and drawn where it is known."""
    known = [week["demand"]["quantity_quantiles"] for week in weeks]
    bands = [band for band in known if band is not None]
    drawn = (
        spans(*([band[name] for band in bands] for name in ("q10", "q50", "q90")))
        if len(bands) == len(known)
        else None
    )
    rows: list[Sequence[Cell]] = []
    for place, week in enumerate(weeks):
        demand, band = week["demand"], known[place]
        customers = ", ".join(c["customer_name"] for c in week["expected_customers"][:2])
        rows.append(
            (
                f"{week['week_number']}",
                week["week_start_date"],
                f"{demand['expected_orders']:,.1f}",
                f"{demand['expected_quantity']:,.0f}",
                "–" if band is None else f"{band['q10']:,.0f} – {band['q90']:,.0f}",
                "" if drawn is None else drawn[place],
                customers,
            )
        )
    heads = ("week", "from", "orders", "units", "80 % interval", "", "most likely customers")
    return Grid("Demand by week, all customers", heads, rows, frozenset(heads[2:5]))


def _top_customers(customers: Sequence[TopCustomer]) -> list[Grid]:
    heads = ("customer", "next order", "orders", "units", "confidence")
    rows = [
        (
            customer["customer_name"],
            customer["next_order_date"] or BEYOND,
            f"{customer['total_orders']:,.1f}",
            f"{customer['total_quantity']:,.0f}",
            f"{customer['avg_confidence']:.2f}",
        )
        for customer in customers
    ]
    return [_some("Top customers by volume", heads, rows, heads[2:])] if rows else []


def _at_risk(customers: Sequence[AtRiskCustomer]) -> list[Grid]:
    heads = ("customer", "why", "confidence")
    rows = [
        (
            customer["customer_name"],
            customer["risk_reason"],
            f"{customer['avg_confidence']:.2f}",
        )
        for customer in customers
    ]
    return [_some("Customers at risk", heads, rows, heads[2:])] if rows else []


def _some(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    numbers: Sequence[str],
    more: str = "more",
) -> Grid:
    """The first rows, and how many more there are."""
    rest = len(rows) - SHOWN_ROWS
    note = f"and {rest:,} {more}" if rest > 0 else ""
    return Grid(title, heads, rows[:SHOWN_ROWS], frozenset(numbers), note)
