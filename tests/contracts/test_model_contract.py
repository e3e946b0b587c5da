"""What every model version keeps, whichever it is: found by their files, none left out."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models
from tests.chance import assert_near, error_of_mean
from tests.models.helpers import patterns_of
from toolkit.data.tables import COUNTS, QUANTILES, Patterns
from toolkit.model import (
    FitSettings,
    FittedModel,
    ModelVersion,
    RedrawingModel,
    SplittingModel,
    Streams,
    find_model,
)

NAMES = sorted(
    path.stem for path in Path(models.__path__[0]).glob("*.py") if path.stem != "__init__"
)
WEEKS, DRAWS = 6, 50
SETTINGS = FitSettings(draws=250, tune=300, chains=2)
"""What is kept here holds of chains that have not converged, too."""


def histories(seed=0):
    rng = np.random.default_rng(seed)
    found = {}
    for product in (3, 5, 8):
        for customer in rng.choice(20, 12, replace=False):
            count = rng.integers(1, 15)
            days = np.sort(rng.choice(np.arange(-450, 0), count, replace=False))
            found[product, int(customer)] = [(int(d), float(rng.integers(1, 9))) for d in days]
    return found


@pytest.fixture(
    scope="module",
    params=[
        # fits take long, and other fast tests make them
        pytest.param(name, marks=[] if name == "pair_conjugate" else [pytest.mark.slow])
        for name in NAMES
    ],
)
def fitted(request) -> FittedModel:
    model = find_model(request.param)
    assert isinstance(model, ModelVersion)
    if isinstance(model, FittedModel):
        return model
    return model.fit(patterns_of(histories()), seed=1, settings=SETTINGS)


@pytest.fixture(scope="module")
def patterns() -> Patterns:
    return patterns_of(histories())


def predict(model, patterns, seed=4, draws=DRAWS):
    return model.predict(patterns, weeks=WEEKS, draws=draws, streams=Streams(seed))


def test_shapes_and_ranges(fitted, patterns):
    result = predict(fitted, patterns)
    pairs, products, n = result.pairs, result.products, len(patterns)
    assert pairs.next_order_quantiles.shape == (n, len(QUANTILES))
    assert pairs.expected_orders.shape == pairs.p_order_by_week.shape == (n, WEEKS)
    assert products.orders.shape == products.quantity.shape == (3, WEEKS, DRAWS)
    assert products.product_id.tolist() == [3, 5, 8]
    for p in (pairs.p_alive, pairs.confidence, pairs.p_order_by_week, pairs.open_interval_p):
        assert np.all((p >= 0) & (p <= 1))
    assert np.all(np.diff(pairs.p_order_by_week, axis=1) >= 0)
    assert np.all(pairs.expected_orders.sum(axis=1) >= pairs.p_order_by_week[:, -1] - 1e-9)
    assert not np.any(np.diff(pairs.next_order_quantiles, axis=1) < 0)
    assert np.all(products.known_expected_quantity <= products.expected_quantity + 1e-9)
    assert pairs.finite().all()


def test_counts_of_orders_agree_with_what_else_is_said_of_them(fitted, patterns, seeded):
    """Their mean is the expected orders but for the noise of the draws."""
    draws = 2000
    pairs = predict(fitted, patterns, seeded(4), draws).pairs
    p, expected = pairs.order_count_p, pairs.expected_orders.sum(axis=1)
    assert p.shape == (len(patterns), COUNTS)
    assert np.all(p >= 0)
    assert np.allclose(p.sum(axis=1), 1.0)
    assert np.allclose(p[:, 0], 1.0 - pairs.p_order_by_week[:, -1])
    mean, square = p @ np.arange(COUNTS), p @ np.arange(COUNTS) ** 2
    noise = np.sqrt((square - mean**2) / draws)
    assert_near(mean, expected, noise, len(mean) * len(NAMES), one=WEEKS / draws)


def test_one_seed_one_result_and_another_seed_other_draws(fitted, patterns):
    one, same, other = (predict(fitted, patterns, seed) for seed in (4, 4, 5))
    assert np.array_equal(one.products.quantity, same.products.quantity)
    assert not np.array_equal(one.products.quantity, other.products.quantity)


def test_a_product_by_itself_is_predicted_as_in_a_batch(fitted, patterns):
    batch = predict(fitted, patterns)
    mask = patterns.product_id == 5
    alone = predict(fitted, patterns.select(mask))
    assert np.array_equal(alone.products.quantity[0], batch.products.quantity[1])
    assert np.array_equal(alone.pairs.expected_orders, batch.pairs.expected_orders[mask])
    assert np.array_equal(alone.pairs.confidence, batch.pairs.confidence[mask])


def test_products_of_equal_history_get_draws_of_their_own(fitted, seeded):
    """Between two seeds, what the population's draws do to both products drops out.

    What is left is independent, but may vary more in some draws than in others, for both alike.
    """
    history = [(-90, 2.0), (-60, 3.0), (-20, 2.0)]
    twins = patterns_of({(p, c): history for p in (1, 2) for c in range(5)})
    first, second = (predict(fitted, twins, seeded(seed), 1000).products for seed in (4, 5))
    one, other = (second.quantity - first.quantity).sum(axis=1)
    assert_near(np.mean(one * other), 0.0, error_of_mean(one * other), len(NAMES))
    # Nor is the error an excuse: signs agree in half of 1,000 draws, .66 is ten deviations away.
    assert np.mean(one * other > 0) < 0.66


def test_scaling_quantities_scales_demand(fitted, patterns):
    if fitted.name == "ensemble":
        pytest.skip("its trees know the unit they were grown in: see tests/models/test_pooling.py")
    tenfold = {k: [(d, 10 * q) for d, q in v] for k, v in histories().items()}
    one, ten = predict(fitted, patterns), predict(fitted, patterns_of(tenfold))
    assert np.allclose(ten.products.quantity, 10 * one.products.quantity)
    assert np.allclose(ten.pairs.expected_quantity, 10 * one.pairs.expected_quantity)


def test_nothing_to_predict_is_an_empty_result(fitted, patterns):
    nobody = patterns.select(np.zeros(len(patterns), dtype=bool))
    result = predict(fitted, nobody)
    assert len(result.pairs.p_alive) == len(result.products.product_id) == 0
    assert result.products.quantity.shape == (0, WEEKS, DRAWS)


def test_saved_and_loaded_predicts_bit_for_bit(fitted, patterns, tmp_path):
    fitted.save(tmp_path)
    loaded = find_model(fitted.name).load(tmp_path)
    assert (loaded.name, loaded.version) == (fitted.name, fitted.version)
    one, two = predict(fitted, patterns), predict(loaded, patterns)
    assert np.array_equal(one.products.quantity, two.products.quantity)
    assert np.array_equal(
        one.pairs.next_order_quantiles, two.pairs.next_order_quantiles, equal_nan=True
    )


PREDICT_AND_DIGEST = """
import hashlib, sys
from dataclasses import fields
from pathlib import Path
from tests.contracts.test_model_contract import histories, predict
from tests.models.helpers import patterns_of
from toolkit.model import find_model
name, folder = sys.argv[1:]
result = predict(find_model(name).load(Path(folder)), patterns_of(histories()))
whole = hashlib.sha256()
for table in (result.pairs, result.products):
    for field in fields(table):
        whole.update(getattr(table, field.name).tobytes())
print(whole.hexdigest())
"""


@pytest.mark.slow
def test_a_process_that_compiles_predicts_as_one_that_finds_it_compiled(fitted, tmp_path):
    fitted.save(tmp_path)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    command = [sys.executable, "-c", PREDICT_AND_DIGEST, fitted.name, str(tmp_path)]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert any((tmp_path / "compiled").iterdir())
    assert first == second


def test_pairs_once_more_are_expected_to_be_what_they_are(fitted, patterns, seeded):
    """Each number has draws of its own, and all are expected to be what the pairs are."""
    assert isinstance(fitted, RedrawingModel)
    rows = np.array([3, 4, 30])
    given = {"weeks": WEEKS, "draws": 2000, "streams": Streams(seeded(4))}
    said = fitted.predict(patterns, **given)
    one, other = (fitted.predict_again(patterns, rows, number, **given) for number in (0, 1))
    assert one.orders.shape == (3, WEEKS, 2000)
    for name in ("orders", "quantity"):
        both = getattr(one, name), getattr(other, name)
        assert not np.array_equal(*both)
        expected = getattr(said.pairs, f"expected_{name}")[rows].sum(axis=1)
        for drawn in both:
            of_draws = drawn.sum(axis=1)
            noise = np.sqrt(2) * of_draws.std(axis=1) / np.sqrt(2000)  # of both
            assert_near(of_draws.mean(axis=1), expected, noise, 12 * len(NAMES), one=0.05)


def test_a_pair_once_more_is_the_same_beside_whatever_others(fitted, patterns):
    given = {"weeks": WEEKS, "draws": DRAWS, "streams": Streams(4)}
    one, two = (
        fitted.predict_again(patterns, np.array(rows), 0, **given) for rows in ([4], [3, 4])
    )
    assert np.array_equal(one.quantity[0], two.quantity[1])
    own = patterns.product_id == patterns.product_id[4]
    row = np.array([np.flatnonzero(np.flatnonzero(own) == 4)[0]])
    alone = fitted.predict_again(patterns.select(own), row, 0, **given)
    assert np.array_equal(alone.quantity, one.quantity)


def test_pairs_apart_are_their_part_of_each_draw(fitted, patterns):
    """All of a product's, and what customers new to it order, are its draws."""
    assert isinstance(fitted, SplittingModel)
    given = {"weeks": WEEKS, "draws": DRAWS, "streams": Streams(4)}
    said = predict(fitted, patterns)
    rows = np.arange(len(patterns))
    apart = fitted.predict_apart(patterns, rows, **given)
    known = patterns.sum_by_product(apart.orders.astype(float))
    new = said.products.orders - known
    assert new.min() >= 0.0
    expected = said.products.expected_orders - patterns.sum_by_product(said.pairs.expected_orders)
    np.testing.assert_allclose(new.mean(axis=2), expected, atol=1e-5)
    units = said.products.quantity - patterns.sum_by_product(apart.quantity.astype(float))
    assert (units >= -1e-5 * said.products.quantity.max()).all()
    np.testing.assert_allclose(units[new == 0.0], 0.0, atol=1e-5 * said.products.quantity.max())
    counts = apart.orders.sum(axis=1)  # [pairs, draws]
    some = said.pairs.order_count_p[:, 1:].sum(axis=1) > 0
    assert ((counts.max(axis=1) > 0) <= some).all()


def test_a_pair_apart_is_the_same_beside_whatever_others(fitted, patterns):
    given = {"weeks": WEEKS, "draws": DRAWS, "streams": Streams(4)}
    everybody = fitted.predict_apart(patterns, np.arange(len(patterns)), **given)
    some = np.array([0, 3, 4, 11, 30])
    few = fitted.predict_apart(patterns, some, **given)
    for name in ("orders", "quantity"):
        assert np.array_equal(getattr(few, name), getattr(everybody, name)[some])
    own = patterns.product_id == patterns.product_id[4]
    row = np.array([np.flatnonzero(np.flatnonzero(own) == 4)[0]])
    alone = fitted.predict_apart(patterns.select(own), row, **given)
    assert np.array_equal(alone.quantity, few.quantity[2:3])
