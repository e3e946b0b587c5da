"""What every peer keeps, whichever it is: found by their entry points, none left out."""

import subprocess
import sys
from dataclasses import fields
from importlib.metadata import entry_points

import numpy as np
import pytest

from tests.models.helpers import analyzed, patterns_of, split_at
from toolkit.data.tables import COUNTS, QUANTILES, Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.installed import ENTRY_POINT_GROUP
from toolkit.model import FitSettings, FittedModel, ModelVersion, Streams, find_model
from toolkit.sources.generator import GeneratedOrders, Truth, generate_orders

NAMES = sorted(
    point.name
    for point in entry_points(group=ENTRY_POINT_GROUP)
    if point.module.startswith("models.peers.")
)
POINTS = ("adida", "croston_sba", "hiatus", "imapa", "mean_interval", "tsb")
WEEKS, DRAWS = 6, 40


@pytest.fixture(scope="module")
def orders() -> GeneratedOrders:
    return generate_orders(Truth(customers=25, products=8, pairs=120, days=330), seed=5)


@pytest.fixture(scope="module")
def patterns(orders) -> Patterns:
    """A part of the products' customers have a single order."""
    known, _ = split_at(orders, 300)
    return analyzed(known)


@pytest.fixture(scope="module", params=NAMES)
def fitted(request, patterns) -> FittedModel:
    model = find_model(request.param)
    assert isinstance(model, ModelVersion)
    assert model.name == request.param
    return model.fit(patterns, seed=1, settings=FitSettings(pairs=60))


@pytest.fixture(scope="module")
def result(fitted, patterns) -> Predictions:
    return predict(fitted, patterns)


def predict(model, patterns, seed=4):
    return model.predict(patterns, weeks=WEEKS, draws=DRAWS, streams=Streams(seed))


def columns(table):
    return {field.name: getattr(table, field.name) for field in fields(table)}


def equal(one: Predictions, two: Predictions) -> bool:
    pairs = zip(columns(one.pairs).values(), columns(two.pairs).values(), strict=True)
    products = zip(columns(one.products).values(), columns(two.products).values(), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in (*pairs, *products))


def test_there_are_the_peers_that_a_comparison_needs():
    assert len(NAMES) == 14  # as pyproject.toml lists them


def test_it_says_which_levels_it_speaks_about(fitted, result):
    assert fitted.granularities
    assert set(fitted.granularities) <= {"pairs", "products"}
    if "pairs" not in fitted.granularities:
        assert all(np.isnan(column).all() for column in columns(result.pairs).values())
    if "products" not in fitted.granularities:
        said = columns(result.products)
        assert np.isfinite(said.pop("product_id")).all()
        assert all(np.isnan(column).all() for column in said.values())


def test_shapes(fitted, result, patterns):
    pairs, products, n = result.pairs, result.products, len(patterns)
    count = len(patterns.product_offsets()[0])
    assert result.weeks == WEEKS
    assert pairs.next_order_quantiles.shape == (n, len(QUANTILES))
    assert pairs.order_count_p.shape == (n, COUNTS)
    for weekly in (pairs.p_order_by_week, pairs.expected_orders, pairs.expected_quantity):
        assert weekly.shape == (n, WEEKS)
    for drawn in (products.orders, products.quantity):
        assert drawn.shape == (count, WEEKS, DRAWS)
        assert drawn.dtype == np.float32
    for weekly in (products.expected_orders, products.expected_quantity):
        assert weekly.shape == (count, WEEKS)
    assert np.array_equal(products.product_id, patterns.product_offsets()[0])


def test_what_is_said_of_pairs_agrees(fitted, result):
    if "pairs" not in fitted.granularities:
        return
    pairs = result.pairs
    assert pairs.finite().all()
    for p in (pairs.p_alive, pairs.confidence, pairs.p_order_by_week, pairs.order_count_p):
        assert np.all((p >= 0) & (p <= 1))
    assert np.all(np.diff(pairs.p_order_by_week, axis=1) >= 0)
    assert np.all(pairs.expected_orders >= -1e-12)
    assert np.all(np.cumsum(pairs.expected_orders, axis=1) >= pairs.p_order_by_week - 1e-9)
    assert np.allclose(pairs.order_count_p.sum(axis=1), 1.0)
    assert np.allclose(pairs.order_count_p[:, 0], 1.0 - pairs.p_order_by_week[:, -1])
    told = pairs.order_count_p[:, -1] < 1e-9  # not more than can be counted
    assert told.sum() > 50
    mean = pairs.order_count_p @ np.arange(COUNTS)
    assert np.allclose(mean[told], pairs.expected_orders.sum(axis=1)[told], atol=1e-6)
    assert not np.any(np.diff(pairs.next_order_quantiles, axis=1) < 0)
    assert np.array_equal(pairs.next_order_day, pairs.next_order_quantiles[:, 3], equal_nan=True)


def test_dates_and_probabilities_by_week_say_the_same(fitted, result):
    if "pairs" not in fitted.granularities:
        return
    last_day = 7 * np.arange(1, WEEKS + 1) - 1
    for column, level in enumerate(QUANTILES):
        day = result.pairs.next_order_quantiles[:, column, None]
        assert np.array_equal(day <= last_day, result.pairs.p_order_by_week >= level - 1e-9)


def test_what_is_said_of_products_is_demand(fitted, result):
    if "products" not in fitted.granularities:
        return
    products = result.products
    assert np.all(products.quantity >= 0)
    assert np.isfinite(products.quantity).all()
    assert np.all(products.expected_quantity >= 0)
    assert products.expected_quantity.sum() > 0


def test_one_seed_one_result_and_only_points_do_not_depend_on_it(fitted, result, patterns):
    assert equal(result, predict(fitted, patterns))
    if "products" in fitted.granularities:
        other = predict(fitted, patterns, seed=5).products.quantity
        assert np.array_equal(other, result.products.quantity) == (fitted.name in POINTS)
        if fitted.name not in POINTS:
            assert np.allclose(np.sort(other), np.sort(result.products.quantity))


def test_a_product_by_itself_is_predicted_as_in_a_batch(fitted, result, patterns):
    ids = patterns.product_offsets()[0]
    mask = patterns.product_id == ids[3]
    alone = predict(fitted, patterns.select(mask))
    for name, column in columns(alone.pairs).items():
        assert np.array_equal(column, getattr(result.pairs, name)[mask], equal_nan=True), name
    for name, column in columns(alone.products).items():
        assert np.array_equal(column[0], getattr(result.products, name)[3], equal_nan=True), name


def test_scaling_quantities_scales_demand(patterns, result, fitted):
    if fitted.name.startswith(("lightgbm", "auto_theta")):
        return  # trees know of sizes; and an optimizer stops at a tolerance that does not scale
    tenfold = analyzed(type(patterns.events)(*_scaled(patterns, 10.0)))
    many = predict(fitted, tenfold)
    for name in ("quantity", "expected_quantity"):
        ten, one = getattr(many.products, name), getattr(result.products, name)
        assert np.allclose(ten, 10 * one, rtol=1e-3, atol=1e-2, equal_nan=True), name


def _scaled(patterns, factor):
    events = patterns.events
    ids = (events.as_of_date, events.product_id, events.customer_id, events.day)
    return (*ids, factor * events.quantity)


def test_nothing_to_predict_is_an_empty_result(fitted, patterns):
    nobody = patterns.select(np.zeros(len(patterns), dtype=bool))
    nothing = predict(fitted, nobody)
    assert len(nothing.pairs.p_alive) == len(nothing.products.product_id) == 0
    assert nothing.products.quantity.shape == (0, WEEKS, DRAWS)


def test_saved_and_loaded_predicts_bit_for_bit(fitted, result, patterns, tmp_path):
    fitted.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".nc"}
    loaded = find_model(fitted.name).load(tmp_path)
    assert (loaded.name, loaded.version) == (fitted.name, fitted.version)
    assert loaded.warnings == fitted.warnings
    assert equal(result, predict(loaded, patterns))


def test_another_models_folder_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    other = find_model("tsb" if fitted.name != "tsb" else "adida")
    with pytest.raises(ModelError):
        other.load(tmp_path)


def test_a_longer_horizon_says_the_same_of_its_first_weeks(fitted, result, patterns):
    longer = fitted.predict(patterns, weeks=16, draws=DRAWS, streams=Streams(4))
    if "pairs" in fitted.granularities:
        first = longer.pairs.p_order_by_week[:, :WEEKS]
        assert np.allclose(first, result.pairs.p_order_by_week)
        orders = longer.pairs.expected_orders[:, :WEEKS]
        assert np.allclose(orders, result.pairs.expected_orders)
    if "products" in fitted.granularities:
        first = longer.products.expected_quantity[:, :WEEKS]
        assert np.allclose(first, result.products.expected_quantity)


@pytest.mark.parametrize(
    "name", ["bg_nbd", "pareto_nbd", "lightgbm_pairs", "lightgbm_weeks", "faded_frequency"]
)
def test_a_history_without_anything_to_learn_is_refused(name):
    once = patterns_of({(1, 1): [(-9, 2.0)], (1, 2): [(-3, 2.0)]})
    with pytest.raises(ModelError, match="nothing to fit"):
        find_model(name).fit(once, seed=1)


@pytest.mark.parametrize(
    ("library", "name", "extra"),
    [
        ("lightgbm", "lightgbm_pairs", "fit"),
        ("statsforecast.models", "tsb", "peers"),
        ("pymc_marketing.clv", "bg_nbd", "peers"),
    ],
)
def test_a_missing_library_says_what_to_install(library, name, extra, patterns, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModelError, match=rf"pip install 'interorder-toolkit\[{extra}\]'"):
        predict(find_model(name).fit(patterns, seed=1), patterns)


def test_models_are_found_without_their_libraries():
    """Importing a peer imports none of what only it needs: ``toolkit`` starts fast."""
    code = (
        "import sys; from toolkit.model import find_model; "
        f"[find_model(n) for n in {NAMES}]; "
        "print([m for m in ('lightgbm', 'statsforecast', 'pymc', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
