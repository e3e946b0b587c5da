"""What thresholds list over a grid: identities with the forecasts that are made with them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, PredictionError
from toolkit.model import find_model
from toolkit.results.sensitivity import SENSITIVITY_PRODUCTS, SENSITIVITY_TOTALS
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.stages.listing import ProductThresholds, Thresholds
from toolkit.stages.prediction import CustomerPredictor

GRID = {"min_orders": (1, 3, 8), "min_confidence": (0.0, 0.25, 0.4)}
CELLS = [(o, c) for o in GRID["min_orders"] for c in GRID["min_confidence"]]


@pytest.fixture(
    params=["pair_conjugate", "rhythm", pytest.param("ensemble", marks=pytest.mark.slow)]
)
def engine(request, database) -> ForecastEngine:
    model = (
        find_model(request.param)
        if request.param == "pair_conjugate"
        else request.getfixturevalue(request.param)
    )
    return ForecastEngine(database, model=model, draws=60, clock=lambda: NOON)


@pytest.fixture
def quick(database) -> ForecastEngine:
    return ForecastEngine(database, draws=40, clock=lambda: NOON)


def test_a_cell_is_what_a_forecast_with_its_thresholds_lists_bit_for_bit(engine):
    ids = known_products(engine.conn)
    result = engine.sensitivity(None, AS_OF, **GRID)
    by_cell = {(p["product_id"], p["min_orders"], p["min_confidence"]): p for p in result.products}
    assert len(by_cell) == len(result.products) == len(ids) * len(CELLS)
    numbers = set()
    for orders, confidence in CELLS[::2]:
        forecasts = engine.generate_forecasts(ids, AS_OF, orders, confidence)
        for product_id, forecast in forecasts.items():
            summary, cell = forecast.summary, by_cell[product_id, orders, confidence]
            for name in ("listed_orders", "listed_quantity", "listed_revenue"):
                assert cell[name] == summary[name]
            assert cell["listed_customers"] == summary["unique_customers"]
            assert cell["product_name"] == summary["product_name"]
            numbers.add(cell["listed_customers"])
    assert len(numbers) > 10


def test_totals_are_sums_over_products_and_customers_count_once(engine):
    result = engine.sensitivity(None, AS_OF, **GRID)
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF))
    predictions, _ = engine.predictor.predict(patterns)
    listed, known = predictions.patterns, float(predictions.pairs.expected_quantity.sum())
    assert [(c["min_orders"], c["min_confidence"]) for c in result.totals] == CELLS
    for cell in result.totals:
        of = [
            p for p in result.products
            if (p["min_orders"], p["min_confidence"])
            == (cell["min_orders"], cell["min_confidence"])
        ]  # fmt: skip
        passed = (listed.order_count >= cell["min_orders"]) & (
            predictions.pairs.confidence >= cell["min_confidence"]
        )
        assert cell["listed_pairs"] == passed.sum() == sum(p["listed_customers"] for p in of)
        assert cell["listed_customers"] == len(set(listed.customer_id[passed].tolist()))
        assert cell["listing_products"] == len(set(listed.product_id[passed].tolist()))
        for name in ("listed_orders", "listed_quantity", "listed_revenue"):
            assert cell[name] == pytest.approx(sum(p[name] for p in of), rel=1e-12)
        assert cell["share_of_known"] == pytest.approx(cell["listed_quantity"] / known, rel=1e-9)
    everybody, fewest = result.totals[0], result.totals[-1]
    assert everybody["share_of_known"] == pytest.approx(1.0, rel=1e-12)
    assert everybody["listed_customers"] == result.customer_count
    assert 0 < fewest["listed_customers"] < fewest["listed_pairs"] < everybody["listed_pairs"]


def test_all_demand_stands_beside_it(engine):
    result, portfolio = engine.sensitivity(None, AS_OF), engine.forecast_portfolio(None, AS_OF)
    expected = portfolio.summary["expected_quantity"]
    assert result.expected_quantity == pytest.approx(expected, rel=1e-12)
    spread = portfolio.summary["quantity_quantiles"]
    assert result.quantity_quantiles == pytest.approx(spread, rel=1e-12)
    assert result.customer_count == portfolio.summary["customer_count"]


def test_every_product_is_predicted_once_whatever_the_grid(quick, monkeypatch):
    asked = []
    predict = CustomerPredictor.predict

    def counted(self, patterns):
        asked.extend(np.unique(patterns.product_id).tolist())
        return predict(self, patterns)

    monkeypatch.setattr(CustomerPredictor, "predict", counted)
    quick.sensitivity([2, 3], AS_OF, min_orders=range(1, 9), min_confidence=np.arange(0, 1, 0.1))
    assert sorted(asked) == [2, 3]


def test_the_cut_into_chunks_changes_no_byte(quick, monkeypatch):
    whole = quick.sensitivity(None, AS_OF)
    monkeypatch.setattr("toolkit.stages.prediction.NUMBERS_PER_CHUNK", 1)
    assert quick.sensitivity(None, AS_OF) == whole


def test_the_engines_own_thresholds_stand_out(database):
    own = ProductThresholds(Thresholds(3, 0.25))
    engine = ForecastEngine(database, draws=20, thresholds=own, clock=lambda: NOON)
    result = engine.sensitivity([2], AS_OF, **GRID)
    shares = result.to_card().grids[2]
    marked = [str(getattr(cell, "text", "")) for row in shares.rows for cell in row]
    assert [text for text in marked if text] == [
        f"{100 * result.totals[4]['share_of_known']:.0f} %"
    ]
    assert "The engine's own thresholds, 3 and 0.25, stand out." in result.to_card().sentences
    other = engine.sensitivity([2], AS_OF, min_orders=[1], min_confidence=[0.25])
    assert "stand out" not in other.to_card().text()


def test_tables_have_the_columns_that_they_say(quick):
    result = quick.sensitivity([2, 3], AS_OF, **GRID)
    for name, schema, rows in (
        ("totals", SENSITIVITY_TOTALS, len(CELLS)),
        ("products", SENSITIVITY_PRODUCTS, 2 * len(CELLS)),
    ):
        frame = result.to_frame(name)
        assert list(frame.columns) == list(schema)
        assert len(frame) == rows
        assert not frame.isna().any().any()
    pd.testing.assert_frame_equal(result.to_frame(), result.to_frame("totals"))
    assert json.loads(json.dumps(result.to_dict()))["totals"] == result.totals
    with pytest.raises(ArgumentError, match="table has to be one of 'totals', 'products'"):
        result.to_frame("weeks")
    text = result.to_card().text()
    for part in (
        "2 products",
        "Customers listed",
        "Pairs of customer",
        "Share of the known demand",
        "100 %",
        "≥ 0.25",
    ):
        assert part in text
    assert "9 pairs of thresholds list" in repr(result)


def test_it_draws_a_map_of_customers_and_one_of_shares(quick):
    result = quick.sensitivity([2], AS_OF, **GRID)
    customers, shares = result.plot().axes
    for axes, key, times in ((customers, "listed_customers", 1), (shares, "share_of_known", 100)):
        drawn = np.asarray(axes.images[0].get_array()).ravel()
        assert drawn.tolist() == [times * cell[key] for cell in result.totals]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.25", "0.4"]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "3", "8"]
    assert shares.texts[0].get_text() == "100 %"


def test_where_nobody_is_listed_there_is_nothing_and_no_share_of_nothing(quick):
    result = quick.sensitivity([2], AS_OF, min_orders=[1000], min_confidence=[1.0])
    (cell,) = result.totals
    assert (cell["listed_customers"], cell["listed_quantity"], cell["share_of_known"]) == (0, 0, 0)
    assert result.plot().axes[0].texts[0].get_text() == "0"
    nothing = replace(result, totals=[{**cell, "share_of_known": None}])
    assert nothing.to_card().grids[2].rows[0][1] == "–"


def test_products_that_nobody_ordered_are_said(quick):
    quick.conn.execute("INSERT INTO dbo.Product (ID, Name) VALUES (800, 'New')")
    assert quick.sensitivity([800], AS_OF) is None
    result = quick.sensitivity([2, 800], AS_OF)
    assert result.never_ordered == [800]
    assert "1 product never ordered before" in result.to_card().text()


def test_products_without_a_price_have_no_revenue(database):
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID = 2")
    engine = ForecastEngine(database, draws=20)
    result = engine.sensitivity([2, 3], AS_OF, **GRID)
    alone = engine.sensitivity([3], AS_OF, **GRID)
    assert result.unpriced_products == 1
    for cell, priced in zip(result.totals, alone.totals, strict=True):
        assert cell["listed_revenue"] == pytest.approx(priced["listed_revenue"], rel=1e-12)
    assert {p["listed_revenue"] for p in result.products if p["product_id"] == 2} == {None}
    assert engine.sensitivity([2], AS_OF).totals[0]["listed_revenue"] is None


def test_pairs_that_fail_are_left_out_and_counted(database):
    add_line(
        database, product_id=2, customer_id=FIRST_CUSTOMER_ID, day=-1, quantity=float("nan")
    )  # fmt: skip
    engine = ForecastEngine(database, draws=20, clock=lambda: NOON)
    result = engine.sensitivity([2], AS_OF)
    assert result.model_metadata["failed_pairs"] == 1
    assert "1 pair failed, left out." in result.to_card().text()
    database.execute("UPDATE dbo.OrderItem SET Qty = 'NaN' WHERE ProductID = 2")
    with pytest.raises(PredictionError, match="no pair could be predicted"):
        engine.sensitivity([2], AS_OF)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            {"min_orders": [0, 1, 2.5], "min_confidence": [1.5, "x"]},
            "at least 1, got 0; min_orders .* got 2.5; min_confidence .* got 1.5; .* got 'x'",
        ),
        ({"min_orders": []}, "min_orders has to be at least one number, got none"),
        ({"min_confidence": 0.3}, "min_confidence has to be a list of numbers, got 0.3"),
    ],
)
def test_everything_wrong_with_a_grid_is_told_at_once(quick, grid, message):
    with pytest.raises(ArgumentError, match=message):
        quick.sensitivity([2], AS_OF, **grid)


def test_thresholds_are_taken_once_and_in_order(quick):
    result = quick.sensitivity([2], AS_OF, min_orders=[3, 1, 3], min_confidence=[0.4, 0])
    assert (result.min_orders, result.min_confidence) == ([1, 3], [0.0, 0.4])
