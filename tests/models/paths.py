"""How near predictions have to be to paths that were drawn slowly, by rejection."""

from functools import partial

import numpy as np

from tests.chance import assert_near, error_of_sd

DRAWS, TRUTHS = 20_000, 50_000
"""Paths of either side, and the least effective number of truths that a slow one is chosen from:
105,000 to 810,000 were counted."""
ERROR = np.sqrt(2 / DRAWS + 1 / TRUTHS)
"""Of a difference of means, in standard deviations of one draw."""


def expect_as_drawn(predicted, row, ordered, by_week, comparisons):
    """Weeks by which slow paths had ``ordered`` and their orders ``by_week``, [paths, weeks]."""
    drawn, pairs, one = predicted.products.orders[row], predicted.pairs, by_week.max() / DRAWS
    near = partial(assert_near, comparisons=comparisons)
    near(pairs.p_order_by_week[row], ordered.mean(axis=0), ERROR * ordered.std(axis=0), one=one)
    for weekly in (drawn.mean(axis=1), pairs.expected_orders[row]):
        near(weekly, by_week.mean(axis=0), ERROR * by_week.std(axis=0), one=one)
    total = by_week.sum(axis=1)
    near(drawn.sum(axis=0).std(), total.std(), np.sqrt(DRAWS) * ERROR * error_of_sd(total), one=one)
