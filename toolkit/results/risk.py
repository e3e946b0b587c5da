"""When a pair is at risk, and why: one rule for the views by product, by customer and over all.

Probably lapsed is graver than overdue, and that than a low confidence. Overdue is measured against
the pair's own rhythm: it needs an interval to have one.
"""

import numpy as np

from toolkit.data.tables import Floats, Ints, PairPredictions

LOW_P_ALIVE = 0.5
OVERDUE_PROBABILITY = 0.05
SMALLEST_SHARE = 0.001

LAPSED, OVERDUE, UNSURE, NO_RISK = range(4)
"""How grave it is, the gravest first."""


def severity_of(
    order_count: Ints, predicted: PairPredictions, min_confidence: float | Floats
) -> Ints:
    """One of ``LAPSED`` … ``NO_RISK`` for each pair, [pairs]."""
    reasons = (
        predicted.p_alive < LOW_P_ALIVE,
        (order_count > 1) & (predicted.open_interval_p < OVERDUE_PROBABILITY),
        predicted.confidence < min_confidence,
    )
    return np.select(reasons, range(NO_RISK), NO_RISK).astype(np.int64)


def reason_of(
    severity: int, predicted: PairPredictions, open_interval: Floats, row: int
) -> str | None:
    """Why the pair in a row is at risk, a sentence with its probability; None if it is not."""
    if severity == LAPSED:
        return f"Probably lapsed: the chance of another order is {_percent(predicted.p_alive[row])}"
    if severity == OVERDUE:
        days, share = open_interval[row], _percent(predicted.open_interval_p[row])
        return f"Overdue: {days:.0f} days silent; {share} of their pauses last that long"
    if severity == UNSURE:
        chance = _percent(predicted.confidence[row])
        return f"Hard to date: the chance of an order near the date is {chance}"
    return None


def _percent(p: float) -> str:
    """A probability for a person: ``3.6 %``; next to none has a bound."""
    return f"{100 * p:.1f} %" if p >= SMALLEST_SHARE else f"under {100 * SMALLEST_SHARE:.1f} %"
