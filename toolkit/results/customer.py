"""The forecast of a customer: what they order next, product by product. Plain data, for JSON.

Probabilities lie in [0, 1]; orders, quantities and revenue are expectations unless a quantile is
named; dates are ISO text. Each product's row is that of the product's own forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

from toolkit.card import SHOWN_ROWS, Card, Figure, Grid, Shown, counted, in_a_line
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILE_NAMES,
    Floats,
    Ints,
    PairPredictions,
)
from toolkit.results.metadata import ModelMetadata
from toolkit.results.pair import BEYOND, date_of
from toolkit.results.risk import LAPSED, OVERDUE, reason_of
from toolkit.results.tables import Schema, frame_of, quantile_columns, table_named

if TYPE_CHECKING:
    import pandas as pd

type CustomerTable = Literal["products", "weeks"]


@dataclass(frozen=True, slots=True)
class CustomerPairs:
    """A customer's pairs, a row each, by product; all that the fields are made of."""

    product_id: Ints  # [pairs], ascending
    product_name: Sequence[str]  # [pairs]
    unit_price: Sequence[float | None]  # [pairs]
    order_count: Ints  # [pairs]
    open_interval: Floats  # [pairs], days since the last order
    severity: Ints  # [pairs], see ``risk.py``
    predicted: PairPredictions  # of [pairs]


class CustomerProduct(TypedDict):
    """A product that the customer ordered before the date, and when they order it next.

    ``next_order_date`` is the median, None beyond two years or where none comes, as quantiles are.
    ``p_order``: of at least one order within the horizon. ``risk_reason``: None unless the pair is
    at risk, by the rule of a product's ``at_risk_customers``; ``overdue`` where it has probably
    lapsed or is overdue by its own rhythm. Price and revenue are None where no price is known.
    """

    product_id: int
    product_name: str
    order_count: int
    last_order_date: str
    open_interval_days: float
    expected_interval_days: float
    p_alive: float
    confidence: float
    next_order_date: str | None
    next_order_quantiles: dict[str, str | None]
    p_order: float
    expected_orders: float
    expected_quantity: float
    unit_price: float | None
    expected_revenue: float | None
    overdue: bool
    risk_reason: str | None


class CustomerWeek(TypedDict):
    """What the customer orders in a week, of all their products."""

    week_number: int
    week_start_date: str
    week_end_date: str
    expected_orders: float
    expected_quantity: float
    expected_revenue: float | None


class CustomerSummary(TypedDict):
    """Totals over the horizon. Revenue is that of the products with a price, None without any.

    ``next_order_date`` is the earliest of the products' medians: of many products one is likely to
    be ordered before it. Orders count by product: three products ordered on one day are three.
    There are no quantiles: a customer's pairs are predicted independently given what they share,
    so that those of the total would be too narrow.
    """

    customer_name: str
    forecast_start_date: str
    forecast_end_date: str
    last_order_date: str
    next_order_date: str | None
    product_count: int
    overdue_count: int
    expected_orders: float
    expected_quantity: float
    expected_revenue: float | None
    unpriced_products: int


CUSTOMER_PRODUCTS: Schema = {
    "customer_id": "int64",
    "product_id": "int64",
    "product_name": "string",
    "order_count": "int64",
    "last_order_date": "date",
    "open_interval_days": "float64",
    "expected_interval_days": "float64",
    "p_alive": "float64",
    "confidence": "float64",
    "next_order_date": "date",
    **quantile_columns("next_order", "date"),
    "p_order": "float64",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    "unit_price": "float64",
    "expected_revenue": "float64",
    "risk_reason": "string",
}
CUSTOMER_WEEKS: Schema = {
    "customer_id": "int64",
    "week_number": "int64",
    "week_start_date": "date",
    "expected_orders": "float64",
    "expected_quantity": "float64",
    "expected_revenue": "float64",
}


@dataclass(frozen=True, slots=True)
class CustomerForecast(Shown):
    """What a customer orders next: their products, the soonest first, and their weeks."""

    customer_id: int
    forecast_period_weeks: int
    summary: CustomerSummary
    products: list[CustomerProduct]
    weekly_forecasts: list[CustomerWeek]
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls,
        customer_id: int,
        customer_name: str | None,
        pairs: CustomerPairs,
        as_of: date,
        weeks: int,
        metadata: ModelMetadata,
    ) -> "CustomerForecast":
        """What the customer's pairs make; ``Customer 456`` for a missing name."""
        products = [_product(pairs, row, as_of) for row in range(len(pairs.product_id))]
        known_dates = [p["next_order_date"] for p in products if p["next_order_date"] is not None]
        priced = [price for price in pairs.unit_price if price is not None]
        summary = CustomerSummary(
            customer_name=customer_name or f"Customer {customer_id}",
            forecast_start_date=as_of.isoformat(),
            forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * weeks - 1)).isoformat(),
            last_order_date=max(p["last_order_date"] for p in products),
            next_order_date=min(known_dates, default=None),
            product_count=len(products),
            overdue_count=sum(p["overdue"] for p in products),
            expected_orders=sum(p["expected_orders"] for p in products),
            expected_quantity=sum(p["expected_quantity"] for p in products),
            expected_revenue=total([p["expected_revenue"] for p in products]),
            unpriced_products=len(products) - len(priced),
        )
        return cls(
            customer_id=customer_id,
            forecast_period_weeks=weeks,
            summary=summary,
            products=sorted(products, key=_soonest),
            weekly_forecasts=[_week(pairs, week, as_of) for week in range(weeks)],
            model_metadata=metadata,
        )

    @property
    def overdue(self) -> list[CustomerProduct]:
        """The products that have probably lapsed or are overdue, the longest history first."""
        late = [product for product in self.products if product["overdue"]]
        return sorted(late, key=lambda product: (-product["order_count"], product["product_id"]))

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    def to_frame(self, table: CustomerTable | None = None) -> "pd.DataFrame":
        """One of its tables, by default ``products``: a row a product, the soonest first.

        ``weeks``: a row a week. Columns and types are ``CUSTOMER_PRODUCTS`` and
        ``CUSTOMER_WEEKS``. ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""
        whose = {"customer_id": self.customer_id}
        return {
            "products": frame_of(self.products, CUSTOMER_PRODUCTS, whose),
            "weeks": frame_of(self.weekly_forecasts, CUSTOMER_WEEKS, whose),
        }

    def __repr__(self) -> str:
        """Which customer, which weeks and how much; not every product."""
        summary = self.summary
        return (
            f"<CustomerForecast of customer {self.customer_id} "
            f"({in_a_line(summary['customer_name'])}), {summary['forecast_start_date']} to "
            f"{summary['forecast_end_date']}: {counted(summary['product_count'], 'product')}, "
            f"{summary['expected_quantity']:,.0f} units expected>"
        )

    def to_card(
        self,
        top: int | None = SHOWN_ROWS,
        customer_code: str | None = None,
        product_codes: Mapping[int, str] | None = None,
    ) -> Card:
        """What comes next, what is overdue, and the weeks; ``top`` rows each, None for all.

        The codes are shown where ids stand for codes.
        """
        summary, made = self.summary, self.model_metadata
        code = in_a_line(customer_code or str(self.customer_id))
        failed = made["failed_pairs"]
        return Card(
            title=f"{in_a_line(summary['customer_name'])} (customer {code})",
            subtitle=(
                f"{summary['forecast_start_date']} to {summary['forecast_end_date']}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            figures=self._figures(),
            warnings=[f"{counted(failed, 'pair')} failed, left out."] if failed else [],
            grids=[
                *_next_orders(self.products, top, product_codes),
                *_overdue(self.overdue, top, product_codes),
                _weeks(self.weekly_forecasts),
            ],
        )

    def _figures(self) -> list[Figure]:
        summary = self.summary
        weeks, unpriced = self.forecast_period_weeks, summary["unpriced_products"]
        return [
            Figure("next order", summary["next_order_date"] or BEYOND),
            Figure(f"units in {counted(weeks, 'week')}", f"{summary['expected_quantity']:,.0f}"),
            Figure("orders", f"{summary['expected_orders']:,.1f}", "counted by product"),
            Figure(
                "revenue",
                money(summary["expected_revenue"]),
                f"{counted(unpriced, 'product')} without a price left out" if unpriced else "",
            ),
            Figure("last order", summary["last_order_date"]),
            Figure("products", f"{summary['product_count']:,}"),
            Figure("overdue or lapsed", f"{summary['overdue_count']:,}"),
        ]


def total(amounts: Sequence[float | None]) -> float | None:
    """The sum of what is known; None if nothing is.

    >>> total([1.0, None, 2.0]), total([None])
    (3.0, None)
    """
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def money(amount: float | None) -> str:
    """An amount for a person; a dash for one that is not known."""
    return "–" if amount is None else f"{amount:,.0f}"


def code_cells(codes: Mapping[int, str] | None, number: int) -> tuple[str, ...]:
    """The cell in front of a row that tells one name from its like: the id, or its code."""
    return (str(number) if codes is None else in_a_line(codes.get(number, "")),)


def coded(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[str],
    top: int | None,
    codes: Mapping[int, str] | None,
) -> list[Grid]:
    """A table, if it has rows, with ids in front, or codes if ids stand for codes."""
    heads = ("id" if codes is None else "code", *heads)
    return [Grid(title, heads, rows, frozenset(numbers)).first(top)] if rows else []


def _product(pairs: CustomerPairs, row: int, as_of: date) -> CustomerProduct:
    predicted, price = pairs.predicted, pairs.unit_price[row]
    silent, severity = float(pairs.open_interval[row]), int(pairs.severity[row])
    quantity = float(sum(predicted.expected_quantity[row].tolist()))
    days = predicted.next_order_quantiles[row].tolist()
    return CustomerProduct(
        product_id=int(pairs.product_id[row]),
        product_name=pairs.product_name[row],
        order_count=int(pairs.order_count[row]),
        last_order_date=(as_of - timedelta(silent)).isoformat(),
        open_interval_days=silent,
        expected_interval_days=float(predicted.expected_interval[row]),
        p_alive=float(predicted.p_alive[row]),
        confidence=float(predicted.confidence[row]),
        next_order_date=_day(as_of, predicted.next_order_day[row]),
        next_order_quantiles={
            name: _day(as_of, day) for name, day in zip(QUANTILE_NAMES, days, strict=True)
        },
        p_order=float(predicted.p_order_by_week[row, -1]),
        expected_orders=float(sum(predicted.expected_orders[row].tolist())),
        expected_quantity=quantity,
        unit_price=price,
        expected_revenue=None if price is None else quantity * price,
        overdue=severity in (LAPSED, OVERDUE),
        risk_reason=reason_of(severity, predicted, pairs.open_interval, row),
    )


def _week(pairs: CustomerPairs, week: int, as_of: date) -> CustomerWeek:
    quantity = pairs.predicted.expected_quantity[:, week].tolist()
    start = as_of + timedelta(DAYS_PER_WEEK * week)
    return CustomerWeek(
        week_number=week + 1,
        week_start_date=start.isoformat(),
        week_end_date=(start + timedelta(DAYS_PER_WEEK - 1)).isoformat(),
        expected_orders=float(sum(pairs.predicted.expected_orders[:, week].tolist())),
        expected_quantity=float(sum(quantity)),
        expected_revenue=total(
            [
                None if price is None else units * price
                for units, price in zip(quantity, pairs.unit_price, strict=True)
            ]
        ),
    )


def _day(as_of: date, day: float) -> str | None:
    found = date_of(as_of, day)
    return None if found is None else found.isoformat()


def _soonest(product: CustomerProduct) -> tuple[bool, str, float, int]:
    """What is ordered soonest first; on one day what is ordered more."""
    day = product["next_order_date"]
    return day is None, day or "", -product["expected_quantity"], product["product_id"]


def _next_orders(
    products: Sequence[CustomerProduct], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("product", "next order", "90 % by", "orders", "units", "")
    rows = [
        (
            *code_cells(codes, product["product_id"]),
            in_a_line(product["product_name"]),
            product["next_order_date"] or BEYOND,
            product["next_order_quantiles"]["q90"] or BEYOND,
            f"{product['expected_orders']:,.1f}",
            f"{product['expected_quantity']:,.0f}",
            "overdue" if product["overdue"] else "",
        )
        for product in products
    ]
    return coded("What comes next", heads, rows, heads[3:5], top, codes)


def _overdue(
    products: Sequence[CustomerProduct], top: int | None, codes: Mapping[int, str] | None
) -> list[Grid]:
    heads = ("product", "why", "last order", "orders so far")
    rows = [
        (
            *code_cells(codes, product["product_id"]),
            in_a_line(product["product_name"]),
            product["risk_reason"] or "",
            product["last_order_date"],
            f"{product['order_count']:,}",
        )
        for product in products
    ]
    return coded("Overdue, or probably lapsed", heads, rows, heads[3:], top, codes)


def _weeks(weeks: Sequence[CustomerWeek]) -> Grid:
    heads = ("week", "from", "orders", "units", "revenue")
    rows = [
        (
            f"{week['week_number']}",
            week["week_start_date"],
            f"{week['expected_orders']:,.1f}",
            f"{week['expected_quantity']:,.0f}",
            money(week["expected_revenue"]),
        )
        for week in weeks
    ]
    return Grid("By week, all products", heads, rows, frozenset(heads[2:]))
