"""``lightgbm_pairs``: what is trained, and how answers become predictions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from models.parts.pair_trees import SETTINGS, HistoryRows, grow_by_week
from models.parts.trees import TreeText, answer, grow
from models.peers.parts.waiting import Wait
from toolkit.data.tables import COUNTS, DAYS_PER_WEEK, REACH_DAYS, Floats

MARK_DAYS = (84, 112, 140)
"""Pairs are looked at from so many days before the as-of date; the next 12 weeks are known."""
HORIZON_WEEKS = 12
BY_WEEKS = (1, 2, 4, 8, 12)
COUNT_ROUNDS = 300
MOST = 1.0 - 1e-6
RARE = 1e-9


def train(rows: HistoryRows, seed: int) -> dict[str, TreeText]:
    """Trees for the count of twelve weeks, and for an order by each of ``BY_WEEKS``."""
    counts, poisson = rows.orders.sum(axis=1), {**SETTINGS, "objective": "poisson"}
    by_week = {f"by_week_{weeks}": grow_by_week(rows, weeks, seed) for weeks in BY_WEEKS}
    return {"orders": grow(rows.columns, counts, poisson, COUNT_ROUNDS, seed), **by_week}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the trees say of pairs, made to agree."""

    orders: Floats  # [pairs], expected in HORIZON_WEEKS
    p_by: Floats  # [pairs, BY_WEEKS], ascending

    @classmethod
    def of(cls, trees: Mapping[str, TreeText], columns: Floats) -> "Answers":
        """P(order by week 4) and, unless it is below that, the count stand as they are.

        Earlier probabilities are not above that of week 4, later ones not below it nor above the
        expected count.
        """
        p = [np.clip(answer(trees[f"by_week_{w}"], columns), RARE, MOST) for w in BY_WEEKS]
        month = BY_WEEKS.index(4)
        orders = np.maximum(answer(trees["orders"], columns), p[month])
        for place in range(month - 1, -1, -1):
            p[place] = np.minimum(p[place], p[place + 1])
        for place in range(month + 1, len(BY_WEEKS)):
            p[place] = np.maximum(np.minimum(p[place], orders), p[place - 1])
        return cls(orders, np.stack(p, axis=1))

    def wait(self, weeks: int) -> Wait:
        """The wait for the next order; after twelve weeks the last four go on and on."""
        ends = DAYS_PER_WEEK * np.array([0, *BY_WEEKS])
        last = max(REACH_DAYS, DAYS_PER_WEEK * weeks) + 1
        known = Wait.of(ends, np.column_stack([np.zeros(len(self.orders)), self.p_by]))
        rate = (known.hazard[:, -1] - known.hazard[:, -2]) / (ends[-1] - ends[-2])
        beyond = known.hazard[:, -1] + rate * (last - ends[-1])
        return Wait(np.append(ends, last), np.column_stack([known.hazard, beyond]))

    def orders_by(self, p_by_week: Floats) -> Floats:
        """Expected orders by the end of each week, [pairs, weeks], given ``p_by_week``.

        The first comes with that probability; those after it, in proportion to the weeks since.
        Beyond twelve weeks all go on evenly.
        """
        weeks = max(HORIZON_WEEKS, p_by_week.shape[1])
        since = np.cumsum(p_by_week, axis=1) - p_by_week
        whole = since[:, HORIZON_WEEKS - 1 : HORIZON_WEEKS]
        later = (self.orders - p_by_week[:, HORIZON_WEEKS - 1])[:, None]
        by = p_by_week + np.maximum(later, 0.0) * since / np.maximum(whole, RARE)
        for week in range(HORIZON_WEEKS, weeks):
            by[:, week] = self.orders * (week + 1) / HORIZON_WEEKS
        return np.maximum.accumulate(np.maximum(by, p_by_week), axis=1)


def spread_of_counts(answers: Answers, orders: Floats) -> float:
    """Overdispersion of the orders after the first one, from training rows; 0 is Poisson's."""
    counts = orders.sum(axis=1)
    some = counts > 0
    mean = np.maximum(answers.orders / answers.p_by[:, -1] - 1.0, 0.0)[some]
    excess = np.sum((counts[some] - 1.0 - mean) ** 2 - mean)
    return float(max(excess / max(np.sum(mean**2), RARE), 0.0))


def counts_of(p_some: Floats, expected: Floats, spread: float) -> Floats:
    """P(so many orders) [pairs, COUNTS]: none, or 1 + negative binomial with that mean."""
    mean = np.maximum(expected / np.maximum(p_some, RARE) - 1.0, 0.0)[:, None]
    further = np.arange(COUNTS - 2)
    shape = 1.0 / max(spread, 1e-6)
    with np.errstate(divide="ignore"):
        log_p = (
            gammaln(further + shape) - gammaln(shape) - gammaln(further + 1.0)
            - shape * np.log1p(mean / shape)
        ) + further * np.log(np.maximum(mean, 1e-300) / (shape + mean))  # fmt: skip
    p = np.zeros((len(p_some), COUNTS))
    p[:, 1:-1] = np.exp(log_p)
    p[:, -1] = np.maximum(1.0 - p[:, 1:-1].sum(axis=1), 0.0)
    p *= (p_some / p.sum(axis=1))[:, None]
    p[:, 0] = 1.0 - p_some
    return p
