"""Which products changed orders touch: their own, and, where a customer surprises, all of theirs.

A pair surprises where the number of its orders since the date of its forecast lies outside the 95 %
interval that the model gave as of that date, or where there is no such forecast to hold it against.
Then the customer's other products are computed, too. That is as far as it goes: what is computed
for that reason surprises nobody, as none of its orders changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from toolkit.data.tables import COUNTS, DAYS_PER_WEEK, Floats, Ints, Patterns
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError
from toolkit.export.changes import ChangedOrder
from toolkit.sources.base import replacements_of
from toolkit.stages.arguments import MAX_WEEKS

OUTSIDE = 0.025
"""The probability on either side of the interval."""

type Pair = tuple[int, int]
"""Customer, product."""


def products_touched(
    engine: ForecastEngine,
    changes: Iterable[ChangedOrder],
    as_of_date: date,
    forecast_dates: Mapping[int, date],
) -> frozenset[int]:
    """Products to compute as of a date, after changes of orders before it.

    ``forecast_dates``: as of which date readers have a forecast of the products that are named.
    Orders at or after ``as_of_date`` have no part in it. Raises ``SourceError`` if the database
    fails.
    """
    heirs = replacements_of(engine.source).heirs(as_of_date)
    whole: set[int] = set()
    earliest: dict[Pair, date] = {}
    for change in changes:
        if change.product_id is None:
            whole.add(change.customer_id)
            continue
        pair = change.customer_id, heirs.get(change.product_id, change.product_id)
        day = change.order_date or date.min
        earliest[pair] = min(day, earliest.get(pair, day))
    expected = _as_expected(engine, earliest, as_of_date, forecast_dates)
    customers = sorted(whole | {pair[0] for pair in earliest.keys() - expected})
    touched = engine.source.ordered_products(as_of_date, customers) if customers else []
    return frozenset(touched) | {product for _, product in earliest}


def _as_expected(
    engine: ForecastEngine,
    earliest: Mapping[Pair, date],
    as_of_date: date,
    forecast_dates: Mapping[int, date],
) -> set[Pair]:
    """The pairs of which nothing changed before the date of their forecast, and that ordered as
    often since then as that expected.
    """
    by_date: dict[date, list[Pair]] = {}
    for pair, day in earliest.items():
        made = forecast_dates.get(pair[1])
        if made is not None and made <= day:
            by_date.setdefault(made, []).append(pair)
    return {
        pair for made, pairs in by_date.items() for pair in _within(engine, pairs, made, as_of_date)
    }


def _within(
    engine: ForecastEngine, pairs: Sequence[Pair], made: date, as_of_date: date
) -> Iterable[Pair]:
    """Of pairs with a forecast as of ``made``, those whose orders since are in its interval."""
    products = sorted({product for _, product in pairs})
    orders = _orders_since(engine, products, made, as_of_date)
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(made, products))
    days = (as_of_date - made).days
    low = _quantiles(engine, patterns, days // DAYS_PER_WEEK, OUTSIDE)
    high = _quantiles(engine, patterns, -(-days // DAYS_PER_WEEK), 1.0 - OUTSIDE)
    for pair in pairs:
        ordered = min(orders.get(pair, 0), COUNTS - 1)
        if pair in low and pair in high and low[pair] <= ordered <= high[pair]:
            yield pair


def _orders_since(
    engine: ForecastEngine, products: Sequence[int], made: date, as_of_date: date
) -> Mapping[Pair, int]:
    """How often each pair ordered from ``made`` until the day before the as-of date."""
    events = engine.source.order_events(as_of_date, products)
    since = events.where(events.day >= (made - as_of_date).days)
    pairs = np.stack([since.customer_id, since.product_id])
    found, counts = np.unique(pairs, axis=1, return_counts=True)
    return dict(zip(_pairs(*found), counts.tolist(), strict=True))


def _quantiles(
    engine: ForecastEngine, patterns: Patterns, weeks: int, level: float
) -> Mapping[Pair, int]:
    """A quantile of each pair's number of orders over the weeks after the date of the patterns.

    None of a pair that cannot be predicted.
    """
    known = _pairs(patterns.customer_id, patterns.product_id)
    if not len(patterns) or weeks == 0:
        return dict.fromkeys(known, 0)
    predictor = replace(engine.predictor, weeks=min(weeks, MAX_WEEKS))
    try:
        predictions, _ = predictor.predict(patterns)
    except PredictionError:
        return {}
    known = _pairs(predictions.patterns.customer_id, predictions.patterns.product_id)
    return dict(zip(known, _quantile(predictions.pairs.order_count_p, level), strict=True))


def _quantile(order_count_p: Floats, level: float) -> list[int]:
    """The smallest number of orders that is exceeded with a chance of at most 1 − ``level``.

    >>> _quantile(np.array([[0.5, 0.4, 0.1]]), 0.025), _quantile(np.array([[0.5, 0.4, 0.1]]), 0.975)
    ([0], [2])
    """
    up_to = np.cumsum(order_count_p, axis=1)
    reached = up_to >= level * up_to[:, -1:]
    smallest: list[int] = np.argmax(reached, axis=1).tolist()
    return smallest


def _pairs(customer_id: Ints, product_id: Ints) -> list[Pair]:
    return list(zip(customer_id.tolist(), product_id.tolist(), strict=True))
