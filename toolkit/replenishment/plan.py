"""From stock, policy and forecasts to what to order."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from toolkit.data.defaults import PLAN_DRAWS
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, OrderEvents, Predictions
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, DataError, Finding, PredictionError
from toolkit.replenishment.demand import days_until_more, demand_within, share_by_day
from toolkit.replenishment.levels import ProtectedDemand, quantity_to_order, reaching
from toolkit.replenishment.policy import (
    LeadTime,
    ReplenishmentPolicy,
    possible_days,
    span_mistakes,
)
from toolkit.replenishment.result import PlanLines, ReplenishmentPlan
from toolkit.replenishment.stock import Stock
from toolkit.sources.base import ProductInfo
from toolkit.sources.codes import NO_CODES, Codes
from toolkit.stages.arguments import as_of_day, check_whole
from toolkit.stages.prediction import CustomerPredictor
from toolkit.validation import EXAMPLES

NUMBERS_AT_ONCE = 20_000_000
"""Draws × weeks × products in memory, and as many pairs as if each had its own product."""

type Ranking = Literal["run_out", "shortage"]

RANKINGS: tuple[Ranking, ...] = get_args(Ranking.__value__)


def plan_replenishment(
    engine: ForecastEngine,
    stock: Stock,
    policy: ReplenishmentPolicy,
    as_of_date: str | date | None = None,
    *,
    draws: int = PLAN_DRAWS,
    ranked_by: Ranking = "run_out",
    codes: Codes = NO_CODES,
    progress: Callable[[int], None] = lambda products: None,
) -> ReplenishmentPlan | None:
    """What to order of every product in stock, as of a date (YYYY-MM-DD, default today).

    Demand is the engine's model's: ``draws`` paths of each product's weeks, from its seed. On top
    is what runs out first (``run_out``), or what saves most (``shortage``): expected units short
    that the order saves, times the shortage cost, the unit's cost where that is not known, and 1
    where neither is. ``progress`` is told of each bunch of products that is done. None where nobody
    ordered any product of the stock before the date.

    Raises ``ArgumentError`` for an argument out of range; ``DataError`` with every product of the
    stock that the database does not know, or that the policy and the draws cannot serve;
    ``SourceError`` and ``PredictionError`` as the engine does.
    """
    as_of, draws = as_of_day(as_of_date, engine.source), check_whole("draws", draws, 1)
    if ranked_by not in RANKINGS:
        raise ArgumentError(f"ranked_by has to be one of {', '.join(RANKINGS)}, got {ranked_by!r}")
    infos = engine.source.products(as_of, stock.product_id.tolist())
    found = [*_unknown(stock, infos.keys(), codes), *_conflicts(stock, policy, codes, draws)]
    if found:
        raise DataError("stock", found)
    stock = stock.select(np.argsort(stock.product_id))  # as predictions are sorted
    events = engine.source.order_events(as_of)
    share, parts, failed = share_by_day(events), [], 0
    for predictions, failures in _predictions(engine, events, stock, policy, draws):
        parts.append(_lines(predictions, stock, policy, share, infos))
        failed += failures
        progress(len(parts[-1]))
    if not any(map(len, parts)):
        if failed:
            raise PredictionError(f"no pair of a product in the stock could be predicted: {failed}")
        return None
    lines = _ranked(_joined(parts), stock, policy, ranked_by)
    return ReplenishmentPlan(
        as_of_date=as_of,
        policy=policy,
        lines=lines,
        ranked_by=ranked_by,
        not_planned=tuple(np.setdiff1d(stock.product_id, lines.product_id).tolist()),
        failed_pairs=failed,
        model_name=engine.predictor.model.name,
        model_version=engine.predictor.model.version,
        draws=draws,
        seed=engine.predictor.seed,
        product_codes=_codes_of(lines.product_id, codes),
    )


def protected_demand(
    quantity: NDArray[np.floating], leads: Sequence[LeadTime], review_days: Ints, share: Floats
) -> ProtectedDemand:
    """Demand of the protection interval of each product, from its weeks.

    ``quantity`` is [products, weeks, draws], ``review_days`` [products], ``share`` [8] that of a
    week by the end of each day.
    """
    days, probability = _lead_table(leads)
    return ProtectedDemand(
        demand_within(quantity, days, share),
        demand_within(quantity, days + review_days[:, None], share),
        probability,
    )


def _intervals(stock: Stock, policy: ReplenishmentPolicy) -> tuple[list[LeadTime], list[int]]:
    """Lead times and review periods of the products: their own, or the policy's."""
    leads = [policy.lead_time_days if lead is None else lead for lead in stock.lead_time_days]
    own = np.where(np.isnan(stock.review_days), policy.review_days, stock.review_days)
    return leads, own.astype(int).tolist()


def _lead_table(leads: Sequence[LeadTime]) -> tuple[Ints, Floats]:
    """Days and probabilities, both [products, lead times]; those beyond a product's own are 0."""
    tables = [possible_days(lead) for lead in leads]
    most = max(map(len, tables), default=1)
    days = np.zeros((len(tables), most), dtype=np.int64)
    probability = np.zeros((len(tables), most))
    for row, table in enumerate(tables):
        days[row, : len(table)], probability[row, : len(table)] = [*table], [*table.values()]
    return days, probability


def _predictions(
    engine: ForecastEngine,
    events: OrderEvents,
    stock: Stock,
    policy: ReplenishmentPolicy,
    draws: int,
) -> Iterator[tuple[Predictions, int]]:
    """Predictions of the products, bunch by bunch, and how many of their pairs failed.

    Draws depend on the horizon, so each product has that of its own protection interval: what else
    is in stock changes nothing.
    """
    needed = _weeks(stock, policy)
    for weeks in np.unique(needed).tolist():
        predictor = CustomerPredictor(engine.predictor.model, weeks, draws, engine.predictor.seed)
        these = np.isin(events.product_id, stock.product_id[needed == weeks])
        patterns, broken = engine.pattern_analyzer.analyze(events.where(these))
        failed = len(broken)
        for mask in patterns.split(max(1, NUMBERS_AT_ONCE // (weeks * draws))):
            predictions, failures = predictor.predict(patterns.select(mask))
            yield predictions, failed + len(failures)
            failed = 0


def _weeks(stock: Stock, policy: ReplenishmentPolicy) -> Ints:
    """Weeks that hold each product's longest protection interval, [rows]."""
    days = [
        max(possible_days(lead)) + review
        for lead, review in zip(*_intervals(stock, policy), strict=True)
    ]
    return -(-np.array(days, dtype=np.int64) // DAYS_PER_WEEK)


def _lines(
    predictions: Predictions,
    stock: Stock,
    policy: ReplenishmentPolicy,
    share: Floats,
    infos: Mapping[int, ProductInfo],
) -> PlanLines:
    """What is said of the predicted products; ``stock`` is sorted and holds them all."""
    ids, quantity = predictions.products.product_id, predictions.products.quantity
    own = stock.select(np.searchsorted(stock.product_id, ids))
    leads, reviews = _intervals(own, policy)
    review, position = np.array(reviews, dtype=np.int64), own.position
    demand = protected_demand(quantity, leads, review, share)
    daily = protected_demand(quantity, leads, np.ones_like(review), share)
    target, kind = targets(own, policy), policy.target
    level = reaching(demand, kind)(target)
    order = quantity_to_order(level, position, own.pack_size, own.minimum_order)
    reached, cycle = position + order, demand.expected_in_cycle
    short = demand.expected_shortage(reached)
    served = np.divide(short, cycle, out=np.zeros(len(ids)), where=cycle > 0)
    until_out = days_until_more(quantity, position, share)  # [products, draws]
    days, probability = _lead_table(leads)
    return PlanLines(
        product_id=ids,
        product_name=tuple(infos[i].name or f"Product {i}" for i in ids.tolist()),
        on_hand=own.on_hand,
        on_order=own.on_order,
        lead_time_days=(days * probability).sum(axis=1),
        review_days=review,
        target=target,
        expected_demand=demand.expected,
        reorder_point=np.minimum(reaching(daily, kind)(target), level),
        order_up_to_level=level,
        quantity=order,
        order_value=order * own.unit_cost,
        run_out_day=np.quantile(until_out, 0.5, axis=1, method="inverted_cdf"),
        p_shortage_before_delivery=demand.p_shortage_before_delivery(position),
        p_shortage_without_order=demand.p_shortage(position),
        p_shortage=demand.p_shortage(reached),
        expected_shortage_without_order=demand.expected_shortage(position),
        expected_shortage=short,
        fill_rate=1 - served,
    )


def _ranked(
    lines: PlanLines, stock: Stock, policy: ReplenishmentPolicy, ranked_by: Ranking
) -> PlanLines:
    """The lines, the most urgent first."""
    own = stock.select(np.searchsorted(stock.product_id, lines.product_id))
    if ranked_by == "run_out":
        keys = (-lines.p_shortage_without_order, lines.run_out_day)
    else:
        saved = lines.expected_shortage_without_order - lines.expected_shortage
        keys = (lines.run_out_day, -saved * _cost_of_shortage(own, policy))
    return lines.select(np.lexsort((lines.product_id, *keys)))


def _cost_of_shortage(stock: Stock, policy: ReplenishmentPolicy) -> Floats:
    """Of a unit: the shortage cost, else the unit's cost, else 1, [rows]."""
    general = np.nan if policy.shortage_cost is None else policy.shortage_cost
    cost = np.where(np.isnan(stock.shortage_cost), general, stock.shortage_cost)
    cost = np.where(np.isnan(cost), stock.unit_cost, cost)
    return np.where(np.isnan(cost), 1.0, cost)


def targets(stock: Stock, policy: ReplenishmentPolicy) -> Floats:
    """Cycle service level or fill rate of each product: its own, or the policy's, [rows]."""
    if policy.shortage_cost is None or policy.holding_cost is None:
        return np.where(np.isnan(stock.service_level), policy.level, stock.service_level)
    short = np.where(np.isnan(stock.shortage_cost), policy.shortage_cost, stock.shortage_cost)
    held = np.where(np.isnan(stock.holding_cost), policy.holding_cost, stock.holding_cost)
    ratio: Floats = short / (short + held)
    return ratio


def _unknown(stock: Stock, known: Collection[int], codes: Codes) -> Iterator[Finding]:
    missing = np.setdiff1d(stock.product_id, np.array([*known], dtype=np.int64)).tolist()
    if missing:
        yield _finding("product is not in the database", missing, codes)


def _conflicts(
    stock: Stock, policy: ReplenishmentPolicy, codes: Codes, draws: int
) -> Iterator[Finding]:
    """What a product's own numbers and the policy cannot both have."""
    if not len(stock):
        yield Finding("stock", "there is no product in it", 0)
    ids, own = stock.product_id, ~np.isnan(stock.service_level)
    if policy.target == "costs" and own.any():
        rule = "service_level is given, and the policy has costs in its place"
        yield _finding(rule, ids[own].tolist(), codes)
    beyond = [
        number
        for number, lead, review in zip(ids.tolist(), *_intervals(stock, policy), strict=True)
        if span_mistakes(lead, review)
    ]
    if beyond:
        (rule,) = span_mistakes(10**9, 0)
        yield _finding(rule.partition(", got")[0], beyond, codes)
    if policy.target == "fill_rate":
        return
    level = targets(stock, policy)
    rare = level * (draws + 1) > draws
    if rare.any():
        needed = math.ceil(float(level[rare].max()) / (1 - float(level[rare].max())) - 1e-6)
        rule = f"{draws:,} draws are too few for so high a service level: it takes {needed:,}"
        yield _finding(rule, ids[rare].tolist(), codes)


def _finding(rule: str, product_ids: Sequence[int], codes: Codes) -> Finding:
    named = [codes.code("product", number) or str(number) for number in product_ids]
    return Finding("stock", rule, len(named), tuple(named[:EXAMPLES]))


def _joined(parts: Sequence[PlanLines]) -> PlanLines:
    def join(name: str) -> Any:  # noqa: ANN401  # a column of either kind
        columns = [getattr(part, name) for part in parts]
        if isinstance(columns[0], tuple):
            return tuple(value for column in columns for value in column)
        return np.concatenate(columns)

    return PlanLines(*(join(field.name) for field in fields(PlanLines)))


def _codes_of(product_ids: Ints, codes: Codes) -> tuple[str | None, ...] | None:
    if not codes.has("product"):
        return None
    return tuple(codes.code("product", number) for number in product_ids.tolist())
