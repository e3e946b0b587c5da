"""How effects of products that are not Gaussian are sampled: by quantiles, and skewed tilts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.stats import norm

from models.parts.gamma.bends import (
    EFFECTS,
    KNOTS,
    REACH,
    STEP,
    find_bends,
    quantiles_at_knots,
)
from models.parts.gamma.density import GammaDensity
from models.parts.gamma.gaussian import Curvature, Gaussian
from models.parts.gamma.mode import find_mode
from models.parts.gamma.prior import GammaPrior
from tests.models.simulate import Truth, simulate
from tests.models.test_gamma_coordinates import LAPSES, TRUTH


def spline(coefficients):
    return BSpline(KNOTS[0] + STEP * np.arange(-2, len(KNOTS) + 2), coefficients, 3)


@pytest.mark.parametrize("modes", [((1.0, 0.0, 1.0),), ((0.4, -1.0, 0.7), (0.6, 4.0, 0.8))])
def test_quantiles_of_the_effect_are_those_of_its_density(modes):
    density = sum(share * norm.pdf(EFFECTS, mean, sd) for share, mean, sd in modes)
    (coefficients,) = quantiles_at_knots(np.log(density)[:, None])
    z = np.linspace(-2.5, 2.5, 51)
    below = sum(share * norm.cdf(spline(coefficients)(z), mean, sd) for share, mean, sd in modes)
    assert below == pytest.approx(norm.cdf(z), abs=0.02 if len(modes) == 1 else 0.06)
    assert (np.diff(spline(coefficients)(np.linspace(-REACH, REACH, 500))) > 0).all()


def test_a_product_without_orders_has_its_prior():
    """Its Gaussian is the prior: no bend at all."""
    truth = Truth(**TRUTH | LAPSES)
    data, _ = simulate(truth, 12, 9, 70, 700, np.random.default_rng(31))
    density = GammaDensity(data, GammaPrior(), lapse=True)
    at, scales = find_mode(density)
    nothing = data.rows._replace(
        survived=np.where(data.product == 3, 0.0, data.rows.survived),
        interval_sum=np.where(data.product == 3, 0.0, data.rows.interval_sum),
        constant=np.where((data.product == 3)[:, None], 0.0, data.rows.constant),
        count_row=np.where(data.product == 3, 0, data.rows.count_row),
    )
    empty = GammaDensity(replace(data, rows=nothing), GammaPrior(), lapse=True)
    at.product[:, 3] = 0.0
    gaussian = Gaussian.of(Curvature.of(empty, at), empty.data, scales)
    (T, mean, log_sd), skew = find_bends(empty, at, gaussian)
    inner = np.abs(KNOTS) < 4
    assert T[3, inner] == pytest.approx(KNOTS[inner], abs=0.02)
    assert mean[3, inner] == pytest.approx(0.0, abs=0.01)
    assert log_sd[3, inner] == pytest.approx(0.0, abs=0.02)
    assert abs(skew[3]) < 0.01
