"""Many products together: draws summed over products and by category, and who is at risk.

All of it is gathered chunk by chunk, or part by part on workers.

Models draw what all products share, the level of a window, from draw d of the population: draw d of
every product belongs together, and sums of draws are draws of the sum. Quantiles do not add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from toolkit.data.tables import Floats, Ints
from toolkit.errors import PredictionError
from toolkit.results.pair import FailedPair
from toolkit.results.portfolio import PortfolioForecast
from toolkit.results.portfolio_fields import (
    CustomerAtRisk,
    PortfolioCategories,
    PortfolioDraws,
    PortfolioProducts,
)
from toolkit.sources.base import OrderSource
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Chooser, warn_of
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor
from toolkit.views.making import Making
from toolkit.views.portfolio_parts import (
    Failed,
    Losses,
    PortfolioPart,
    ProductRows,
    SummedDraws,
    joined_columns,
    part_of,
)
from toolkit.views.products import never_ordered

if TYPE_CHECKING:
    from toolkit.cluster.on_workers import OnWorkers


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What many products make together."""

    products: PortfolioProducts
    draws: PortfolioDraws
    categories: PortfolioCategories
    at_risk: list[CustomerAtRisk]
    customer_count: int
    failed: tuple[FailedPair, ...]


def portfolio_forecast(
    analyzer: PatternAnalyzer,
    making: Making,
    product_ids: Sequence[int] | None,
    as_of: date,
    chooser: Chooser,
    listed: bool = True,
    by: "OnWorkers | None" = None,
) -> PortfolioForecast | None:
    """What the products make together; None if nobody ordered any of them before the date.

    ``listed``: whether the products were asked for one by one, so that those that nobody ordered
    are told. ``by``: who predicts, by default this process.
    """
    found = portfolio_of(
        analyzer, making.predictor, product_ids, as_of, chooser, making.default_price, by
    )
    if found is None:
        return None
    return PortfolioForecast.of(
        found.products,
        found.draws,
        found.categories,
        found.at_risk,
        found.customer_count,
        never_ordered(product_ids if listed else (), found.products.product_id, found.failed),
        as_of,
        making.metadata(as_of, len(found.failed)),
    )


def portfolio_of(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    product_ids: Sequence[int] | None,
    as_of: date,
    chooser: Chooser,
    default_price: float | None = None,
    by: "OnWorkers | None" = None,
) -> Portfolio | None:
    """The products together, None for all of them; None if nobody ordered any before the date.

    The draws of a chunk of products are held at a time. Without workers, five queries, six if the
    model reads customers' order days and one more where products have categories, however many
    products there are. Raises ``PredictionError`` where every pair failed, and with workers what
    ``parts_on`` does.
    """
    if by is None:
        parts, failed = _parts_here(analyzer, predictor, product_ids, as_of, chooser, default_price)
    else:
        from toolkit.views.portfolio_shards import parts_on  # noqa: PLC0415 it takes pandas' time

        parts, failed = parts_on(
            by, analyzer.source, predictor, product_ids, as_of, chooser, default_price
        )
    if not failed and not any(len(part.buyers.customer_id) for part in parts):
        return None
    warn_of(failed)
    products = joined_columns([part.products for part in parts])
    if not len(products.product_id):
        raise PredictionError(f"no pair could be predicted: {failed[0].reason}")
    names = _names(parts)
    summed = SummedDraws.none(predictor, len(names))
    for part in parts:
        summed.add(part.draws, [names.index(name) for name in part.categories])
    losses = joined_columns([part.losses for part in parts])
    customers = np.unique(np.concatenate([part.buyers.customer_id for part in parts]))
    return Portfolio(
        products=_products(products),
        draws=PortfolioDraws(summed.orders, summed.quantity, summed.revenue),
        categories=_categories(parts, names, summed),
        at_risk=_customers_at_risk(losses, products, analyzer.source),
        customer_count=len(customers),
        failed=failed,
    )


def _parts_here(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    product_ids: Sequence[int] | None,
    as_of: date,
    chooser: Chooser,
    default_price: float | None,
) -> tuple[list[PortfolioPart], Failed]:
    """All products in one part, by this process."""
    events = discover(analyzer.source, as_of, product_ids)
    patterns, broken = analyzer.analyze(events)
    if not len(patterns) and not broken:
        return [], ()
    ordered = np.unique(events.product_id)
    part, failed = part_of(analyzer, predictor, patterns, ordered, chooser, default_price)
    return [part], (*broken, *failed)


def _names(parts: Sequence[PortfolioPart]) -> list[str | None]:
    """The categories of all parts: ascending, and None last."""
    found = {name for part in parts for name in part.categories}
    known = sorted(name for name in found if name is not None)
    return [*known, None] if None in found else [*known]


def _categories(
    parts: Sequence[PortfolioPart], names: Sequence[str | None], summed: SummedDraws
) -> PortfolioCategories:
    """What they come to; a category of which no product could be predicted is left out."""
    places = [np.array([names.index(name) for name in part.categories]) for part in parts]
    several = list(zip(places, parts, strict=True))
    code: Ints = np.concatenate([place[part.products.category] for place, part in several])
    if list(names) == [None]:
        none: Floats = summed.category_quantity[:0]
        return PortfolioCategories((), code, code[:0], none, none)
    there, of_product = np.unique(code, return_inverse=True)
    category = np.concatenate([place[part.buyers.category] for place, part in several])
    customer = np.concatenate([part.buyers.customer_id for part in parts])
    each_once = np.unique(np.stack([category, customer]), axis=1)
    return PortfolioCategories(
        [names[i] for i in there.tolist()],
        of_product,
        np.bincount(each_once[0], minlength=len(names))[there],
        summed.category_quantity[there],
        summed.category_revenue[there],
    )


def _products(rows: ProductRows) -> PortfolioProducts:
    return PortfolioProducts(
        product_id=rows.product_id,
        product_name=rows.product_name,
        unit_price=_prices(rows),
        customers=rows.customers,
        expected_orders=rows.expected_orders,
        expected_quantity=rows.expected_quantity,
        known_expected_quantity=rows.known_expected_quantity,
        total_quantiles=rows.total_quantiles,
        previous_quantity=rows.previous_quantity,
    )


def _prices(rows: ProductRows) -> list[float | None]:
    return [None if np.isnan(price) else price for price in rows.unit_price.tolist()]


def _customers_at_risk(
    losses: Losses, products: ProductRows, source: OrderSource
) -> list[CustomerAtRisk]:
    """By customer, the largest loss of revenue first; then of units, where no price is known."""
    by_customer: dict[int, list[int]] = {}
    for row, customer_id in enumerate(losses.customer_id.tolist()):
        by_customer.setdefault(customer_id, []).append(row)
    names, prices = source.customer_names(sorted(by_customer)), _prices(products)
    customers = [
        _customer_at_risk(customer_id, names.get(customer_id), losses, rows, products, prices)
        for customer_id, rows in by_customer.items()
    ]
    return sorted(customers, key=_largest_loss)


def _customer_at_risk(
    customer_id: int,
    name: str | None,
    losses: Losses,
    rows: Sequence[int],
    products: ProductRows,
    prices: Sequence[float | None],
) -> CustomerAtRisk:
    """Those in these ``rows`` are the customer's."""
    product_ids, lost = losses.product_id[rows], losses.quantity[rows].tolist()
    places = np.searchsorted(products.product_id, product_ids).tolist()
    revenue = [
        None if (price := prices[place]) is None else quantity * price
        for quantity, place in zip(lost, places, strict=True)
    ]
    known = [amount for amount in revenue if amount is not None]
    most = max(range(len(rows)), key=lambda i: (revenue[i] or 0.0, lost[i]))
    return CustomerAtRisk(
        customer_id=customer_id,
        customer_name=name or f"Customer {customer_id}",
        products_at_risk=len(rows),
        quantity_lost=sum(lost),
        revenue_lost=sum(known) if known else None,
        product_id=int(product_ids[most]),
        product_name=products.product_name[places[most]],
        risk_reason=losses.reason[rows[most]],
    )


def _largest_loss(customer: CustomerAtRisk) -> tuple[float, float, int]:
    return -(customer["revenue_lost"] or 0.0), -customer["quantity_lost"], customer["customer_id"]
