"""What thresholds list, over a grid of them: customers, and how much of the demand they hold.

Thresholds filter lists, never demand: one prediction serves all of the grid. What is listed has
expectations and no intervals: draws are sums over a product's customers, and a pair's own are
summed as they are made. The interval of all demand stands beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from toolkit.card import Card, CardCell, Figure, Grid, Shown, Strong, counted
from toolkit.data.tables import DAYS_PER_WEEK, QUANTILE_NAMES, Floats, Ints, quantiles_of
from toolkit.results.metadata import ModelMetadata
from toolkit.results.tables import ColumnKind, Schema, frame_of, table_named

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.results.figures import Drawing

type SensitivityTable = Literal["totals", "products"]


@dataclass(frozen=True, slots=True)
class ListedProducts:
    """What each pair of thresholds lists of each product; the last axes are the grid's."""

    product_id: Ints  # [products], ascending
    product_name: Sequence[str]  # [products]
    unit_price: Sequence[float | None]  # [products]
    known_quantity: Floats  # [products], of all who ordered before the date
    customers: Ints  # [products, orders, confidence]
    orders: Floats  # [products, orders, confidence]
    quantity: Floats  # [products, orders, confidence]


@dataclass(frozen=True, slots=True)
class ListedTogether:
    """What does not add up over products: customers who are listed, and the draws of demand."""

    customers: Ints  # [orders, confidence], each counted once
    customer_count: int
    expected_quantity: float
    draws: Floats  # [draws], of all units over the horizon


class Listed(TypedDict):
    """What two thresholds list: expectations over the horizon.

    ``share_of_known`` is ``listed_quantity`` as a share of what all customers who ordered before
    the date are expected to order; None where that is nothing. Revenue is None without a price.
    """

    min_orders: int
    min_confidence: float
    listed_orders: float
    listed_quantity: float
    listed_revenue: float | None
    share_of_known: float | None


class ListedTotal(Listed):
    """Of all products. A pair is a customer of one product; a customer counts once."""

    listed_customers: int
    listed_pairs: int
    listing_products: int


class ListedProduct(Listed):
    """Of one product."""

    product_id: int
    product_name: str
    listed_customers: int


_LISTED: dict[str, ColumnKind] = {
    "listed_orders": "float64",
    "listed_quantity": "float64",
    "listed_revenue": "float64",
    "share_of_known": "float64",
}
SENSITIVITY_TOTALS: Schema = {
    "min_orders": "int64",
    "min_confidence": "float64",
    "listed_customers": "int64",
    "listed_pairs": "int64",
    "listing_products": "int64",
    **_LISTED,
}
SENSITIVITY_PRODUCTS: Schema = {
    "product_id": "int64",
    "product_name": "string",
    "min_orders": "int64",
    "min_confidence": "float64",
    "listed_customers": "int64",
    **_LISTED,
}


@dataclass(frozen=True, slots=True)
class ThresholdSensitivity(Shown):
    """Who is listed at each of ``min_orders`` × ``min_confidence``, and what they order.

    ``expected_quantity`` and its quantiles are of all demand, new customers included;
    ``known_quantity`` is of all who ordered before the date, listed or not.
    """

    forecast_period_weeks: int
    forecast_start_date: str
    forecast_end_date: str
    min_orders: list[int]
    min_confidence: list[float]
    product_count: int
    customer_count: int
    expected_quantity: float
    quantity_quantiles: dict[str, float]
    known_quantity: float
    unpriced_products: int
    never_ordered: list[int]
    totals: list[ListedTotal]
    products: list[ListedProduct]
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls,
        grid: tuple[Sequence[int], Sequence[float]],
        products: ListedProducts,
        together: ListedTogether,
        never_ordered: Sequence[int],
        weeks: int,
        as_of: date,
        metadata: ModelMetadata,
    ) -> "ThresholdSensitivity":
        """What the cells of the grid make."""
        quantiles = quantiles_of(together.draws, axis=0).tolist()
        return cls(
            forecast_period_weeks=weeks,
            forecast_start_date=as_of.isoformat(),
            forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * weeks - 1)).isoformat(),
            min_orders=list(grid[0]),
            min_confidence=list(grid[1]),
            product_count=len(products.product_id),
            customer_count=together.customer_count,
            expected_quantity=together.expected_quantity,
            quantity_quantiles=dict(zip(QUANTILE_NAMES, quantiles, strict=True)),
            known_quantity=sum(products.known_quantity.tolist()),
            unpriced_products=sum(price is None for price in products.unit_price),
            never_ordered=list(never_ordered),
            totals=[*_totals(grid, products, together)],
            products=[*_products(grid, products)],
            model_metadata=metadata,
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    def to_frame(self, table: SensitivityTable | None = None) -> "pd.DataFrame":
        """One of its tables, by default ``totals``: a row for each two thresholds.

        ``products``: a row a product and two thresholds. Columns and types are
        ``SENSITIVITY_TOTALS`` and ``SENSITIVITY_PRODUCTS``. ``ArgumentError`` for another name.
        """
        return table_named(self.tables(), table)

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """All its tables, by name."""
        return {
            "totals": frame_of(self.totals, SENSITIVITY_TOTALS),
            "products": frame_of(self.products, SENSITIVITY_PRODUCTS),
        }

    def plot(self) -> "Drawing":
        """Two heat maps: the customers listed, and their share of the known demand.

        The figure is returned, never shown.
        """
        from toolkit.results.figures import plot_grids

        shares = self._grid(lambda cell: 100.0 * (cell["share_of_known"] or 0.0))
        customers = self._grid(lambda cell: cell["listed_customers"])
        return plot_grids(
            f"{counted(self.product_count, 'product')} as of {self.forecast_start_date}",
            {
                CAPTIONS["customers"]: (customers, "{:,.0f}"),
                CAPTIONS["share"]: (shares, "{:.0f} %"),
            },
            ("min_confidence", [f"{least:g}" for least in self.min_confidence]),
            ("min_orders", [f"{least}" for least in self.min_orders]),
        )

    def __repr__(self) -> str:
        """Which products and thresholds, and the range of what is listed."""
        customers = [cell["listed_customers"] for cell in self.totals]
        return (
            f"<ThresholdSensitivity of {counted(self.product_count, 'product')}, "
            f"{self.forecast_start_date} to {self.forecast_end_date}: {len(self.totals)} pairs of "
            f"thresholds list {min(customers):,} to {max(customers):,} customers>"
        )

    def to_card(self) -> Card:
        """Tables of customers, pairs, units and shares; the engine's thresholds stand out."""
        made, units = self.model_metadata, self.quantity_quantiles
        missing, failed = len(self.never_ordered), made["failed_pairs"]
        warnings = [f"{counted(failed, 'pair')} failed, left out."] if failed else []
        if missing:
            left_out = counted(missing, "product")
            warnings.append(f"{left_out} never ordered before, or replaced since, left out.")
        return Card(
            title=f"What thresholds list of {counted(self.product_count, 'product')}",
            subtitle=(
                f"{self.forecast_start_date} to {self.forecast_end_date}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            figures=[
                Figure(
                    f"units in {counted(self.forecast_period_weeks, 'week')}",
                    f"{self.expected_quantity:,.0f}",
                    f"80 %: {units['q10']:,.0f} to {units['q90']:,.0f}",
                ),
                Figure("of known customers", f"{self.known_quantity:,.0f}"),
                Figure("customers so far", f"{self.customer_count:,}"),
            ],
            warnings=warnings,
            grids=[
                self._table("customers", lambda cell: f"{cell['listed_customers']:,}"),
                *self._pairs(),
                self._table("units", lambda cell: f"{cell['listed_quantity']:,.0f}"),
                self._table("share", lambda cell: _percent(cell["share_of_known"])),
            ],
            sentences=[
                "Thresholds choose whom forecasts list; demand is that of everybody.",
                *self._own_stand_out(),
            ],
        )

    def _grid(self, value: Callable[[ListedTotal], float]) -> Floats:
        """A number of each cell, [orders, confidence]."""
        shape = len(self.min_orders), len(self.min_confidence)
        return np.array([value(cell) for cell in self.totals], dtype=float).reshape(shape)

    def _table(self, what: str, text: Callable[[ListedTotal], str]) -> Grid:
        heads = ("min_orders", *(f"≥ {least:g}" for least in self.min_confidence))
        cells = iter(self.totals)
        rows = [
            (f"{least}", *(self._marked(next(cells), text) for _ in self.min_confidence))
            for least in self.min_orders
        ]
        return Grid(f"{CAPTIONS[what]}, by confidence", heads, rows, frozenset(heads))

    def _pairs(self) -> list[Grid]:
        """Of several products, how many customers each has listed, summed."""
        if self.product_count == 1:
            return []
        return [self._table("pairs", lambda cell: f"{cell['listed_pairs']:,}")]

    def _own_stand_out(self) -> list[str]:
        orders, confidence = self._own
        if orders not in self.min_orders or confidence not in self.min_confidence:
            return []
        return [f"The engine's own thresholds, {orders} and {confidence:g}, stand out."]

    def _marked(self, cell: ListedTotal, text: Callable[[ListedTotal], str]) -> CardCell:
        is_own = (cell["min_orders"], cell["min_confidence"]) == self._own
        return Strong(text(cell)) if is_own else text(cell)

    @property
    def _own(self) -> tuple[int, float]:
        made = self.model_metadata
        return made["min_orders_threshold"], made["min_confidence_threshold"]


CAPTIONS = {
    "customers": "Customers listed",
    "pairs": "Pairs of customer and product listed",
    "units": "Units that they are expected to order",
    "share": "Share of the known demand",
}


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _cells(
    grid: tuple[Sequence[int], Sequence[float]],
) -> Iterator[tuple[tuple[int, int], int, float]]:
    """Where each cell of the grid stands, and its thresholds."""
    for i, orders in enumerate(grid[0]):
        for j, confidence in enumerate(grid[1]):
            yield (i, j), orders, confidence


def _totals(
    grid: tuple[Sequence[int], Sequence[float]],
    products: ListedProducts,
    together: ListedTogether,
) -> Iterator[ListedTotal]:
    known = sum(products.known_quantity.tolist())
    priced = [(k, price) for k, price in enumerate(products.unit_price) if price is not None]
    for cell, min_orders, min_confidence in _cells(grid):
        pairs, quantity = products.customers[:, *cell], products.quantity[:, *cell].tolist()
        yield ListedTotal(
            min_orders=min_orders,
            min_confidence=min_confidence,
            listed_customers=int(together.customers[cell]),
            listed_pairs=int(pairs.sum()),
            listing_products=int((pairs > 0).sum()),
            listed_orders=sum(products.orders[:, *cell].tolist()),
            listed_quantity=sum(quantity),
            listed_revenue=sum(quantity[k] * price for k, price in priced) if priced else None,
            share_of_known=_share(sum(quantity), known),
        )


def _products(
    grid: tuple[Sequence[int], Sequence[float]], products: ListedProducts
) -> Iterator[ListedProduct]:
    for k, product_id in enumerate(products.product_id.tolist()):
        price = products.unit_price[k]
        for cell, min_orders, min_confidence in _cells(grid):
            quantity = float(products.quantity[k, *cell])
            yield ListedProduct(
                product_id=product_id,
                product_name=products.product_name[k],
                min_orders=min_orders,
                min_confidence=min_confidence,
                listed_customers=int(products.customers[k, *cell]),
                listed_orders=float(products.orders[k, *cell]),
                listed_quantity=quantity,
                listed_revenue=None if price is None else quantity * price,
                share_of_known=_share(quantity, float(products.known_quantity[k])),
            )


def _share(listed: float, known: float) -> float | None:
    return listed / known if known > 0 else None
