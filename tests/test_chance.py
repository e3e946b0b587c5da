"""The limits of statistical tests: what they let pass, and what they do not."""

import numpy as np
import pytest
from scipy import stats

from tests.chance import (
    ALARM,
    assert_chains_agree,
    assert_near,
    assert_share,
    error_of_mean,
    error_of_sd,
    z_limit,
)


@pytest.mark.parametrize("comparisons", [1, 40])
def test_all_comparisons_together_raise_one_alarm_in_a_million(comparisons):
    assert 2 * comparisons * stats.norm.sf(z_limit(comparisons)) == pytest.approx(ALARM)


def test_an_estimate_passes_up_to_its_limit_and_no_further():
    assert_near([1.0, 2.0], [1.0, 2.0 + 0.99 * z_limit(2)], 1.0)
    with pytest.raises(AssertionError, match="off by"):
        assert_near([1.0, 2.0], [1.0, 2.0 + 1.01 * z_limit(2)], 1.0)
    with pytest.raises(AssertionError, match="off by"):
        assert_near(np.nan, 1.0, 1.0)


def test_a_share_is_judged_by_its_own_law():
    """Of 20 with a chance of 0.01, six come once in 30 million, five once in 750,000."""
    assert_share(5, 20, 0.01)
    with pytest.raises(AssertionError, match="6 of 20"):
        assert_share(6, 20, 0.01)


def test_rare_events_have_room_that_the_normal_law_does_not_give():
    """Of a thousand draws with a chance of 0.0005 none is seen often, and three now and then."""
    assert_near(np.array([0, 3]) / 1000, 0.0005, np.sqrt(0.0005 / 1000), one=1 / 1000)
    with pytest.raises(AssertionError):
        assert_near(3 / 1000, 0.0005, 0.0, one=0.0)


def test_errors_of_mean_and_sd_are_those_of_the_normal_law(seeded):
    drawn = np.random.default_rng(seeded(1)).normal(5.0, 3.0, 100_000)
    assert error_of_mean(drawn) == pytest.approx(3.0 / np.sqrt(100_000), rel=0.03)
    assert error_of_sd(drawn) == pytest.approx(3.0 / np.sqrt(200_000), rel=0.05)


def test_chains_that_hang_together_agree_and_others_do_not(seeded):
    """Of an autoregression with a factor of 0.9 nineteen draws tell as much as one."""
    noise = np.random.default_rng(seeded(2)).normal(size=(2, 2, 4000, 3))
    drawn = np.zeros_like(noise)
    for i in range(1, noise.shape[2]):
        drawn[:, :, i] = 0.9 * drawn[:, :, i - 1] + noise[:, :, i]
    assert_chains_agree(drawn[0], drawn[1], comparisons=3)
    with pytest.raises(AssertionError, match="errors apart"):
        assert_chains_agree(drawn[0], drawn[1] + 3.0, comparisons=3)
