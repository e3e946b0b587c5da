"""The engine end to end, on a real database."""

import json
import logging
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.sources.helpers import PyformatConnection
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, PredictionError, SourceError
from toolkit.model import GRANULARITIES
from toolkit.results.fields import Demand
from toolkit.results.forecast import ProductForecast
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.sql import as_source
from toolkit.stages.aggregation import ProductAggregator


def test_forecast_has_the_fields_of_its_contract(engine):
    forecast = engine.generate_forecast(1, str(AS_OF), min_orders=2, min_confidence=0.3)
    assert isinstance(forecast, ProductForecast)
    assert forecast.product_id == 1
    assert forecast.forecast_period_weeks == len(forecast.weekly_forecasts) == 12
    assert forecast.weekly_data is forecast.weekly_forecasts
    summary = forecast.summary
    assert (summary["forecast_start_date"], summary["forecast_end_date"]) == (
        "2022-06-06",
        "2022-08-28",
    )
    assert summary["product_name"] == "Article 1"
    leading = ["expected_quantity", "expected_orders", "quantity_quantiles", "expected_revenue"]
    assert list(summary)[:4] == leading
    for quantity, revenue in (
        ("expected_quantity", "expected_revenue"),
        ("listed_quantity", "listed_revenue"),
    ):
        assert summary[revenue] == pytest.approx(summary[quantity] * summary["unit_price"])
    for name in ("quantity", "orders", "revenue"):  # as consumers of the reference know them
        assert summary[f"total_predicted_{name}"] == summary[f"listed_{name}"]
    first, last = forecast.weekly_forecasts[0], forecast.weekly_forecasts[-1]
    assert (first["week_start_date"], first["week_end_date"]) == ("2022-06-06", "2022-06-12")
    assert last["week_end_date"] == summary["forecast_end_date"]
    assert forecast.model_metadata["generated_at"] == "2025-11-11T12:00:00Z"
    assert forecast.model_metadata["model_name"] == "pair_conjugate"
    names = [c["customer_name"] for c in forecast.top_customers_by_volume]
    assert all(name.startswith("Shop ") for name in names)


def test_weeks_add_up_to_the_horizon(engine):
    forecast = engine.generate_forecast(1, AS_OF)
    weeks, summary = forecast.weekly_forecasts, forecast.summary
    for weekly, total in (
        ("predicted_quantity", "listed_quantity"),
        ("predicted_orders", "listed_orders"),
        ("predicted_revenue", "listed_revenue"),
    ):
        assert sum(week[weekly] for week in weeks) == pytest.approx(summary[total])
    for name in weeks[0]["demand"].keys() - {"quantity_quantiles"}:
        assert sum(week["demand"][name] for week in weeks) == pytest.approx(summary[name])


def test_weekly_draws_sum_to_the_draws_of_the_horizon(engine):
    """The horizon's quantiles come from the same draws as the weeks', summed one by one."""
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF, [1]))
    predictions, _ = engine.predictor.predict(patterns)
    total = predictions.products.quantity[0].sum(axis=0)
    forecast = engine.generate_forecast(1, AS_OF)
    reported = forecast.summary["quantity_quantiles"]
    assert reported["q50"] == pytest.approx(np.quantile(total, 0.5, method="weibull"))
    assert reported["q95"] == pytest.approx(np.quantile(total, 0.95, method="weibull"))


def demand_of(forecast):
    """All that a forecast says of everybody: of its weeks, and in total."""
    return (
        [week["demand"] for week in forecast.weekly_forecasts],
        {name: forecast.summary[name] for name in Demand.__annotations__},
    )


def test_thresholds_filter_the_list_and_not_the_demand(engine):
    everyone = engine.generate_forecast(1, AS_OF, min_orders=1, min_confidence=0.0)
    middling = everyone.summary["avg_confidence"]
    few = engine.generate_forecast(1, AS_OF, min_orders=4, min_confidence=middling)
    assert 0 < few.summary["unique_customers"] < everyone.summary["unique_customers"]
    assert demand_of(few) == demand_of(everyone)
    assert few.summary["listed_quantity"] < few.summary["expected_quantity"]
    assert everyone.summary["listed_quantity"] == pytest.approx(
        everyone.summary["known_expected_quantity"]
    )


def test_batch_equals_single_calls(engine, database):
    ids = known_products(database)
    batch = engine.generate_forecasts(ids, AS_OF)
    for product_id in ids:
        assert engine.generate_forecast(product_id, AS_OF) == batch[product_id]


def test_same_seed_same_bytes_and_another_seed_other_bytes(database):
    def run(seed):
        engine = ForecastEngine(database, seed=seed, clock=lambda: NOON)
        return json.dumps(engine.generate_forecast(1, AS_OF).to_dict())

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_order_of_rows_does_not_matter(orders, engine, database):
    before = engine.generate_forecasts(known_products(database), AS_OF)
    database.execute(
        "CREATE TABLE shuffled AS FROM dbo.OrderItem ORDER BY hash(ID);"
        "DELETE FROM dbo.OrderItem; INSERT INTO dbo.OrderItem FROM shuffled"
    )
    assert engine.generate_forecasts(known_products(database), AS_OF) == before


def test_round_trip_through_json_is_exact(engine):
    forecast = engine.generate_forecast(1, AS_OF)
    assert ProductForecast.from_dict(json.loads(json.dumps(forecast.to_dict()))) == forecast


def test_unknown_product_is_none_with_a_warning(engine, caplog):
    assert engine.generate_forecast(987654, AS_OF) is None
    assert "No customers found for product 987654" in caplog.text


def test_demand_is_forecast_though_no_customer_passes(engine, caplog):
    caplog.set_level(logging.INFO, logger="toolkit")
    nobody = engine.generate_forecast(1, AS_OF, min_orders=1000)
    assert demand_of(nobody) == demand_of(engine.generate_forecast(1, AS_OF))
    assert nobody.summary["expected_quantity"] > 0
    assert nobody.summary["unique_customers"] == nobody.summary["listed_quantity"] == 0
    assert nobody.top_customers_by_volume == nobody.at_risk_customers == []
    assert not any(week["expected_customers"] for week in nobody.weekly_forecasts)
    assert "No predictable customers for product 1: none is listed" in caplog.text
    assert "none passes the thresholds" in nobody.to_card().text()
    assert ProductForecast.from_dict(json.loads(json.dumps(nobody.to_dict()))) == nobody


@pytest.mark.parametrize("thresholds", [(), (1, 0.0), (6, 0.9)])
def test_every_product_ever_ordered_has_a_forecast(thresholds):
    """Single orders, too, and whatever the lists are to hold."""
    truth = Truth(customers=60, products=80, pairs=160, days=200)
    orders = generate_orders(truth, seed=3)
    as_of = truth.start_date + timedelta(120)
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        ordered = np.unique(as_source(conn).order_events(as_of).product_id).tolist()
        ids = orders.products.product_id.tolist()
        found = ForecastEngine(conn).generate_forecasts(ids, as_of, *thresholds)
    assert [i for i, forecast in found.items() if forecast] == ordered
    assert 0 < len(ordered) < len(ids)
    listed = [forecast.summary["unique_customers"] for forecast in found.values() if forecast]
    assert (0 in listed) == (thresholds != (1, 0.0))


def test_an_order_that_was_returned_the_same_day_is_none(engine, database):
    add_line(database, product_id=777, customer_id=100_001, day=-9, quantity=4.0)
    assert engine.generate_forecast(777, AS_OF) is not None
    add_line(database, product_id=777, customer_id=100_001, day=-9, quantity=-4.0)
    assert engine.generate_forecast(777, AS_OF) is None


def test_log_lines_of_a_forecast(engine, caplog):
    caplog.set_level(logging.INFO, logger="toolkit")
    engine.generate_forecast(1, AS_OF)
    lines = [r.message for r in caplog.records]
    assert lines[0] == "Generating forecast for product 1 as of 2022-06-06"
    assert lines[1].endswith("customers for product 1")
    assert lines[2].startswith("Pattern analysis: ")
    assert lines[2].endswith("(confidence >= 0.3)")
    assert lines[3].startswith("Forecast complete for product 1: ")


def test_ids_may_come_from_any_iterable_and_from_numpy(engine):
    expected = engine.generate_forecasts([1, 2], AS_OF)
    assert engine.generate_forecasts(map(int, "12"), AS_OF) == expected
    found = engine.generate_forecasts(np.array([1, 2]), AS_OF, np.int64(2), np.float64(0.3))
    assert found == expected
    assert json.dumps(found[1].to_dict()) == json.dumps(expected[1].to_dict())


@pytest.mark.parametrize("quantity", [float("nan"), float("inf"), 1e39])
def test_a_product_whose_customers_all_failed_is_an_error(engine, database, caplog, quantity):
    """It was ordered: neither None nor a forecast may say that there is no demand."""
    for product_id in (777, 778):
        add_line(database, product_id=product_id, customer_id=100_001, day=-9, quantity=quantity)
    said = "no pair could be predicted of product 777; product 777, customer 100001: quantity is"
    with pytest.raises(PredictionError, match=said):
        engine.generate_forecast(777, AS_OF)
    with pytest.raises(PredictionError, match="could be predicted of product 777, 778; product 77"):
        engine.generate_forecasts([1, 778, 777], AS_OF)
    assert "Left out customer 100001 of product 777: quantity is" in caplog.text


def test_before_the_first_order_there_is_nothing(engine):
    assert engine.generate_forecast(1, "1999-12-31") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"as_of_date": "06.06.2022"}, r"YYYY-MM-DD, got '06\.06\.2022'"),
        ({"as_of_date": "2022-02-30"}, "YYYY-MM-DD, got '2022-02-30'"),
        ({"as_of_date": "20220606"}, "YYYY-MM-DD"),
        ({"as_of_date": 20220606}, "YYYY-MM-DD, got 20220606"),
        ({"as_of_date": "2022-W01-1"}, "YYYY-MM-DD, got '2022-W01-1'"),
        ({"as_of_date": pd.NaT}, "YYYY-MM-DD, got NaT"),
        ({"min_orders": 0}, "min_orders has to be a whole number of at least 1, got 0"),
        ({"min_orders": 1.5}, "got 1.5"),
        ({"min_confidence": 1.1}, "min_confidence has to be a number from 0 to 1, got 1.1"),
        ({"min_confidence": float("nan")}, "got nan"),
        ({"product_id": "SKU-1"}, "product_id has to be a whole number, got 'SKU-1'"),
    ],
)
def test_arguments_out_of_range_say_what_is_allowed(engine, arguments, message):
    with pytest.raises(ValueError, match=message):
        engine.generate_forecast(**{"product_id": 1, "as_of_date": AS_OF} | arguments)


@pytest.mark.parametrize("weeks", [0, -1, 105, 2.0, True, "12"])
def test_horizon_out_of_range_says_what_is_allowed(database, weeks):
    with pytest.raises(ValueError, match="forecast_weeks has to be a whole number from 1 to 104"):
        ForecastEngine(database, weeks)


def test_a_database_that_fails_is_an_error_and_logged(engine, database, caplog):
    database.execute("DROP TABLE dbo.OrderItem")
    with pytest.raises(SourceError, match="OrderItem"):
        engine.generate_forecast(1, AS_OF)
    assert "Error generating forecast for product 1" in caplog.text


def test_connection_stays_open_and_usable(engine, database):
    engine.generate_forecast(1, AS_OF)
    assert database.execute("SELECT 1").fetchone() == (1,)


def test_a_pair_with_a_quantity_that_is_no_number_is_left_out_and_counted(engine, database, caplog):
    healthy = engine.generate_forecast(1, AS_OF, 1, 0.0)
    customer = healthy.top_customers_by_volume[0]["customer_id"]
    add_line(database, product_id=1, customer_id=customer, day=-3, quantity=float("nan"))
    forecast = engine.generate_forecast(1, AS_OF, 1, 0.0)
    assert forecast.model_metadata["failed_pairs"] == 1
    assert forecast.summary["unique_customers"] == healthy.summary["unique_customers"] - 1
    assert f"Left out customer {customer} of product 1: quantity is nan" in caplog.text


class Stumbling:
    """A model that raises, or gives no finite number, on one customer."""

    def __init__(self, model, customer_id, how):
        self._model, self._customer_id, self._how = model, customer_id, how

    name = "stumbling"
    version = "1"
    reads_customer_days = False
    granularities = GRANULARITIES

    def predict(self, patterns, **settings):
        found = patterns.customer_id == self._customer_id
        if found.any() and self._how == "raise":
            raise ZeroDivisionError("this customer is too much")
        predictions = self._model.predict(patterns, **settings)
        predictions.pairs.confidence[found] = np.nan
        return predictions

    def save(self, folder):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("how", "reason"),
    [("raise", "ZeroDivisionError: this customer is too much"), ("nan", "is not finite")],
)
def test_a_pair_that_breaks_the_model_is_left_out_and_the_rest_go_on(
    database, engine, caplog, how, reason
):
    ids = known_products(database)
    healthy = engine.generate_forecasts(ids, AS_OF, 1, 0.0)
    customer = healthy[1].top_customers_by_volume[0]["customer_id"]
    model = Stumbling(engine.predictor.model, customer, how)
    stumbling = ForecastEngine(database, model=model, clock=lambda: NOON)
    found = stumbling.generate_forecasts(ids, AS_OF, 1, 0.0)
    assert f"Left out customer {customer} of product 1: " in caplog.text
    assert reason in caplog.text
    assert found[1].summary["unique_customers"] == healthy[1].summary["unique_customers"] - 1
    (count,) = database.execute(
        'SELECT count(DISTINCT oi.ProductID) FROM dbo.OrderItem oi JOIN dbo."Order" o'
        " ON o.ID = oi.OrderID WHERE o.ClientAgreementID = ? AND oi.Created < ?",
        [customer, AS_OF],
    ).fetchone()
    assert sum(f.model_metadata["failed_pairs"] for f in found.values() if f) == count


def test_a_model_that_fails_on_everything_is_an_error(database, engine):
    class Broken(Stumbling):
        def predict(self, patterns, **settings):
            raise RuntimeError("no parameters")

    broken = ForecastEngine(database, model=Broken(engine.predictor.model, 0, "raise"))
    with pytest.raises(PredictionError, match="stumbling failed"):
        broken.generate_forecast(1, AS_OF)


def test_three_queries_for_one_product_and_for_all(database):
    counted = PyformatConnection(database)
    engine = ForecastEngine(counted)
    engine.generate_forecast(1, AS_OF)
    assert len(counted.queries) == 3
    engine.generate_forecasts(known_products(database), AS_OF)
    assert len(counted.queries) == 6
    assert counted.open_cursors == 0


def test_a_fourth_query_where_the_model_reads_customers_days(database, rhythm):
    counted = PyformatConnection(database)
    engine = ForecastEngine(counted, model=rhythm)
    assert engine.generate_forecast(1, AS_OF, min_confidence=0.0) is not None
    assert len(counted.queries) == 4
    assert [i for i, q in enumerate(counted.queries) if "net.OrderDay" in q] == [1]
    engine.generate_forecasts(known_products(database), AS_OF)
    assert len(counted.queries) == 8
    assert counted.open_cursors == 0


def test_batch_equals_single_calls_where_customers_days_are_read(database, rhythm):
    """Each call reads the days of its own products' customers only."""
    engine = ForecastEngine(database, model=rhythm, clock=lambda: NOON)
    ids = known_products(database)
    batch = engine.generate_forecasts(ids, AS_OF)
    assert [engine.generate_forecast(i, AS_OF) for i in ids] == [batch[i] for i in ids]


def test_days_of_a_product_left_out_for_its_quantity_count_all_the_same(database, rhythm):
    """That a customer ordered is known, though not how much."""
    engine = ForecastEngine(database, model=rhythm, clock=lambda: NOON)
    customer = 100_001
    add_line(database, product_id=777, customer_id=customer, day=-1, quantity=None)
    events = engine.source.order_events(AS_OF, [777])
    patterns, (failed,) = engine.pattern_analyzer.analyze(events)
    assert (len(patterns), failed.customer_id) == (0, customer)
    assert patterns.customer_days.day[-1] == -1


def test_a_db_api_connection_gives_the_same_forecast(engine, database):
    other = ForecastEngine(PyformatConnection(database), clock=lambda: NOON)
    assert other.generate_forecast(1, AS_OF) == engine.generate_forecast(1, AS_OF)


def test_stage_objects_work_by_themselves(engine, database):
    """The way of the data by hand: pattern, prediction, aggregate; of a product's only customer,
    since other customers tell of the product, too.
    """
    for day in (-44, -30, -16, -2):
        add_line(database, product_id=777, customer_id=100_001, day=day, quantity=4.0)
    batch = engine.generate_forecast(777, AS_OF, 2, 0.0)
    customer = batch.top_customers_by_volume[0]
    pattern = engine.pattern_analyzer.analyze_customer_product(
        customer_id=100_001, product_id=777, as_of_date="2022-06-06"
    )
    prediction = engine.predictor.predict_next_order(pattern=pattern, as_of_date="2022-06-06")
    assert prediction.prediction_confidence == customer["avg_confidence"]
    assert prediction.next_order_date.isoformat() == customer["next_order_date"]
    forecast = engine.aggregator.aggregate_forecast(
        product_id=1, predictions=[prediction], as_of_date="2022-06-06", conn=engine.conn
    )
    assert forecast.summary["product_name"] == "Article 1"
    assert forecast.summary["unique_customers"] == 1
    assert forecast.summary["quantity_quantiles"] is None
    assert engine.pattern_analyzer.analyze_customer_product(1, 1, AS_OF) is None
    with pytest.raises(ValueError, match="the pattern was taken as of 2022-06-06"):
        engine.predictor.predict_next_order(pattern, date(2022, 6, 7))


def test_fallback_name_and_no_price(engine):
    forecast = engine.aggregator.aggregate_forecast(123, [], "2025-11-11")
    assert forecast.summary["product_name"] == "Product 123"
    assert forecast.summary["unit_price"] is None
    given = ProductAggregator(default_price=35).aggregate_forecast(123, [], "2025-11-11")
    assert given.summary["unit_price"] == given.model_metadata["default_price"] == 35.0


def test_where_no_line_tells_a_price_there_is_no_revenue(engine, database):
    priced = engine.generate_forecast(1, AS_OF)
    assert priced.summary["expected_revenue"] > 0
    database.execute(
        "UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID = 1 AND Created < ?", [AS_OF]
    )
    found = engine.generate_forecast(1, AS_OF)
    for name in ("unit_price", "expected_revenue", "listed_revenue", "total_predicted_revenue"):
        assert found.summary[name] is None
    for week in found.weekly_forecasts:
        assert week["predicted_revenue"] is week["demand"]["expected_revenue"] is None
    assert found.summary["expected_quantity"] == priced.summary["expected_quantity"]
    assert "revenue – ·" in found.to_card().text()
    assert ProductForecast.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_default_price_is_used_only_where_given_and_only_where_none_is_known(engine, database):
    """And the forecast says so."""
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID = 1")
    before = engine.generate_forecasts([1, 2], AS_OF)
    given = ForecastEngine(database, default_price=12.5, clock=lambda: NOON)
    found = given.generate_forecasts([1, 2], AS_OF)
    assert found[2] == before[2]
    assert found[2].model_metadata["default_price"] is None
    summary = found[1].summary
    assert summary["unit_price"] == found[1].model_metadata["default_price"] == 12.5
    assert summary["expected_revenue"] == 12.5 * summary["expected_quantity"]
    assert "at the default price, 12.5" in found[1].to_card().text()


@pytest.mark.parametrize("price", [0, -1.0, float("nan"), float("inf"), 1e13, True, "35"])
def test_a_default_price_out_of_range_says_what_is_allowed(database, price):
    said = r"default_price has to be a number above 0, up to 1e\+12, got "
    with pytest.raises(ArgumentError, match=said):
        ForecastEngine(database, default_price=price)
