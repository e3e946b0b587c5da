"""The forecast of a product that the engine returns: plain data, ready for JSON.

What its fields are, and their formulas, is in ``fields.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, cast

from toolkit.card import (
    SHOWN_ROWS,
    Card,
    CardCell,
    Figure,
    Grid,
    Shown,
    counted,
    in_a_line,
    spans,
)
from toolkit.errors import ArgumentError
from toolkit.results.columns import ProductColumns
from toolkit.results.fields import (
    AtRiskCustomer,
    Summary,
    TopCustomer,
    WeeklyForecast,
    at_risk_customers,
    summary,
    top_customers,
    weekly_forecast,
)
from toolkit.results.metadata import LATER, ModelMetadata
from toolkit.results.pair import BEYOND
from toolkit.results.tables import Schema, frame_of, quantile_columns, table_named

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.results.figures import Drawing


type ProductTable = Literal["weeks", "top_customers", "at_risk"]

PRODUCT_WEEKS: Schema = {
    "product_id": "int64",
    "week_number": "int64",
    "week_start_date": "date",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    **quantile_columns("quantity"),
    "known_expected_quantity": "float64",
    "expected_revenue": "float64",
}
TOP_CUSTOMERS: Schema = {
    "product_id": "int64",
    "customer_id": "int64",
    "customer_name": "string",
    "total_quantity": "float64",
    "total_orders": "float64",
    "avg_confidence": "float64",
    "next_order_date": "date",
}
AT_RISK: Schema = {
    "product_id": "int64",
    "customer_id": "int64",
    "customer_name": "string",
    "avg_confidence": "float64",
    "p_alive": "float64",
    "open_interval_days": "float64",
    "expected_interval_days": "float64",
    "risk_reason": "string",
}


@dataclass(frozen=True, slots=True)
class ProductForecast(Shown):
    """A product's forecast: who orders when, how much, and how sure that is."""

    product_id: int
    forecast_period_weeks: int
    summary: Summary
    weekly_forecasts: list[WeeklyForecast]
    top_customers_by_volume: list[TopCustomer]
    at_risk_customers: list[AtRiskCustomer]
    model_metadata: ModelMetadata

    @classmethod
    def of(cls, product: ProductColumns) -> "ProductForecast":
        """What the columns of a product make."""
        return cls(
            product_id=product.product_id,
            forecast_period_weeks=product.weeks,
            summary=summary(product),
            weekly_forecasts=[weekly_forecast(product, week) for week in range(product.weeks)],
            top_customers_by_volume=top_customers(product),
            at_risk_customers=at_risk_customers(product),
            model_metadata=product.metadata,
        )

    @property
    def start_date(self) -> date:
        """The first day of the first week."""
        return date.fromisoformat(self.summary["forecast_start_date"])

    @property
    def weekly_data(self) -> list[WeeklyForecast]:
        """The same as ``weekly_forecasts``, by its older name."""
        return self.weekly_forecasts

    def plot(self, actual: Sequence[float] | None = None) -> "Drawing":
        """Weekly demand with its intervals, and ``actual`` units a week if they are known.

        The figure is returned, never shown. ``ArgumentError`` if the forecast has no quantiles,
        or ``actual`` is not one number for each week.
        """
        from toolkit.results.figures import plot_weeks

        quantiles = [week["demand"]["quantity_quantiles"] for week in self.weekly_forecasts]
        bands = [known for known in quantiles if known is not None]
        if len(bands) != len(quantiles):
            raise ArgumentError(f"the forecast of product {self.product_id} has no quantiles")
        if actual is not None and len(actual) != len(bands):
            raise ArgumentError(
                f"actual has to be one number for each of {len(bands)} weeks, got {len(actual)}"
            )
        name, begin = in_a_line(self.summary["product_name"]), self.summary["forecast_start_date"]
        days = [date.fromisoformat(week["week_start_date"]) for week in self.weekly_forecasts]
        return plot_weeks(f"{name}: weekly demand as of {begin}", days, bands, actual)

    def __repr__(self) -> str:
        """Which product, which weeks and how much; not every week and customer."""
        summary, name = self.summary, in_a_line(self.summary["product_name"])
        return (
            f"<ProductForecast of product {self.product_id} ({name}), "
            f"{summary['forecast_start_date']} to {summary['forecast_end_date']}: "
            f"{summary['expected_quantity']:,.0f} units expected, "
            f"{counted(summary['unique_customers'], 'customer')} listed>"
        )

    def to_card(
        self,
        top: int | None = SHOWN_ROWS,
        product_code: str | None = None,
        customer_codes: Mapping[int, str] | None = None,
    ) -> Card:
        """Its weeks, and the first ``top`` of its top customers and of those at risk.

        ``top``: None for all. The codes are shown where ids stand for codes.
        """
        summary, made = self.summary, self.model_metadata
        return Card(
            title=(
                f"{in_a_line(summary['product_name'])} "
                f"(product {in_a_line(product_code or str(self.product_id))})"
            ),
            subtitle=(
                f"{summary['forecast_start_date']} to {summary['forecast_end_date']}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            figures=_totals(self),
            warnings=_warnings(made),
            grids=[
                _weeks(self.weekly_forecasts),
                *_top_customers(self.top_customers_by_volume, top, customer_codes),
                *_at_risk(self.at_risk_customers, top, customer_codes),
            ],
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON; ``from_dict`` restores an equal forecast."""
        return asdict(self)

    def to_frame(self, table: ProductTable | None = None) -> "pd.DataFrame":
        """One of its tables, by default ``weeks``: a row a week, of everybody's demand.

        ``top_customers`` and ``at_risk``: a row a listed customer. Columns and types are
        ``PRODUCT_WEEKS``, ``TOP_CUSTOMERS`` and ``AT_RISK``. ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""
        which = {"product_id": self.product_id}
        return {
            "weeks": frame_of(self.weekly_forecasts, PRODUCT_WEEKS, which),
            "top_customers": frame_of(self.top_customers_by_volume, TOP_CUSTOMERS, which),
            "at_risk": frame_of(self.at_risk_customers, AT_RISK, which),
        }

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> "ProductForecast":
        """The forecast that ``to_dict`` described; ``ValueError`` if a field is missing.

        Metadata that an older forecast did not have yet say that they do not apply.
        """
        missing = [name for name in cls.__slots__ if name not in data]
        if missing:
            raise ValueError(f"a forecast needs the fields {', '.join(missing)}")
        fields = {name: data[name] for name in cls.__slots__}
        metadata = cast("dict[str, object]", data["model_metadata"])
        fields["model_metadata"] = {**LATER, **metadata}
        return cls(**cast("dict[str, Any]", fields))


def _warnings(made: ModelMetadata) -> list[str]:
    """What whoever reads the forecast has to know of how it was made."""
    warnings = []
    if made["failed_pairs"]:
        warnings.append(f"{made['failed_pairs']:,} pairs failed and are left out.")
    if made["knows_the_future"]:
        warnings.append(
            f"The model was fitted as of {made['fitted_as_of_date']}, after this forecast's date: "
            "it knows what it forecasts, so do not score it."
        )
    return warnings


def _totals(forecast: ProductForecast) -> list[Figure]:
    summary, price = forecast.summary, forecast.model_metadata["default_price"]
    interval, revenue = summary["quantity_quantiles"], summary["expected_revenue"]
    weeks = counted(forecast.forecast_period_weeks, "week")
    return [
        Figure(
            f"units in {weeks}",
            f"{summary['expected_quantity']:,.0f}",
            "" if interval is None else f"80 %: {interval['q10']:,.0f} to {interval['q90']:,.0f}",
        ),
        Figure("orders", f"{summary['expected_orders']:,.0f}"),
        Figure(
            "revenue",
            "–" if revenue is None else f"{revenue:,.0f}",
            "" if price is None else f"at the default price, {price:,g}",
        ),
        Figure("customers listed", f"{summary['unique_customers']:,}", _listed(summary)),
    ]


def _listed(summary: Summary) -> str:
    if not summary["unique_customers"]:
        return "none passes the thresholds"
    return (
        f"{summary['listed_quantity']:,.0f} units, mean confidence {summary['avg_confidence']:.2f}"
    )


def _weeks(weeks: Sequence[WeeklyForecast]) -> Grid:
    """Demand by week, with its interval in figures and drawn where it is known."""
    known = [week["demand"]["quantity_quantiles"] for week in weeks]
    bands = [band for band in known if band is not None]
    drawn = (
        spans(*([band[name] for band in bands] for name in ("q10", "q50", "q90")))
        if len(bands) == len(known)
        else None
    )
    rows: list[Sequence[CardCell]] = []
    for place, week in enumerate(weeks):
        demand, band = week["demand"], known[place]
        customers = ", ".join(in_a_line(c["customer_name"]) for c in week["expected_customers"][:1])
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
    heads = ("week", "from", "orders", "units", "80 % interval", "", "most likely customer")
    return Grid("Demand by week, all customers", heads, rows, frozenset(heads[2:5]))


def _top_customers(
    customers: Sequence[TopCustomer], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("customer", "next order", "orders", "units", "confidence")
    rows = [
        (
            *_code(codes, customer["customer_id"]),
            in_a_line(customer["customer_name"]),
            customer["next_order_date"] or BEYOND,
            f"{customer['total_orders']:,.1f}",
            f"{customer['total_quantity']:,.0f}",
            f"{customer['avg_confidence']:.2f}",
        )
        for customer in customers
    ]
    return _customers("Top customers by volume", heads, rows, heads[2:], top, codes)


def _at_risk(
    customers: Sequence[AtRiskCustomer], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("customer", "why", "confidence")
    rows = [
        (
            *_code(codes, customer["customer_id"]),
            in_a_line(customer["customer_name"]),
            customer["risk_reason"],
            f"{customer['avg_confidence']:.2f}",
        )
        for customer in customers
    ]
    return _customers("Customers at risk", heads, rows, heads[2:], top, codes)


def _code(codes: Mapping[int, str] | None, customer_id: int) -> tuple[str, ...]:
    return () if codes is None else (in_a_line(codes.get(customer_id, "")),)


def _customers(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[CardCell]],
    numbers: Sequence[str],
    top: int | None,
    codes: Mapping[int, str] | None,
) -> list[Grid]:
    """A table of customers, if there are any, with their codes in front if ids stand for codes."""
    heads = heads if codes is None else ("code", *heads)
    return [Grid(title, heads, rows, frozenset(numbers)).first(top)] if rows else []
