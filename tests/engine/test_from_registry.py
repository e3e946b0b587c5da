"""An engine with the promoted version: the same forecasts as with the fit, and its thresholds."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.conftest import AS_OF, NOON, known_products
from tests.tracking.fits import WARNING, rhythm_fit
from toolkit.cache.server import embedded_server
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, TrackingError
from toolkit.results.forecast import ProductForecast
from toolkit.stages.listing import ProductThresholds, Thresholds
from toolkit.tracking.promotion import set_alias
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import attach_thresholds
from toolkit.tracking.store import open_store

CHOICE = {
    "version": "rhythm",
    "overall": {"min_orders": 3, "min_confidence": 0.001},
    "by_product": {"2": [1, 0.0], "5": [4, 0.002]},
    "known_before": "2022-06-06",
}
UNFIT = rhythm_fit(0.1, warnings=(WARNING,))
REGISTERED = (
    "registered_version", "mlflow_run_id", "data_sha256", "fitted_as_of_date", "knows_the_future"
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Version 1 is the champion and has thresholds; 2, unfit, has none; 3 some that are none."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('engine') / 'mlflow.db'}")
    register_fit(store, rhythm_fit(), data={"sha256": "ab" * 32})
    register_fit(store, UNFIT)
    register_fit(store, rhythm_fit(0.2))
    attach_thresholds(store, "1", CHOICE)
    attach_thresholds(store, "3", {"min_orders": 2})
    set_alias(store, "champion", "1")
    return store


def promoted(database, store, alias="champion", **settings) -> ForecastEngine:
    return ForecastEngine.from_registry(
        database, alias, store=store, clock=lambda: NOON, **settings
    )


def without_registration(forecasts):
    return {i: f and replace(f, model_metadata=_by_hand(f)) for i, f in forecasts.items()}


def _by_hand(forecast):
    return {k: v for k, v in forecast.model_metadata.items() if k not in REGISTERED}


def test_forecasts_are_those_of_the_fit_and_its_thresholds_bit_for_bit(database, store):
    by_hand = ForecastEngine(
        database,
        model=rhythm_fit(),
        thresholds=ProductThresholds.from_dict(CHOICE),
        clock=lambda: NOON,
    )
    ids = known_products(database)
    found = promoted(database, store.uri).generate_forecasts(ids, AS_OF)
    expected = by_hand.generate_forecasts(ids, AS_OF)
    assert any(found.values())
    assert json.dumps(_dicts(without_registration(found))) == json.dumps(
        _dicts(without_registration(expected))
    )


def _dicts(forecasts):
    return {i: f and f.to_dict() for i, f in forecasts.items()}


def test_a_forecast_says_which_version_run_and_data_made_it(database, store):
    metadata = promoted(database, store).generate_forecast(2, AS_OF).model_metadata
    assert {name: metadata[name] for name in REGISTERED} == {
        "registered_version": 1,
        "mlflow_run_id": promoted(database, store).registered.run_id,
        "data_sha256": "ab" * 32,
        "fitted_as_of_date": "2022-06-06",
        "knows_the_future": False,
    }
    assert (metadata["model_name"], metadata["seed"]) == ("rhythm", 20251111)


def test_each_product_has_its_thresholds_and_given_ones_prevail_each_by_itself(database, store):
    engine = promoted(database, store)

    def used(product_id, **given):
        metadata = engine.generate_forecast(product_id, AS_OF, **given).model_metadata
        return metadata["min_orders_threshold"], metadata["min_confidence_threshold"]

    assert (used(2), used(5), used(1)) == ((1, 0.0), (4, 0.002), (3, 0.001))
    assert used(5, min_orders=2) == (2, 0.002)
    assert used(5, min_confidence=0.0) == (4, 0.0)
    batch = engine.generate_forecasts([1, 2, 5], AS_OF)
    assert batch == {i: engine.generate_forecast(i, AS_OF) for i in (1, 2, 5)}


def test_thresholds_of_a_product_choose_who_is_listed(database, store):
    engine = promoted(database, store)
    everybody = engine.generate_forecast(2, AS_OF)
    few = engine.generate_forecast(2, AS_OF, min_orders=4)
    assert everybody.summary["unique_customers"] > few.summary["unique_customers"]
    assert everybody.summary["quantity_quantiles"] == few.summary["quantity_quantiles"]
    assert everybody.summary["expected_revenue"] == few.summary["expected_revenue"]


def test_the_cache_tells_engines_with_other_thresholds_apart(database, store):
    engine = promoted(database, store)
    loose = ForecastEngine(database, model=rhythm_fit(), clock=lambda: NOON)
    with embedded_server() as server, server.client() as client:
        loose.generate_forecast_cached(5, client, AS_OF)
        found = engine.generate_forecast_cached(5, client, AS_OF)
        assert found == engine.generate_forecast(5, AS_OF)
        assert found.model_metadata["min_orders_threshold"] == 4
        assert engine.generate_forecast_cached(5, client, AS_OF) == found


def test_thresholds_chosen_later_and_a_later_fit_are_told_once_per_call(database, store, caplog):
    earlier = AS_OF - timedelta(days=1)
    engine = promoted(database, store)
    with caplog.at_level(logging.WARNING, logger="toolkit.engine"):
        forecasts = engine.generate_forecasts([1, 2, 5], earlier, min_confidence=0.0)
    used = {f.model_metadata["min_orders_threshold"] for f in forecasts.values() if f}
    assert used == {2}
    assert all(f.model_metadata["knows_the_future"] for f in forecasts.values() if f)
    said = [record.getMessage() for record in caplog.records if record.name == "toolkit.engine"]
    assert len(said) == 2
    assert "was fitted as of 2022-06-06, after 2022-06-05" in said[0]
    assert "known before 2022-06-06, after 2022-06-05: the defaults are used, 2 orders" in said[1]


def test_nothing_is_said_where_nothing_later_is_used(database, store, caplog):
    with caplog.at_level(logging.WARNING, logger="toolkit.engine"):
        promoted(database, store).generate_forecast(2, AS_OF)
        ForecastEngine(database, thresholds=ProductThresholds.from_dict(CHOICE)).generate_forecast(
            2, date(2022, 5, 30), 2, 0.3
        )
    assert [r for r in caplog.records if r.name == "toolkit.engine"] == []


def test_with_nothing_promoted_it_is_the_model_that_needs_no_fit(database, store, tmp_path):
    for uri in (f"sqlite:///{tmp_path / 'none.db'}", _only_registered(tmp_path)):
        engine = promoted(database, uri)
        assert engine.predictor.model.name == "pair_conjugate"
        assert engine.thresholds == ProductThresholds(Thresholds(2, 0.3))
        assert engine.generate_forecast(1, AS_OF).model_metadata["registered_version"] is None
    assert not (tmp_path / "none.db").exists()


def _only_registered(folder):
    store = open_store(f"sqlite:///{folder / 'registered.db'}")
    register_fit(store, rhythm_fit())
    return store


@pytest.mark.parametrize("reference", ["inter-order@champion", "1", "rhythm@{}"])
def test_a_version_is_named_as_anywhere(database, store, reference):
    engine = promoted(database, store, reference.format(rhythm_fit().version))
    assert engine.registered.number == 1


def test_an_unfit_version_says_so(database, store, caplog):
    promoted(database, store, "2")
    assert (
        f"NOT CONVERGED: inter-order version 2 (rhythm@{UNFIT.version}): {WARNING}" in caplog.text
    )


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("challenger", r"holds no version 'challenger' of inter-order; it holds 1"),
        ("3", r"version 3 \(rhythm@.*\) has thresholds that cannot be used \(`toolkit thresholds"),
    ],
)
def test_what_is_not_there_is_told(database, store, alias, message):
    with pytest.raises(TrackingError, match=message):
        promoted(database, store, alias)


def test_an_unknown_version_of_no_store_is_told_and_makes_none(database, tmp_path):
    with pytest.raises(TrackingError, match=r"there is no tracking store .*nothing is registered"):
        promoted(database, f"sqlite:///{tmp_path / 'none.db'}", "challenger")
    assert list(tmp_path.iterdir()) == []


BOTH = "a list of min_orders, from 1 up, and min_confidence, from 0 to 1"


@pytest.mark.parametrize(
    ("broken", "mistakes"),
    [
        ({}, ["overall: is missing", "by_product: is missing"]),
        ({"overall": {"min_orders": 2}, "by_product": {}}, ["overall.min_confidence: is missing"]),
        (
            CHOICE | {"overall": {"min_orders": 0, "min_confidence": 1.5}},
            [
                "overall.min_orders: has to be a whole number of at least 1, got 0",
                "overall.min_confidence: has to be a number from 0 to 1, got 1.5",
            ],
        ),
        (
            CHOICE | {"by_product": {"2": [1], "3": [0, 0.5], "4": 7, "5": [2, 0.5]}},
            [
                f"by_product.2: has to be {BOTH}, got [1]",
                f"by_product.3: has to be {BOTH}, got [0, 0.5]",
                f"by_product.4: has to be {BOTH}, got 7",
            ],
        ),
        (CHOICE | {"by_product": [1]}, ["by_product: has to be a table, got [1]"]),
        (
            CHOICE | {"known_before": "soon"},
            ["known_before: has to be a date as 2019-04-01, got 'soon'"],
        ),
    ],
)
def test_what_is_no_thresholds_is_refused_with_all_that_is_wrong(broken, mistakes):
    with pytest.raises(ArgumentError) as refused:
        ProductThresholds.from_dict(broken)
    count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
    said = "\n".join(f"  - {mistake}" for mistake in mistakes)
    assert str(refused.value) == f"the choice of thresholds has {count}:\n{said}"


def test_a_forecast_from_before_is_read_and_says_what_it_did_not_know(engine):
    forecast = engine.generate_forecast(1, AS_OF)
    older = forecast.to_dict()
    for name in REGISTERED:
        del older["model_metadata"][name]
    assert ProductForecast.from_dict(older) == forecast


def test_the_engine_alone_imports_neither_mlflow_nor_pymc():
    text = (
        "import sys; from toolkit import ForecastEngine; ForecastEngine.__name__;"
        "print({'mlflow', 'pymc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
