"""The collapsed likelihood against numerical integration, and its gradient against differences."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import betaln, gammaincc, gammaln

from models.parts.kernels.collapsed import (
    BLOCK,
    CollapsedParameters,
    PairRows,
    collapsed_likelihood,
    pair_likelihoods,
)

KS = np.array([1, 2, 4, 8, 16, 32])
WEIGHTS = np.array([0.3, 0.3, 0.2, 0.1, 0.06, 0.04])
SHAPE, MU, ALPHA, BETA = 1.7, 43.0, 0.4, 6.0
HISTORIES = [  # completed intervals, then the open one
    ([], 0.0),
    ([], 400.0),
    ([20.0], 9.5),
    ([14.0, 14.0, 14.0, 13.0, 15.0], 13.5),
    ([3.0, 90.0, 31.0], 200.5),
    ([7.0] * 30, 60.5),
]


def integrated(intervals, survived, *, lapse: bool) -> float:
    """log p of one history, its rate integrated out by quadrature and k by summing."""
    m, log_seen = len(intervals), np.log(intervals).sum()

    def joint(log_rate, k, left):
        """Gamma densities written out: SciPy's distributions take a thousand times as long."""
        rate = np.exp(log_rate)
        prior = SHAPE * np.log(SHAPE * MU * rate) - gammaln(SHAPE) - SHAPE * MU * rate
        seen = m * (k * np.log(k * rate) - gammaln(k)) + (k - 1) * log_seen
        alive = gammaincc(k, k * rate * survived)
        return np.exp(prior + seen - k * rate * sum(intervals)) * (left + (1 - left) * alive)

    def over_lapse(left):
        total = 0.0
        for k, weight in zip(KS, WEIGHTS, strict=True):
            centre = np.log((SHAPE + k * m) / (SHAPE * MU + k * (sum(intervals) + survived / 2)))
            value, _ = integrate.quad(
                joint, -40.0, 8.0, (k, left), epsabs=0, epsrel=1e-11, limit=2000,
                points=[centre - 1, centre, centre + 1],
            )  # fmt: skip
            total += weight * value
        return total

    if not lapse:
        return np.log(over_lapse(0.0))
    kept = betaln(ALPHA, BETA + m) - betaln(ALPHA, BETA)
    return kept + np.log(over_lapse(ALPHA / (ALPHA + BETA + m)))


def rows_of(histories):
    m = np.array([float(len(x)) for x, _ in histories])
    S = np.array([sum(x) for x, _ in histories], dtype=float)
    L = np.array([np.log(x).sum() for x, _ in histories], dtype=float)
    T = np.array([t for _, t in histories])
    return PairRows.of((m, S, L, T), KS)


def parameters_of(rows, lapse=True, customers=1, products=1, rng=None):
    m = rows.counts
    customer, product = np.zeros(customers), np.full(products, np.log(SHAPE * MU))
    weight = np.log(WEIGHTS)[None, :].repeat(products, axis=0)
    if rng is not None:
        customer, product = rng.normal(customer, 0.5), rng.normal(product, 0.5)
        weight = np.log(rng.dirichlet(np.ones(len(KS)), products))
    return CollapsedParameters(
        SHAPE,
        customer,
        product,
        gammaln(SHAPE + KS * m[:, None]) - gammaln(SHAPE),
        weight,
        (betaln(ALPHA, BETA + m) - betaln(ALPHA, BETA)) * lapse,
        ALPHA / (ALPHA + BETA + m) * lapse,
    )


@pytest.mark.parametrize("lapse", [False, True])
@pytest.mark.parametrize("history", HISTORIES, ids=lambda h: f"{len(h[0])} intervals, {h[1]}")
def test_equals_numerical_integration(history, lapse):
    rows, zero = rows_of([history]), np.zeros(1, dtype=np.int64)
    found = collapsed_likelihood(rows, (zero, zero), parameters_of(rows, lapse))
    assert found.value == pytest.approx(integrated(*history, lapse=lapse), rel=1e-8)


@pytest.mark.parametrize("lapse", [False, True])
def test_values_of_pairs_are_those_of_each_alone_and_sum_to_the_whole(lapse, seeded):
    rng = np.random.default_rng(seeded(8))
    rows = many_rows(rng, BLOCK + 17)
    index = rng.integers(0, 5, len(rows.count_row)), rng.integers(0, 7, len(rows.count_row))
    at = parameters_of(rows, lapse, 5, 7, rng)
    found = pair_likelihoods(rows, index, at)
    for pair in (0, 7, BLOCK - 1, BLOCK, BLOCK + 16):
        one = np.array([pair])
        alone = collapsed_likelihood(rows.select(one), (index[0][one], index[1][one]), at)
        assert found[pair] == pytest.approx(alone.value, rel=1e-12)
    assert found.sum() == pytest.approx(collapsed_likelihood(rows, index, at).value, rel=1e-12)


def many_rows(rng, count):
    histories = []
    for _ in range(count):
        intervals = rng.gamma(2.0, 15.0, rng.integers(0, 12)) + 1.0
        histories.append((list(intervals), float(rng.choice([0.0, 5.5, 60.5, 700.5]))))
    return rows_of(histories)


@pytest.mark.parametrize("lapse", [False, True])
def test_gradient_equals_finite_differences(lapse, seeded):
    rng = np.random.default_rng(seeded(5))
    rows = many_rows(rng, 3 * BLOCK + 17)
    index = rng.integers(0, 5, len(rows.count_row)), rng.integers(0, 7, len(rows.count_row))
    at = parameters_of(rows, lapse, 5, 7, rng)
    gradient = collapsed_likelihood(rows, index, at)
    names = gradient._fields[1:] if lapse else gradient._fields[1:-2]
    for position, name in enumerate(names):
        direction = rng.normal(size=np.shape(at[position]))
        if name == "lapse":
            direction *= at[position]
        step = 1e-5
        ends = []
        for sign in (1, -1):
            moved = list(at)
            moved[position] = at[position] + sign * step * direction
            ends.append(collapsed_likelihood(rows, index, CollapsedParameters(*moved)).value)
        slope = (ends[0] - ends[1]) / (2 * step)
        assert np.sum(getattr(gradient, name) * direction) == pytest.approx(slope, rel=1e-6), name


def test_pairs_add_up_whatever_block_they_fall_into(seeded):
    rng = np.random.default_rng(seeded(6))
    rows = many_rows(rng, BLOCK + 3)
    zero = np.zeros(len(rows.count_row), dtype=np.int64)
    at = parameters_of(rows)
    whole = collapsed_likelihood(rows, (zero, zero), at).value
    single = 0.0
    for r in range(len(zero)):
        single += collapsed_likelihood(rows.select(slice(r, r + 1)), (zero[:1], zero[:1]), at).value
    assert whole == pytest.approx(single, rel=1e-12)
