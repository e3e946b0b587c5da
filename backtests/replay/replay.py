"""A replay over past dates: achieved service with its interval, and the stock it took."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import numpy as np

from backtests.compare.bootstrap import (
    DATES,
    BlockSums,
    block_sums,
    interval,
    overlapping,
    resample,
)
from backtests.replay.outcomes import Outcomes, outcomes_at, weeks_of
from backtests.replay.result import Achieved, EqualService, Measure, Measured, ReplayReport
from backtests.replay.rules import Rule, rules_of
from toolkit.data.defaults import INTERVAL_SHARE, PLAN_DRAWS, RESAMPLES, SEED
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints
from toolkit.errors import ArgumentError
from toolkit.model import FittedModel
from toolkit.replenishment.policy import ReplenishmentPolicy
from toolkit.sources.base import OrderSource

TARGETS = (0.90, 0.95, 0.98)
STOCK_RESAMPLES = 300


def run_replay(
    source: OrderSource,
    dates: Sequence[date],
    policy: ReplenishmentPolicy,
    models: Mapping[str, FittedModel],
    targets: Sequence[float] = TARGETS,
    *,
    draws: int = PLAN_DRAWS,
    seed: int = SEED,
    progress: Callable[[int], None] = lambda dates: None,
) -> ReplayReport:
    """What ``toolkit plan`` would have achieved at past ``dates``, beside rules that people use.

    At each date each product's position is raised to the level that its rule sets from what was
    known before; then the orders of the protection interval come in. ``models`` by label, fitted
    before the first date; of ``policy`` only lead time and review period count. ``progress`` is
    told of each date that is done. Raises ``ArgumentError`` for targets that are none.
    """
    targets = check_targets(targets)
    rules, parts = rules_of(tuple(models), tuple(targets)), []
    for number, day in enumerate(sorted(dates)):
        parts.append(outcomes_at(source, day, number, policy, models, rules, draws, seed))
        progress(1)
    seen = Outcomes.joined(parts)
    weeks = weeks_of(policy)
    return ReplayReport(
        policy=policy,
        dates=tuple(sorted(dates)),
        rows=len(seen),
        weekly_demand=float(seen.demand.sum() / len(dates) * DAYS_PER_WEEK / policy.review_days),
        achieved=tuple(_achieved(seen, rules, targets, overlapping(sorted(dates), weeks), seed)),
        equal_service=tuple(_equal_service(seen, rules, targets, seed)),
        models=tuple(f"{label}: {m.name}@{m.version}" for label, m in models.items()),
        draws=draws,
        seed=seed,
    )


def check_targets(targets: Sequence[float]) -> list[float]:
    """Each once, ascending. ``ArgumentError`` unless there are some, all between 0 and 1."""
    listed = sorted(set(targets))
    if not listed or not all(0 < target < 1 for target in listed):
        raise ArgumentError(f"targets have to be numbers between 0 and 1, got {listed}")
    return listed


def _achieved(
    seen: Outcomes, rules: Sequence[Rule], targets: Sequence[float], overlap: int, seed: int
) -> Iterator[Achieved]:
    """Each rule, set for each target; one that can be set for nothing comes once."""
    shown = [
        (rule, target if rule.target else None, rule.knobs.index(rule.setting(target)))
        for rule in rules
        for target in (targets if rule.target else targets[:1])
    ]
    in_stock = np.stack([seen.in_stock[rule.name][place] for rule, _, place in shown])
    served = np.stack([seen.served[rule.name][place] for rule, _, place in shown])
    levels = _measured(seen, in_stock, np.ones(len(seen)), overlap, seed)
    fills = _measured(seen, served, seen.demand, overlap, seed)
    for (rule, target, place), level, fill in zip(shown, levels, fills, strict=True):
        promised = seen.promised.get(rule.name)
        yield Achieved(
            rule=rule.name,
            aims_at=rule.target,
            target=target,
            service_level=level,
            fill_rate=fill,
            promised_service_level=None if promised is None else float(promised[place].mean()),
            stock=float(seen.held[rule.name][place].sum() / (seen.date.max() + 1)),
        )


def _measured(
    seen: Outcomes, reached: Floats, of: Floats, overlap: int, seed: int
) -> Iterator[Measured]:
    """Σ reached / Σ of, with its interval by resampling products and dates; reached: [n, rows]."""
    nothing = np.zeros(len(seen))
    values = np.column_stack([*reached, nothing, of])  # [rows, n + 2]
    product = np.unique(seen.product_id, return_inverse=True)[1]
    ways = {
        "products": BlockSums(_sums(product, values)),
        DATES: BlockSums(_sums(seen.date, values), overlap),
    }
    resampled = resample(ways, RESAMPLES, seed)
    for i in range(len(reached)):
        low, high = interval(resampled.difference(i, len(reached), seed), INTERVAL_SHARE)
        yield Measured(float(resampled.score[i]), low, high)


def _sums(block: Ints, values: Floats) -> Floats:
    return block_sums(block, int(block.max()) + 1, values)


def _equal_service(
    seen: Outcomes, rules: Sequence[Rule], targets: Sequence[float], seed: int
) -> Iterator[EqualService]:
    """The stock that each rule takes for the same achieved service; the first model's is 1."""
    weights = _weights(seen, seed)  # [rows, 1 + resamples], the first all 1
    measures: tuple[Measure, ...] = ("service_level", "fill_rate")
    for measure in measures:
        fitting = [rule for rule in rules if rule.model is None or rule.target == measure]
        reached = seen.in_stock if measure == "service_level" else seen.served
        whole = np.ones(len(seen)) if measure == "service_level" else seen.demand
        curves = [
            (reached[rule.name] @ weights / (whole @ weights), seen.held[rule.name] @ weights)
            for rule in fitting
        ]
        for target in targets:
            stocks = [_stock_at(target, *curve) for curve in curves]  # [1 + resamples] each
            for rule, stock in zip(fitting, stocks, strict=True):
                ratio = stock / stocks[0]
                low, high = interval(ratio[1:][np.isfinite(ratio[1:])], INTERVAL_SHARE)
                yield EqualService(
                    measure=measure,
                    service=target,
                    rule=rule.name,
                    stock=float(stock[0] / (seen.date.max() + 1)),
                    ratio=Measured(float(ratio[0]), low, high),
                )


def _stock_at(target: float, reached: Floats, held: Floats) -> Floats:
    """Stock where a curve of settings [settings, resamples] reaches a target; NaN where never."""
    rising = np.maximum.accumulate(reached, axis=0)
    return np.array(
        [
            np.interp(target, service, stock, left=np.nan, right=np.nan)
            for service, stock in zip(rising.T, held.T, strict=True)
        ]
    )


def _weights(seen: Outcomes, seed: int) -> Floats:
    """Of rows: those of its product times that of its date, as in the Bayesian bootstrap.

    Products and dates are crossed: Owen & Eckles (2012), doi:10.1214/12-AOAS547.
    """
    rng = np.random.default_rng(seed)
    names, product = np.unique(seen.product_id, return_inverse=True)
    of_product = rng.standard_exponential((len(names), STOCK_RESAMPLES))
    of_date = rng.standard_exponential((int(seen.date.max()) + 1, STOCK_RESAMPLES))
    drawn = of_product[product] * of_date[seen.date]
    return np.concatenate([np.ones((len(seen), 1)), drawn], axis=1)
