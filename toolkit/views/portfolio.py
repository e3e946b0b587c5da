"""Many products together: draws summed over products and by category, and who is at risk.

All of it is gathered chunk by chunk.

Models draw what all products share, the level of a window, from draw d of the population: draw d of
every product belongs together, and sums of draws are draws of the sum. Quantiles do not add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from toolkit.data.grouping import Grouping
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    Floats,
    Ints,
    Patterns,
    Predictions,
    quantiles_of,
    sum_from,
)
from toolkit.errors import PredictionError
from toolkit.results.pair import FailedPair
from toolkit.results.portfolio import PortfolioForecast
from toolkit.results.portfolio_fields import (
    CustomerAtRisk,
    PortfolioCategories,
    PortfolioDraws,
    PortfolioProducts,
)
from toolkit.results.risk import OVERDUE, reason_of, severity_of
from toolkit.sources.base import OrderSource, categories_of
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Chooser, warn_of
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor, in_chunks
from toolkit.views.making import Making
from toolkit.views.products import Named, named, never_ordered

YEAR_DAYS = 364
"""What a pair usually orders is told from so many days before the date: whole weeks."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What many products make together."""

    products: PortfolioProducts
    draws: PortfolioDraws
    categories: PortfolioCategories
    at_risk: list[CustomerAtRisk]
    customer_count: int
    failed: tuple[FailedPair, ...]


@dataclass(frozen=True, slots=True)
class _Loss:
    """A pair at risk, and the units that are lost of it over the horizon."""

    customer_id: int
    product_id: int
    quantity: float
    reason: str


@dataclass(frozen=True, slots=True)
class _CategoryDraws:
    """Draws over the horizon, summed over the products of each category."""

    group: Grouping  # of all products
    quantity: Floats  # [categories, draws]
    revenue: Floats  # [categories, draws]

    @classmethod
    def none(cls, group: Grouping, draws: int) -> "_CategoryDraws":
        shape = len(group.names), draws
        return cls(group, np.zeros(shape), np.zeros(shape))

    def add(self, predictions: Predictions, totals: Floats, products: Named) -> None:
        """Add ``totals`` [products, draws] of the predicted products, one after the other by id."""
        if not self.group.names:
            return
        rows = products.rows(predictions.products.product_id)
        code, price = self.group.code[rows], products.price[rows]
        priced = np.isfinite(price)
        np.add.at(self.quantity, code, totals)
        np.add.at(self.revenue, code[priced], totals[priced] * price[priced, None])

    def of(self, predicted: Ints, patterns: Patterns, products: Named) -> PortfolioCategories:
        """What they come to; a category of which no product could be predicted is left out."""
        group = self.group
        code = group.code[products.rows(predicted)]
        if not group.names:
            return PortfolioCategories((), code, code[:0], self.quantity, self.revenue)
        there, code = np.unique(code, return_inverse=True)
        pairs = np.stack([group.code[products.rows(patterns.product_id)], patterns.customer_id])
        customers = np.bincount(np.unique(pairs, axis=1)[0], minlength=len(group.names))
        names = [group.names[i] for i in there.tolist()]
        return PortfolioCategories(
            names, code, customers[there], self.quantity[there], self.revenue[there]
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """What is kept of a chunk of products: nothing of the size of its draws."""

    product_id: Ints  # [products]
    customers: Ints  # [products]
    expected_orders: Floats  # [products, weeks]
    expected_quantity: Floats  # [products, weeks]
    known_expected_quantity: Floats  # [products, weeks]
    total_quantiles: Floats  # [products, QUANTILES]
    previous_quantity: Floats  # [products]
    losses: list[_Loss]


def portfolio_forecast(
    analyzer: PatternAnalyzer,
    making: Making,
    product_ids: Sequence[int] | None,
    as_of: date,
    chooser: Chooser,
    listed: bool = True,
) -> PortfolioForecast | None:
    """What the products make together; None if nobody ordered any of them before the date.

    ``listed``: whether the products were asked for one by one, so that those that nobody ordered
    are told.
    """
    found = portfolio_of(
        analyzer, making.predictor, product_ids, as_of, chooser, making.default_price
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
) -> Portfolio | None:
    """The products together, None for all of them; None if nobody ordered any before the date.

    The draws of a chunk of products are held at a time. Five queries, six if the model reads
    customers' order days and one more where products have categories, however many products there
    are. Raises ``PredictionError`` where every pair failed.
    """
    source = analyzer.source
    patterns, broken = analyzer.analyze(discover(source, as_of, product_ids))
    if not len(patterns) and not broken:
        return None
    ids = patterns.product_offsets()[0]
    products = named(source, as_of, ids, default_price)
    group = Grouping.of(ids, categories_of(source, ids.tolist()))
    by_category = _CategoryDraws.none(group, predictor.draws)
    draws, parts, failed = _no_draws(predictor), [], [*broken]
    for chunk in in_chunks(predictor, patterns):
        predictions, failures = predictor.predict(chunk)
        failed += failures
        add_draws(draws, predictions, products)
        totals = _totals(predictions)
        by_category.add(predictions, totals, products)
        parts.append(_part(predictions, totals, chooser))
    warn_of(failed)
    table = _joined(parts, products)
    if not len(table.product_id):
        raise PredictionError(f"no pair could be predicted: {failed[0].reason}")
    losses = [loss for part in parts for loss in part.losses]
    return Portfolio(
        products=table,
        draws=draws,
        categories=by_category.of(table.product_id, patterns, products),
        at_risk=_customers_at_risk(losses, products, source),
        customer_count=len(np.unique(patterns.customer_id)),
        failed=tuple(failed),
    )


def _no_draws(predictor: CustomerPredictor) -> PortfolioDraws:
    shape = predictor.weeks, predictor.draws
    return PortfolioDraws(np.zeros(shape), np.zeros(shape), np.zeros(shape))


def add_draws(draws: PortfolioDraws, predictions: Predictions, products: Named) -> None:
    """Add the draws of the predicted products to ``draws``, one after the other by id.

    In this order, so that the cut into chunks changes no bit.
    """
    predicted = predictions.products
    price = products.price[products.rows(predicted.product_id)]
    for row in range(len(predicted.product_id)):
        quantity = predicted.quantity[row].astype(float)
        np.add(draws.orders, predicted.orders[row], out=draws.orders)
        np.add(draws.quantity, quantity, out=draws.quantity)
        if np.isfinite(price[row]):
            np.add(draws.revenue, quantity * price[row], out=draws.revenue)


def _totals(predictions: Predictions) -> Floats:
    """Units over the horizon, [products, draws]."""
    totals: Floats = predictions.products.quantity.astype(float).sum(axis=1)
    return totals


def _part(predictions: Predictions, totals: Floats, chooser: Chooser) -> _Part:
    known, predicted = predictions.patterns, predictions.products
    horizon = DAYS_PER_WEEK * predictions.weeks
    return _Part(
        product_id=predicted.product_id,
        customers=np.diff(known.product_offsets()[1]),
        expected_orders=predicted.expected_orders,
        expected_quantity=predicted.expected_quantity,
        known_expected_quantity=predicted.known_expected_quantity,
        total_quantiles=quantiles_of(totals, axis=1).T,
        previous_quantity=known.sum_by_product(_units_since(known, horizon)),
        losses=_losses(predictions, horizon, chooser),
    )


def _units_since(known: Patterns, days: int) -> Floats:
    """Units that each pair ordered in the last so many days, [pairs]."""
    events = known.events
    units = np.where(events.day >= -days, events.quantity, 0.0)
    return sum_from(units, known.event_offset[:-1])


def usual_quantity(known: Patterns, horizon: int) -> Floats:
    """Units that each pair ordered in the year before the date, scaled to the horizon, [pairs].

    Of a younger pair, since its first order, but over ``horizon`` days at least.
    """
    age = -known.events.day[known.event_offset[:-1]].astype(float)
    observed = np.clip(age, min(horizon, YEAR_DAYS), YEAR_DAYS)
    usual: Floats = _units_since(known, YEAR_DAYS) / observed * horizon
    return usual


def _losses(predictions: Predictions, horizon: int, chooser: Chooser) -> list[_Loss]:
    """The pairs that have probably lapsed or are overdue, where that loses anything."""
    known, predicted = predictions.patterns, predictions.pairs
    least = {i: chooser(i).min_orders for i in predictions.products.product_id.tolist()}
    enough = known.order_count >= np.array([least[i] for i in known.product_id.tolist()])
    severity = severity_of(known.order_count, predicted, 0.0)
    lost = usual_quantity(known, horizon) - predicted.expected_quantity.sum(axis=1)
    return [
        _Loss(
            customer_id=int(known.customer_id[row]),
            product_id=int(known.product_id[row]),
            quantity=float(lost[row]),
            reason=reason_of(int(severity[row]), predicted, known.open_interval, row) or "",
        )
        for row in np.flatnonzero(enough & (severity <= OVERDUE) & (lost > 0.0)).tolist()
    ]


def _joined(parts: Sequence[_Part], products: Named) -> PortfolioProducts:
    product_id = np.concatenate([part.product_id for part in parts])
    predicted = products.select(product_id)
    return PortfolioProducts(
        product_id=product_id,
        product_name=predicted.names,
        unit_price=predicted.prices,
        customers=np.concatenate([part.customers for part in parts]),
        expected_orders=np.concatenate([part.expected_orders for part in parts]),
        expected_quantity=np.concatenate([part.expected_quantity for part in parts]),
        known_expected_quantity=np.concatenate([part.known_expected_quantity for part in parts]),
        total_quantiles=np.concatenate([part.total_quantiles for part in parts]),
        previous_quantity=np.concatenate([part.previous_quantity for part in parts]),
    )


def _customers_at_risk(
    losses: Sequence[_Loss], products: Named, source: OrderSource
) -> list[CustomerAtRisk]:
    """By customer, the largest loss of revenue first; then of units, where no price is known."""
    by_customer: dict[int, list[_Loss]] = {}
    for loss in losses:
        by_customer.setdefault(loss.customer_id, []).append(loss)
    names = source.customer_names(sorted(by_customer))
    customers = [
        _customer_at_risk(customer_id, names.get(customer_id), theirs, products)
        for customer_id, theirs in by_customer.items()
    ]
    return sorted(customers, key=_largest_loss)


def _customer_at_risk(
    customer_id: int, name: str | None, losses: Sequence[_Loss], products: Named
) -> CustomerAtRisk:
    rows = products.rows(np.array([loss.product_id for loss in losses])).tolist()
    revenue = [
        None if (price := products.prices[row]) is None else loss.quantity * price
        for loss, row in zip(losses, rows, strict=True)
    ]
    known = [amount for amount in revenue if amount is not None]
    most = max(range(len(losses)), key=lambda i: (revenue[i] or 0.0, losses[i].quantity))
    return CustomerAtRisk(
        customer_id=customer_id,
        customer_name=name or f"Customer {customer_id}",
        products_at_risk=len(losses),
        quantity_lost=sum(loss.quantity for loss in losses),
        revenue_lost=sum(known) if known else None,
        product_id=losses[most].product_id,
        product_name=products.names[rows[most]],
        risk_reason=losses[most].reason,
    )


def _largest_loss(customer: CustomerAtRisk) -> tuple[float, float, int]:
    return -(customer["revenue_lost"] or 0.0), -customer["quantity_lost"], customer["customer_id"]
