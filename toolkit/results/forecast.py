"""The frozen results that the engine returns: plain data, ready for JSON.

Probabilities lie in [0, 1]; orders and quantities are expectations unless a quantile is named;
dates are ``datetime.date`` in patterns and predictions, ISO text in a forecast.

What shows them, figures and HTML, is imported when it is asked for: a reader starts without it.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypedDict, cast

from toolkit.data.tables import QUANTILES, PairPredictions, Patterns

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.results.figures import Drawing


def quantile_name(level: float) -> str:
    """The name of a quantile level in every table and forecast.

    >>> quantile_name(0.05)
    'q05'
    """
    return f"q{round(100 * level):02d}"


QUANTILE_NAMES = tuple(quantile_name(level) for level in QUANTILES)


@dataclass(frozen=True, slots=True)
class FailedPair:
    """A pair that was left out of a forecast, and why."""

    product_id: int
    customer_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class CustomerProductPattern:
    """One pair's ordering pattern before ``as_of_date``. Durations in days.

    ``mean_interval_days`` is None without a second order, ``std_interval_days`` and ``cv``
    (sample deviation, and its ratio to the mean) without a third.
    """

    customer_id: int
    product_id: int
    as_of_date: date
    order_dates: tuple[date, ...]
    quantities: tuple[float, ...]
    total_orders: int
    interval_sum_days: float
    interval_log_sum: float
    mean_interval_days: float | None
    std_interval_days: float | None
    cv: float | None
    open_interval_days: float
    avg_quantity: float

    @classmethod
    def from_patterns(cls, patterns: Patterns, row: int) -> "CustomerProductPattern":
        """Row ``row`` of a pattern table."""
        events = slice(*patterns.event_offset[row : row + 2])
        days = patterns.events.day[events].tolist()
        return cls(
            customer_id=int(patterns.customer_id[row]),
            product_id=int(patterns.product_id[row]),
            as_of_date=patterns.as_of_date,
            order_dates=tuple(patterns.as_of_date + timedelta(day) for day in days),
            quantities=tuple(patterns.events.quantity[events].tolist()),
            total_orders=int(patterns.order_count[row]),
            interval_sum_days=float(patterns.interval_sum[row]),
            interval_log_sum=float(patterns.interval_log_sum[row]),
            mean_interval_days=_known(patterns.mean_interval[row]),
            std_interval_days=_known(patterns.std_interval[row]),
            cv=_known(patterns.cv[row]),
            open_interval_days=float(patterns.open_interval[row]),
            avg_quantity=float(patterns.total_quantity[row] / patterns.order_count[row]),
        )

    def plot_timeline(self, prediction: "CustomerPrediction | None" = None) -> "Drawing":
        """The orders on a line of time, the open interval, and when the next one is expected.

        ``prediction`` is of the same pair, as of the same date, else ``ArgumentError``. The
        figure is returned, never shown.
        """
        from toolkit.results.figures import plot_timeline

        return plot_timeline(self, prediction)

    def __repr__(self) -> str:
        """Which pair, and what is to know of it; not all its orders."""
        mean = self.mean_interval_days
        pace = "" if mean is None else f", one every {mean:.1f} days"
        return (
            f"<CustomerProductPattern of customer {self.customer_id}, product {self.product_id} "
            f"before {self.as_of_date}: {_count(self.total_orders, 'order')}{pace}, "
            f"the last {self.open_interval_days:.0f} days ago>"
        )

    def _repr_html_(self) -> str:
        from toolkit.results.cards import pattern_card

        return pattern_card(self).html()


@dataclass(frozen=True, slots=True)
class CustomerPrediction:
    """What is predicted for one pair over the weeks after ``as_of_date``.

    ``next_order_date`` is the median; it and the quantiles (levels ``QUANTILES``) are None
    beyond reach. ``prediction_confidence`` is the probability that the next order falls within
    ± max(3 days, a quarter of the expected interval) of that date. Weekly tuples hold one
    number per week; ``p_order_by_week`` is cumulative.
    """

    customer_id: int
    product_id: int
    as_of_date: date
    total_orders: int
    open_interval_days: float
    expected_interval_days: float
    open_interval_p: float
    p_alive: float
    prediction_confidence: float
    next_order_date: date | None
    next_order_quantiles: tuple[date | None, ...]
    p_order_by_week: tuple[float, ...]
    expected_orders: tuple[float, ...]
    expected_quantity: tuple[float, ...]

    @classmethod
    def from_tables(
        cls, patterns: Patterns, pairs: PairPredictions, row: int
    ) -> "CustomerPrediction":
        """Row ``row`` of a pattern table and its predictions."""
        as_of = patterns.as_of_date
        return cls(
            customer_id=int(patterns.customer_id[row]),
            product_id=int(patterns.product_id[row]),
            as_of_date=as_of,
            total_orders=int(patterns.order_count[row]),
            open_interval_days=float(patterns.open_interval[row]),
            expected_interval_days=float(pairs.expected_interval[row]),
            open_interval_p=float(pairs.open_interval_p[row]),
            p_alive=float(pairs.p_alive[row]),
            prediction_confidence=float(pairs.confidence[row]),
            next_order_date=_date(as_of, pairs.next_order_day[row]),
            next_order_quantiles=tuple(
                _date(as_of, day) for day in pairs.next_order_quantiles[row].tolist()
            ),
            p_order_by_week=tuple(pairs.p_order_by_week[row].tolist()),
            expected_orders=tuple(pairs.expected_orders[row].tolist()),
            expected_quantity=tuple(pairs.expected_quantity[row].tolist()),
        )

    def __repr__(self) -> str:
        """Which pair, and when it orders next; not every week."""
        return (
            f"<CustomerPrediction of customer {self.customer_id}, product {self.product_id} "
            f"as of {self.as_of_date}: next order {self.next_order_date or 'beyond reach'}, "
            f"confidence {self.prediction_confidence:.2f}, P(alive) {self.p_alive:.2f}>"
        )

    def _repr_html_(self) -> str:
        from toolkit.results.cards import prediction_card

        return prediction_card(self).html()


def fallback_name(customer_id: int) -> str:
    """What a customer without a name is called."""
    return f"Customer {customer_id}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _date(as_of: date, day: float) -> date | None:
    return None if math.isnan(day) else as_of + timedelta(int(day))


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
class ProductForecast:
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
        from toolkit.results.figures import plot_weekly_demand

        return plot_weekly_demand(self, actual)

    def __repr__(self) -> str:
        """Which product, which weeks and how much; not every week and customer."""
        summary = self.summary
        return (
            f"<ProductForecast of product {self.product_id} ({summary['product_name']}), "
            f"{summary['forecast_start_date']} to {summary['forecast_end_date']}: "
            f"{summary['demand']['expected_quantity']:,.0f} units expected, "
            f"{_count(summary['unique_customers'], 'customer')} listed>"
        )

    def __rich__(self) -> "RenderableType":
        """The tables that ``toolkit forecast`` prints."""
        from toolkit.cli.display import forecast_tables

        return forecast_tables(self)

    def _repr_html_(self) -> str:
        from toolkit.results.cards import forecast_card

        return forecast_card(self).html()

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
