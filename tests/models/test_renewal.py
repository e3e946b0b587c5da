"""The closed formulas against numerical integration, and where arithmetic runs out."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betainc, gammaln
from scipy.stats import gamma

from models.parts.kernels.renewal import condition_on_open_interval, log_intervals, log_survival

A0, MU = 1.5, 60.0


def rate_density(rate, a=A0, mu=MU):
    return gamma.pdf(rate, a, scale=1 / (a * mu))


@pytest.mark.parametrize("k", [1, 2, 4, 32])
@pytest.mark.parametrize("intervals", [(), (7.0,), (30.0, 45.0, 12.0), (7.0,) * 20])
def test_marginal_likelihood_is_the_integral_over_the_rate(k, intervals):
    x = np.array(intervals)

    def integrand(rate):
        return np.exp(gamma.logpdf(x, k, scale=1 / (k * rate)).sum()) * rate_density(rate)

    peak = (A0 + k * len(x)) / (A0 * MU + k * x.sum())
    expected, _ = quad(integrand, 0, 40 * peak, points=[peak], limit=500, epsabs=0, epsrel=1e-10)
    m, S, L = (np.array([[v]]) for v in (float(len(x)), x.sum(), np.log(x).sum()))
    assert log_intervals(A0, MU, np.array([k]), m, S, L)[0, 0] == pytest.approx(
        np.log(expected), abs=1e-8
    )


@pytest.mark.parametrize("k", [1, 2, 8, 32])
@pytest.mark.parametrize(("A", "B"), [(1.5, 90.0), (13.7, 400.0), (641.0, 9000.0)])
@pytest.mark.parametrize("t", [0.5, 13.0, 80.0])
def test_survival_is_the_integral_over_the_rate_and_the_incomplete_beta(k, A, B, t):
    def integrand(rate):
        return gamma.sf(t, k, scale=1 / (k * rate)) * gamma.pdf(rate, A, scale=1 / B)

    expected, _ = quad(integrand, 0, 40 * A / B, points=[A / B], limit=500, epsabs=0)
    survival = np.exp(log_survival(t, A, B, k))
    assert survival == pytest.approx(expected, rel=1e-7)
    assert survival == pytest.approx(betainc(A, k, B / (B + k * t)), rel=1e-10)


def test_survival_stays_exact_where_probabilities_underflow():
    """500 daily orders, then silence: I_z(A, k) is about z^A (1 − z)^(k−1) A^(k−1) / (k−1)!."""
    A, B, k, t = 2000.0, 2090.0, 4, 3000.0
    z = B / (B + k * t)
    leading = A * np.log(z) + (k - 1) * np.log1p(-z) + gammaln(A + k - 1) - gammaln(A) - gammaln(k)
    found = log_survival(t, A, B, k)
    assert np.isfinite(found)
    assert found < -2000
    assert found == pytest.approx(leading, rel=1e-5)


@pytest.mark.parametrize("open_days", [2.0, 40.0, 400.0])
def test_expected_interval_given_the_open_one_is_one_over_the_mean_rate(open_days):
    k = np.array([1, 4])
    A = A0 + k[None, :] * 3.0
    B = A0 * MU + k[None, :] * 90.0
    log_weights = np.log([[0.3, 0.7]])
    posterior = condition_on_open_interval(log_weights, A, B, k, np.array([open_days]))

    def integral(power):
        return sum(
            np.exp(log_weights[0, c])
            * quad(
                lambda rate, c=c: (
                    rate**power
                    * gamma.sf(open_days - 0.5, k[c], scale=1 / (k[c] * rate))
                    * gamma.pdf(rate, A[0, c], scale=1 / B[0, c])
                ),
                0,
                2.0,
                points=[0.01, 0.05],
                limit=500,
                epsabs=0,
            )[0]
            for c in range(2)
        )

    assert posterior.expected_interval()[0] == pytest.approx(integral(0) / integral(1), rel=1e-6)
    assert posterior.open_interval_p[0] == pytest.approx(integral(0), rel=1e-6)
    assert posterior.weights.sum() == pytest.approx(1.0)


def test_one_open_day_says_nothing():
    k = np.array([1, 8])
    prior = np.log([[0.5, 0.5]])
    posterior = condition_on_open_interval(
        prior, np.full((1, 2), A0), np.full((1, 2), A0 * MU), k, np.ones(1)
    )
    assert posterior.weights == pytest.approx(np.full((1, 2), 0.5))
    assert posterior.open_interval_p == pytest.approx([1.0])
