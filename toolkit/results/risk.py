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
    """Why the pair in a row is at risk, with its number; None if it is not."""
    if severity == LAPSED:
        return f"Probably lapsed: P(alive) {predicted.p_alive[row]:.2f}"
    if severity == OVERDUE:
        share = _share(predicted.open_interval_p[row])
        return f"Overdue: {open_interval[row]:.0f} days silent; expected {share} of the time"
    if severity == UNSURE:
        return f"Low prediction confidence: {predicted.confidence[row]:.2f}"
    return None


def _share(p: float) -> str:
    return f"{p:.1%}" if p >= SMALLEST_SHARE else f"under {SMALLEST_SHARE:.1%}"
