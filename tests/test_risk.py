"""Why a customer is at risk: one sentence with its probability."""

from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.results.risk import LAPSED, NO_RISK, OVERDUE, UNSURE, reason_of


@pytest.mark.parametrize(
    ("severity", "sentence"),
    [
        (LAPSED, "Probably lapsed: the chance of another order is 31.2 %"),
        (OVERDUE, "Overdue: 33 days silent; under 0.1 % of their pauses last that long"),
        (UNSURE, "Hard to date: the chance of an order near the date is 21.0 %"),
        (NO_RISK, None),
    ],
)
def test_a_reason_is_one_sentence_with_its_probability(severity, sentence):
    predicted = SimpleNamespace(
        p_alive=np.array([0.312]), open_interval_p=np.array([0.0004]), confidence=np.array([0.21])
    )
    assert reason_of(severity, predicted, np.array([33.0]), 0) == sentence
