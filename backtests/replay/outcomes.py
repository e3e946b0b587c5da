"""What a date's levels would have meant: orders before it, levels, and what was then ordered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from backtests.replay.rules import HISTORY_WEEKS, Known, Rule
from backtests.scores.actuals import events_after
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    Floats,
    Ints,
    OrderEvents,
    Patterns,
    Predictions,
    by_week,
)
from toolkit.model import GRANULARITIES, FittedModel, Streams
from toolkit.replenishment.demand import share_by_day
from toolkit.replenishment.levels import ProtectedDemand
from toolkit.replenishment.plan import protected_demand
from toolkit.replenishment.policy import ReplenishmentPolicy, possible_days
from toolkit.sources.base import OrderSource
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor

type ByRule = Mapping[str, Floats]
"""By a rule's name: [settings, rows]."""


_BY_RULE = ("in_stock", "served", "held", "promised")

NUMBERS_AT_ONCE = 6_000_000
"""Draws × weeks × products in memory."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened after dates: a row for each product at each of them."""

    date: Ints  # [rows], number of the date
    product_id: Ints  # [rows]
    demand: Floats  # [rows], of the cycle: from one delivery to the next
    in_stock: ByRule  # P(no shortage in the cycle): 0 or 1, with one lead time
    served: ByRule  # units of the cycle that were served at once
    held: ByRule  # units in stock, mean of just after a delivery and just before the next
    promised: ByRule  # P(no shortage) in the model's own draws; of rules by a model only

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.product_id)

    @classmethod
    def joined(cls, parts: "Sequence[Outcomes]") -> "Outcomes":
        """Those of several dates as one table."""

        def by_rule(tables: Sequence[ByRule]) -> ByRule:
            return {
                name: np.concatenate([table[name] for table in tables], axis=1)
                for name in tables[0]
            }

        return cls(
            np.concatenate([part.date for part in parts]),
            np.concatenate([part.product_id for part in parts]),
            np.concatenate([part.demand for part in parts]),
            *(by_rule([getattr(part, name) for part in parts]) for name in _BY_RULE),
        )


def outcomes_at(
    source: OrderSource,
    as_of_date: date,
    number: int,
    policy: ReplenishmentPolicy,
    models: Mapping[str, FittedModel],
    rules: Sequence[Rule],
    draws: int,
    seed: int,
) -> Outcomes:
    """Levels of each rule from what was known before the date, against what came then.

    Of products that were ordered in the 26 weeks before. Each position is raised to its level at
    the date, which has a ``number``. ``policy`` says how long a protection interval is; targets are
    the rules' settings.
    """
    weeks = weeks_of(policy)
    events = source.order_events(as_of_date)
    recent = events.product_id[events.day >= -DAYS_PER_WEEK * HISTORY_WEEKS]
    share, events = share_by_day(events), events.where(np.isin(events.product_id, recent))
    then = events_after(source, as_of_date, weeks)
    patterns = {
        name: PatternAnalyzer(source, model.reads_customer_days).analyze(events)[0]
        for name, model in models.items()
    }
    parts = []
    for ids in _bunches(np.unique(recent), weeks * draws):
        made = {
            name: _predict(model, _of_products(patterns[name], ids), weeks, draws, seed)
            for name, model in models.items()
        }
        ids = _common(made.values(), ids)  # noqa: PLW2901
        parts.append(_outcomes(number, ids, policy, rules, _Seen(events, then, share), made))
    return Outcomes.joined(parts)


def weeks_of(policy: ReplenishmentPolicy) -> int:
    """Whole weeks that hold the longest protection interval."""
    days = max(possible_days(policy.lead_time_days)) + policy.review_days
    return -(-days // DAYS_PER_WEEK)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Orders before a date and after it, and a week's share by the end of each of its days."""

    events: OrderEvents
    then: OrderEvents
    share: Floats


def _outcomes(
    number: int,
    ids: Ints,
    policy: ReplenishmentPolicy,
    rules: Sequence[Rule],
    seen: _Seen,
    predicted: Mapping[str, Predictions],
) -> Outcomes:
    """Those of some products, which all models predict."""
    demand = {
        name: _protected(_rows(made, ids), policy, seen.share) for name, made in predicted.items()
    }
    actual = _actual(seen.then, ids, policy)
    history, days = _by_week(seen.events, ids), _expected_days(policy)
    tables: dict[str, dict[str, Floats]] = {name: {} for name in _BY_RULE}
    cycle = actual.expected_in_cycle
    for rule in rules:
        known = Known(history, days, demand[rule.model or next(iter(demand))])
        levels = list(map(rule.levels(known), rule.knobs))
        made = {
            "in_stock": [1 - actual.p_shortage(level) for level in levels],
            "served": [cycle - actual.expected_shortage(level) for level in levels],
            "held": [actual.expected_stock(level) for level in levels],
        }
        if rule.model is not None:
            made["promised"] = [1 - known.demand.p_shortage(level) for level in levels]
        for name, values in made.items():
            tables[name][rule.name] = np.stack(values)
    return Outcomes(np.full(len(ids), number, dtype=np.int64), ids, cycle, **tables)


def _bunches(ids: Ints, numbers: int) -> list[Ints]:
    """The ids in parts, so that draws in memory stay bounded; ``numbers`` of each product."""
    return np.array_split(ids, -(-len(ids) * numbers // NUMBERS_AT_ONCE))


def _of_products(patterns: Patterns, ids: Ints) -> Patterns:
    return patterns.select(np.isin(patterns.product_id, ids))


def _predict(
    model: FittedModel, patterns: Patterns, weeks: int, draws: int, seed: int
) -> Predictions:
    if set(model.granularities) == set(GRANULARITIES):
        predictions, _ = CustomerPredictor(model, weeks, draws, seed).predict(patterns)
        return predictions
    return model.predict(patterns, weeks=weeks, draws=draws, streams=Streams(seed))


def _common(predicted: Iterable[Predictions], recent: Ints) -> Ints:
    ids = np.unique(recent)
    for made in predicted:
        ids = np.intersect1d(ids, made.products.product_id)
    return ids


def _rows(made: Predictions, ids: Ints) -> Floats:
    rows = np.searchsorted(made.products.product_id, ids)
    return made.products.quantity[rows].astype(float)


def _protected(quantity: Floats, policy: ReplenishmentPolicy, share: Floats) -> ProtectedDemand:
    review = np.full(len(quantity), policy.review_days, dtype=np.int64)
    return protected_demand(quantity, [policy.lead_time_days] * len(quantity), review, share)


def _actual(events: OrderEvents, ids: Ints, policy: ReplenishmentPolicy) -> ProtectedDemand:
    """What was ordered until the deliveries, as one draw that is known by the day."""
    days = DAYS_PER_WEEK * weeks_of(policy)
    events = events.where(np.isin(events.product_id, ids))
    cell = np.searchsorted(ids, events.product_id) * days + events.day
    by_day = np.bincount(cell, np.nan_to_num(events.quantity), len(ids) * days)
    until = np.zeros((len(ids), days + 1))
    np.cumsum(by_day.reshape(len(ids), days), axis=1, out=until[:, 1:])
    table = possible_days(policy.lead_time_days)
    delivery = np.array([*table], dtype=np.int64)
    probability = np.tile([*table.values()], (len(ids), 1))
    later = delivery + policy.review_days
    return ProtectedDemand(until[:, delivery, None], until[:, later, None], probability)


def _by_week(events: OrderEvents, ids: Ints) -> Floats:
    """Units by week of the last 26, [products, weeks]."""
    events = events.where(np.isin(events.product_id, ids))
    row = np.searchsorted(ids, events.product_id)
    day = events.day + DAYS_PER_WEEK * HISTORY_WEEKS
    return by_week(row, day, np.nan_to_num(events.quantity), len(ids), HISTORY_WEEKS)


def _expected_days(policy: ReplenishmentPolicy) -> float:
    table = possible_days(policy.lead_time_days)
    return policy.review_days + sum(day * p for day, p in table.items())
