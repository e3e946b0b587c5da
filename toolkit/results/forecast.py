"""The forecast of a product that the engine returns: plain data, ready for JSON.

Probabilities lie in [0, 1]; orders and quantities are expectations unless a quantile is named;
dates are ISO text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, TypedDict, cast

from toolkit.card import SHOWN_ROWS, Card, CardCell, Figure, Grid, Shown, counted, spans
from toolkit.data.tables import QUANTILES
from toolkit.errors import ArgumentError
from toolkit.results.pair import BEYOND

if TYPE_CHECKING:
    from toolkit.results.figures import Drawing


def quantile_name(level: float) -> str:
    """The name of a quantile level in every table and forecast.

    >>> quantile_name(0.05)
    'q05'
    """
    return f"q{round(100 * level):02d}"


QUANTILE_NAMES = tuple(quantile_name(level) for level in QUANTILES)


class Demand(TypedDict):
    """Demand of every customer, listed or not, new ones included; quantiles by name."""

    expected_orders: float
    expected_quantity: float
    known_expected_quantity: float
    expected_revenue: float
    quantity_quantiles: dict[str, float] | None


class ExpectedCustomer(TypedDict):
    """A customer who is likely to order in a week."""

    customer_id: int
    customer_name: str
    predicted_quantity: float
    expected_orders: float
    confidence: float


class WeeklyForecast(TypedDict):
    """One week: predicted_… over the listed customers, ``demand`` over all."""

    week_number: int
    week_start_date: str
    week_end_date: str
    predicted_quantity: float
    predicted_orders: float
    predicted_revenue: float
    avg_confidence: float
    expected_customers: list[ExpectedCustomer]
    demand: Demand


class TopCustomer(TypedDict):
    """A listed customer by predicted quantity over the horizon."""

    customer_id: int
    customer_name: str
    total_quantity: float
    total_orders: float
    avg_confidence: float
    next_order_date: str | None


class AtRiskCustomer(TypedDict):
    """A customer to call: ``risk_reason`` says why, with its number."""

    customer_id: int
    customer_name: str
    avg_confidence: float
    p_alive: float
    open_interval_days: float
    expected_interval_days: float
    risk_reason: str


class Summary(TypedDict):
    """Totals over the horizon: total_… over the listed customers, ``demand`` over all."""

    product_name: str
    unit_price: float
    total_predicted_quantity: float
    total_predicted_orders: float
    total_predicted_revenue: float
    avg_confidence: float
    unique_customers: int
    forecast_start_date: str
    forecast_end_date: str
    demand: Demand


class ModelMetadata(TypedDict):
    """How the forecast was made; ``failed_pairs`` counts pairs left out because they failed.

    ``registered_version``, ``mlflow_run_id``, ``data_sha256`` (of what the model was fitted to)
    and ``fitted_as_of_date`` are None where they do not apply. ``knows_the_future``: the model
    was fitted as of a later date than the forecast's, which is then nothing to score.
    """

    as_of_date: str
    generated_at: str
    model_name: str
    model_version: str
    min_orders_threshold: int
    min_confidence_threshold: float
    draws: int
    seed: int
    failed_pairs: int
    registered_version: int | None
    mlflow_run_id: str | None
    data_sha256: str | None
    fitted_as_of_date: str | None
    knows_the_future: bool


_LATER_METADATA: dict[str, object] = {
    "registered_version": None,
    "mlflow_run_id": None,
    "data_sha256": None,
    "fitted_as_of_date": None,
    "knows_the_future": False,
}
"""What forecasts did not say at first; those still in a cache are read all the same."""


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
        name, begin = self.summary["product_name"], self.summary["forecast_start_date"]
        days = [date.fromisoformat(week["week_start_date"]) for week in self.weekly_forecasts]
        return plot_weeks(f"{name}: weekly demand as of {begin}", days, bands, actual)

    def __repr__(self) -> str:
        """Which product, which weeks and how much; not every week and customer."""
        summary = self.summary
        return (
            f"<ProductForecast of product {self.product_id} ({summary['product_name']}), "
            f"{summary['forecast_start_date']} to {summary['forecast_end_date']}: "
            f"{summary['demand']['expected_quantity']:,.0f} units expected, "
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
            title=f"{summary['product_name']} (product {product_code or self.product_id})",
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

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> "ProductForecast":
        """The forecast that ``to_dict`` described; ``ValueError`` if a field is missing.

        Metadata that an older forecast did not have yet say that they do not apply.
        """
        missing = [name for name in cls.__slots__ if name not in data]
        if missing:
            raise ValueError(f"a forecast needs the fields {', '.join(missing)}")
        return cls(
            product_id=cast(int, data["product_id"]),
            forecast_period_weeks=cast(int, data["forecast_period_weeks"]),
            summary=cast(Summary, data["summary"]),
            weekly_forecasts=cast(list[WeeklyForecast], data["weekly_forecasts"]),
            top_customers_by_volume=cast(list[TopCustomer], data["top_customers_by_volume"]),
            at_risk_customers=cast(list[AtRiskCustomer], data["at_risk_customers"]),
            model_metadata=cast(
                ModelMetadata, _LATER_METADATA | cast(dict[str, object], data["model_metadata"])
            ),
        )


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
    summary, demand = forecast.summary, forecast.summary["demand"]
    interval = demand["quantity_quantiles"]
    weeks = counted(forecast.forecast_period_weeks, "week")
    return [
        Figure(
            f"units in {weeks}",
            f"{demand['expected_quantity']:,.0f}",
            "" if interval is None else f"80 %: {interval['q10']:,.0f} to {interval['q90']:,.0f}",
        ),
        Figure("orders", f"{demand['expected_orders']:,.0f}"),
        Figure("revenue", f"{demand['expected_revenue']:,.0f}"),
        Figure(
            "customers listed",
            f"{summary['unique_customers']:,}",
            f"{summary['total_predicted_quantity']:,.0f} units, "
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
    rows: list[Sequence[CardCell]] = []
    for place, week in enumerate(weeks):
        demand, band = week["demand"], known[place]
        customers = ", ".join(c["customer_name"] for c in week["expected_customers"][:1])
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
            customer["customer_name"],
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
            customer["customer_name"],
            customer["risk_reason"],
            f"{customer['avg_confidence']:.2f}",
        )
        for customer in customers
    ]
    return _customers("Customers at risk", heads, rows, heads[2:], top, codes)


def _code(codes: Mapping[int, str] | None, customer_id: int) -> tuple[str, ...]:
    return () if codes is None else (codes.get(customer_id, ""),)


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
