"""Which customers are at risk, from the posterior, and the reason with its number."""

from collections.abc import Sequence

from toolkit.results.forecast import AtRiskCustomer
from toolkit.results.pair import CustomerPrediction, fallback_name

LOW_P_ALIVE = 0.5
OVERDUE_PROBABILITY = 0.05
LISTED = 10
SMALLEST_SHARE = 0.001


def risk_reason(prediction: CustomerPrediction, min_confidence: float) -> tuple[int, str] | None:
    """Severity (0 is worst) and reason, or None: lapsed, then overdue, then unpredictable.

    Overdue is measured against the pair's own rhythm: it needs an interval to have one.
    """
    if prediction.p_alive < LOW_P_ALIVE:
        return 0, f"Probably lapsed: P(alive) {prediction.p_alive:.2f}"
    if prediction.total_orders > 1 and prediction.open_interval_p < OVERDUE_PROBABILITY:
        return 1, (
            f"Overdue: {prediction.open_interval_days:.0f} days silent; "
            f"expected {_share(prediction.open_interval_p)} of the time"
        )
    if prediction.prediction_confidence < min_confidence:
        return 2, f"Low prediction confidence: {prediction.prediction_confidence:.2f}"
    return None


def _share(p: float) -> str:
    return f"{p:.1%}" if p >= SMALLEST_SHARE else f"under {SMALLEST_SHARE:.1%}"


def at_risk_customers(
    predictions: Sequence[CustomerPrediction], min_confidence: float
) -> list[AtRiskCustomer]:
    """The ``LISTED`` gravest, within a severity those with the longest history first."""
    found = [(p, r) for p in predictions if (r := risk_reason(p, min_confidence))]
    found.sort(key=lambda item: (item[1][0], -item[0].total_orders, item[0].customer_id))
    return [
        AtRiskCustomer(
            customer_id=p.customer_id,
            customer_name=fallback_name(p.customer_id),
            avg_confidence=p.prediction_confidence,
            p_alive=p.p_alive,
            open_interval_days=p.open_interval_days,
            expected_interval_days=p.expected_interval_days,
            risk_reason=reason,
        )
        for p, (_, reason) in found[:LISTED]
    ]
