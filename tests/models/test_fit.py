"""Fits by NUTS: known parameters recovered, the uncollapsed model agreed with."""

import numpy as np
import pytest

from models.lapse_gamma import MODEL as LAPSE
from models.parts.gamma_model import build_model
from models.parts.sampling import sample
from models.pooled_gamma import MODEL as POOLED
from tests.models.helpers import patterns_of
from tests.models.simulate import KS, Truth, simulate
from tests.models.uncollapsed import uncollapsed
from toolkit.errors import ModelError
from toolkit.model import FitSettings, Streams

SETTINGS = FitSettings(draws=300, tune=300, chains=2, cores=2)
TRUTH = Truth(
    shape=1.6,
    log_typical=np.log(40.0),
    customer_scale=0.4,
    product_scale=0.6,
    regularity=np.array([0.35, 0.3, 0.2, 0.1, 0.04, 0.01]),
    arrival_shape=0.8,
    arrival_days=50.0,
)
WITH_LAPSE = Truth(
    **{n: getattr(TRUTH, n) for n in TRUTH.__dataclass_fields__}
    | {"lapse": 0.12, "lapse_concentration": 3.0, "tilt_scale": 0.5}
)


def within(posterior, truth, names, standard_deviations=3.5):
    for name in names:
        drawn = posterior[name].to_numpy()
        distance = abs(drawn.mean() - getattr(truth, name)) / drawn.std()
        assert distance < standard_deviations, (name, drawn.mean(), getattr(truth, name))


@pytest.mark.parametrize(("truth", "lapse"), [(TRUTH, False), (WITH_LAPSE, True)])
def test_known_parameters_are_recovered(truth, lapse):
    data, effects = simulate(truth, 40, 60, 1400, 700, np.random.default_rng(11))
    posterior, diagnostics = sample(build_model(data, lapse=lapse), SETTINGS, 3)
    assert diagnostics.divergences == 0
    names = ["shape", "arrival_shape", "arrival_days", "customer_scale", "product_scale"]
    within(posterior, truth, names + ["lapse", "lapse_concentration", "tilt_scale"] * lapse)
    weights = posterior["regularity"].mean(("chain", "draw")).to_numpy()
    assert np.log2(KS) @ weights == pytest.approx(np.log2(KS) @ truth.regularity, abs=0.25)
    product = posterior["product"].mean(("chain", "draw")).to_numpy()
    assert np.corrcoef(product, effects["product"])[0, 1] > 0.85


def test_agrees_with_the_model_whose_rates_are_sampled():
    data, _ = simulate(TRUTH, 12, 15, 150, 500, np.random.default_rng(12))
    settings = FitSettings(draws=700, tune=500, chains=2, cores=2)
    ours, _ = sample(build_model(data, lapse=False), settings, 5)
    theirs, _ = sample(uncollapsed(data), settings, 6)
    for name in ("shape", "log_typical", "customer_scale", "product_scale", "regularity"):
        one, other = ours[name], theirs[name]
        sd = other.std(("chain", "draw")).to_numpy()
        difference = (one.mean(("chain", "draw")) - other.mean(("chain", "draw"))).to_numpy()
        assert np.all(np.abs(difference) < 0.25 * sd), name
        assert one.std(("chain", "draw")).to_numpy() == pytest.approx(sd, rel=0.25), name


@pytest.mark.parametrize("model", [POOLED, LAPSE], ids=lambda m: m.name)
def test_no_pair_with_two_orders_is_refused(model):
    with pytest.raises(ModelError, match="no pair has two orders before 2024-01-01: nothing to"):
        model.fit(patterns_of({(1, 1): [(-3, 1.0)], (1, 2): [(-9, 1.0)]}), seed=1)


ODD = {
    "a single pair": {(1, 1): [(-50, 1.0), (-20, 1.0)]},
    "equal intervals, years, one order": {
        (p, c): [(-7 * i, 1.0) for i in range(9, 0, -1)] for p in (1, 2) for c in (1, 2)
    }
    | {(3, c): [(-9000, 1.0), (-4000 - c, 2.0), (-1, 1.0)] for c in range(4)}
    | {(4, c): [(-30 - c, 1.0)] for c in range(9)},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_histories_are_fitted(name):
    patterns = patterns_of(ODD[name])
    fitted = LAPSE.fit(patterns, seed=1, settings=FitSettings(draws=50, tune=100, chains=2))
    pairs = fitted.predict(patterns, weeks=4, draws=50, streams=Streams(1)).pairs
    assert pairs.finite().all()
    assert fitted.complaints
