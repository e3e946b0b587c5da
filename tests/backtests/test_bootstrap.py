"""The block bootstrap: what is known exactly, and how often its intervals hold the truth."""

import time
from datetime import date, timedelta

import numpy as np
import pytest
from scipy import stats

from backtests.compare import bootstrap
from backtests.compare.bootstrap import (
    DATES,
    BlockSums,
    block_sums,
    interval,
    overlapping,
    resample,
    welch,
)
from tests.chance import assert_near, error_of_mean, error_of_sd, p_limit, z_limit
from toolkit.errors import ArgumentError


def sums_of(difference, sizes=None, overlap=1, base=2.0):
    """Blocks of two versions of which the other is worse by ``difference`` [blocks] per row."""
    size = np.ones(len(difference)) if sizes is None else np.asarray(sizes, dtype=float)
    worse = size * (base + np.asarray(difference))
    return BlockSums(np.stack([base * size, worse, size], axis=1), overlap)


def difference_of(ways, resamples=2000, seed=3):
    return resample(ways, resamples, seed).difference(1, 0, seed)


def test_spread_is_the_standard_error_of_a_mean(seeded):
    apart = np.random.default_rng(seeded(1)).gamma(1, 1, 300) - 0.7
    draws = difference_of({"customers": sums_of(apart)}, 4000, seeded(3))
    assert_near(draws.mean(), apart.mean(), error_of_mean(draws), 2)
    # of few blocks, Student's law is wider by 1 + 1 / (degrees of freedom)
    expected = apart.std(ddof=1) / np.sqrt(300)
    assert draws.std() == pytest.approx(
        expected, abs=0.04 * expected + z_limit(2) * error_of_sd(draws)
    )


def test_two_dates_are_a_student_with_one_degree_of_freedom(seeded):
    # mean 0.3, standard error 0.1; the 97.5 % point of t with 1 degree is 12.7, where a share of
    # so many draws is off by the density there
    n, law = 20_000, stats.t(1, 0.3, 0.1)
    low, high = interval(difference_of({DATES: sums_of([0.2, 0.4])}, n, seeded(3)), 0.95)
    error = np.sqrt(0.025 * 0.975 / n) / law.pdf(law.ppf(0.975))
    assert_near([low, high], law.ppf([0.025, 0.975]), 1.2 * error)


def test_overlapping_dates_vary_more_together(seeded):
    shock = np.random.default_rng(seeded(2)).normal(0, 1, 122)
    shared = np.convolve(shock, np.ones(3), "valid")  # each date shares two thirds with the next
    draws = difference_of({DATES: sums_of(shared, overlap=3)}, 4000, seeded(3))
    truth = 3 / np.sqrt(120)  # of the mean of such a series
    assert draws.std() == pytest.approx(truth, rel=0.3)
    alone = difference_of({DATES: sums_of(shared)}, 4000, seeded(3))
    assert alone.std() < 0.75 * truth


def test_a_ratio_is_resampled_with_its_denominator():
    """Versions off by the same share of each block's size differ by exactly that share."""
    draws = difference_of({"products": sums_of(np.full(40, 0.1), np.arange(1, 41))})
    np.testing.assert_allclose(draws, 0.1)


def test_size_decides_how_many_blocks_there_are():
    assert sums_of(np.zeros(12)).independent == 12
    assert sums_of(np.zeros(12), overlap=3).independent == 4
    assert sums_of(np.zeros(3), [4, 1, 1]).independent == 2  # 6² / (16 + 1 + 1)


def test_few_large_deviations_leave_few_degrees_of_freedom():
    alike = sums_of(np.tile([1.0, -1.0], 50))
    assert alike.freedom(1, 0) == 99  # B − 1 at most
    one = sums_of(np.append(np.zeros(98), [1.0, -1.0]))
    assert one.freedom(1, 0) == pytest.approx(6)  # 3 · 2² / 2


def test_welch_by_hand():
    # (2 + 1)² / (4/4 + 1/2)
    assert welch(np.array([2.0, 1.0]), np.array([4.0, 2.0])) == 6.0


def test_dates_within_one_horizon():
    start = date(2024, 1, 1)
    every = [start + timedelta(weeks=4 * i) for i in range(12)]
    assert overlapping(every, 12) == 3
    assert overlapping(every[::3], 12) == 1
    assert overlapping(every, 13) == 4
    assert overlapping([], 12) == 1


def test_one_date_says_nothing_of_others():
    found = resample({"customers": sums_of(np.zeros(9)), DATES: sums_of([0.0])}, 10, 0)
    assert list(found.deviations) == ["customers"]
    only = resample({DATES: sums_of([0.1])}, 10, 0).difference(1, 0, 0)
    assert np.isnan(interval(only, 0.95)).all()


def test_blocks_without_rows_do_not_count():
    apart, empty = np.random.default_rng(1).normal(size=20), np.zeros((1000, 3))
    part = sums_of(apart)
    padded = BlockSums(np.concatenate([part.sums, empty]))
    np.testing.assert_array_equal(
        difference_of({"customers": part}), difference_of({"customers": padded})
    )


def test_sums_of_blocks():
    sums = block_sums(np.array([2, 0, 2]), 3, np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]))
    np.testing.assert_array_equal(sums, [[2, 20], [0, 0], [5, 50]])


def test_memory_changes_nothing(monkeypatch):
    ways = {"customers": sums_of(np.random.default_rng(1).normal(size=50))}
    whole = difference_of(ways)
    monkeypatch.setattr(bootstrap, "_CELLS", 170)
    np.testing.assert_allclose(difference_of(ways), whole)


def test_needs_resamples():
    with pytest.raises(ArgumentError, match="resamples"):
        resample({DATES: sums_of([0.0, 1.0])}, 0, 1)


def crossed(rng, customer, product, shock, noise, dates=12, overlap=3):
    """Rows of pairs at dates; versions of equal quality that differ in all these ways."""
    pairs, customers, products = 400, 100, 30
    of_customer, of_product = rng.integers(0, customers, pairs), rng.integers(0, products, pairs)
    share = np.ones(overlap) / np.sqrt(overlap)
    by_date = np.convolve(rng.normal(0, shock, dates + overlap - 1), share, "valid")
    apart = (
        rng.normal(0, customer, customers)[of_customer][:, None]
        + rng.normal(0, product, products)[of_product][:, None]
        + by_date
        + rng.normal(0, noise, (pairs, dates))
    )
    rows = np.stack([np.ones(apart.size), 1 + apart.ravel(), np.ones(apart.size)], axis=1)
    blocks = {
        "customers": (np.repeat(of_customer, dates), customers, 1),
        "products": (np.repeat(of_product, dates), products, 1),
        DATES: (np.tile(np.arange(dates), pairs), dates, overlap),
    }
    return {way: BlockSums(block_sums(b, n, rows), k) for way, (b, n, k) in blocks.items()}


WORLDS = {
    "noise": (0.0, 0.0, 0.0, 1.0),
    "customers": (1.0, 0.0, 0.0, 0.5),
    "products": (0.0, 0.4, 0.0, 0.5),
    "dates": (0.0, 0.0, 0.2, 0.5),
    "all": (0.6, 0.2, 0.1, 0.5),
}


@pytest.mark.parametrize("world", WORLDS)
def test_versions_of_equal_quality_hardly_ever_differ(world, seeded):
    """In 200 worlds, of which 95 % hold the truth: 94 % where there are twelve dates only."""
    held = 0
    for seed in range(200):
        ways = crossed(np.random.default_rng(seeded(seed)), *WORLDS[world])
        low, high = interval(difference_of(ways, 400, seeded(seed)), 0.95)
        held += low <= 0 <= high
    assert held >= stats.binom.ppf(p_limit(len(WORLDS)), 200, 0.93)


def test_rows_resampled_one_by_one_would_find_what_is_not_there(seeded):
    """Why blocks: with customers that differ, the same rows as their own blocks fail."""
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seeded(seed))
        customers = np.repeat(rng.normal(0, 1, 30), 40)
        low, high = interval(difference_of({"rows": sums_of(customers)}, 400, seeded(seed)), 0.95)
        wrong += not low <= 0 <= high
    assert wrong > 12  # 28 to 33 of 40 over seeds


def test_a_thousand_resamples_take_seconds():
    rng = np.random.default_rng(1)
    ways = {
        "customers": sums_of(rng.normal(size=20_000)),
        "products": sums_of(rng.normal(size=3_000)),
        DATES: sums_of(rng.normal(size=12), overlap=3),
    }
    start = time.process_time()
    resample(ways, 1000, 1)
    assert time.process_time() - start < 8  # 0.16 s of a core, others busy
