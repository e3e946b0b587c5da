"""Categories of products in what the engine says of many together."""

import numpy as np
import pytest

from tests.conftest import AS_OF, NOON, add_line
from toolkit.data.tables import QUANTILE_NAMES, quantiles_of
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError
from toolkit.results.portfolio_fields import PORTFOLIO_CATEGORIES
from toolkit.sources.embedded.database import add_category
from toolkit.stages import prediction
from toolkit.stages.listing import ProductThresholds
from toolkit.views.portfolio import portfolio_of

NAMES = ("Dairy", "Dry food", "Frozen food")
OF = {i: NAMES[i % 4] for i in range(1, 13) if i % 4 < 3}
NEVER = 999


@pytest.fixture
def engine(database):
    """Twelve products, three of them in no category; and one that nobody ever ordered."""
    add_category(database)
    for product_id, category in OF.items():
        database.execute(
            "UPDATE dbo.Product SET Category = $1 WHERE ID = $2", [category, product_id]
        )
    database.execute("INSERT INTO dbo.Product VALUES ($1, 'Never', 'Seasonal')", [NEVER])
    return ForecastEngine(database, draws=60, clock=lambda: NOON)


def found(engine, product_ids=None):
    analyzer, predictor = engine.pattern_analyzer, engine.predictor
    return portfolio_of(analyzer, predictor, product_ids, AS_OF, ProductThresholds().of)


def test_categories_sum_to_the_portfolio_draw_by_draw(engine):
    together = found(engine)
    assert together.categories.names == [*NAMES, None]
    for measure in ("quantity", "revenue"):
        by_category = getattr(together.categories, measure)
        of_all = getattr(together.draws, measure).sum(axis=0)
        np.testing.assert_allclose(by_category.sum(axis=0), of_all, rtol=1e-12)
        assert by_category.std(axis=1).all()


def test_a_category_is_what_its_products_are_together(engine):
    """Totals are those of a portfolio of its products: quantiles of sums, no sums of quantiles."""
    rows = engine.forecast_portfolio(None, AS_OF).categories
    for row, name in zip(rows, (*NAMES, None), strict=True):
        ids = [i for i in range(1, 13) if OF.get(i) == name]
        alone = engine.forecast_portfolio(ids, AS_OF)
        assert row["category"] == name
        assert (row["products"], row["customers"]) == (len(ids), alone.summary["customer_count"])
        for field in ("expected_orders", "expected_quantity", "previous_quantity",
                      "expected_revenue"):  # fmt: skip
            assert row[field] == pytest.approx(alone.summary[field])
        assert row["difference"] == row["expected_quantity"] - row["previous_quantity"]
        for field in ("quantity_quantiles", "revenue_quantiles"):
            assert row[field] == pytest.approx(alone.summary[field])
        if name is not None:
            named = engine.forecast_portfolio(category=name, as_of_date=AS_OF)
            assert named.to_dict() == alone.to_dict()
    draws = engine.draws([i for i in range(1, 13) if OF.get(i) == "Dairy"], AS_OF)
    summed = draws.quantity.sum(["product", "week"]).to_numpy()
    expected = dict(zip(QUANTILE_NAMES, quantiles_of(summed, axis=0), strict=True))
    assert rows[0]["quantity_quantiles"] == pytest.approx(expected)


def test_the_cut_into_chunks_changes_no_bit(engine, monkeypatch):
    whole = engine.forecast_portfolio(None, AS_OF)
    monkeypatch.setattr(prediction, "NUMBERS_PER_CHUNK", 1)
    assert engine.forecast_portfolio(None, AS_OF) == whole


def test_names_are_found_as_those_of_products(engine):
    one = engine.forecast_portfolio(category="Dairy", as_of_date=AS_OF)
    assert engine.forecast_portfolio(category="dAIRY ", as_of_date=AS_OF) == one
    several = engine.forecast_portfolio(category=["dairy", "frozen"], as_of_date=AS_OF)
    assert [row["category"] for row in several.categories] == ["Dairy", "Frozen food"]
    with pytest.raises(ArgumentError) as caught:
        engine.forecast_portfolio(category=["Diary", "food"], as_of_date=AS_OF)
    unknown, ambiguous = str(caught.value).splitlines()
    assert unknown.startswith("there is no category 'Diary'; the nearest names are 'Dairy', ")
    assert unknown.count("'") == 8
    assert ambiguous == "'food' may mean 2 categories: 'Dry food', 'Frozen food'; give a whole name"


def test_of_names_that_differ_in_case_the_equal_one_is_meant(engine, database):
    database.execute("UPDATE dbo.Product SET Category = 'DAIRY' WHERE ID = 3")
    upper = engine.forecast_portfolio(category="DAIRY", as_of_date=AS_OF)
    assert [row["product_id"] for row in upper.products] == [3]
    with pytest.raises(ArgumentError, match="'dairy' may mean 2 categories"):
        engine.forecast_portfolio(category="dairy", as_of_date=AS_OF)


def test_how_letters_are_composed_does_not_count(engine, database):
    database.execute("UPDATE dbo.Product SET Category = 'Cafe\u0301' WHERE ID = 3")
    composed = engine.forecast_portfolio(category="caf\u00e9", as_of_date=AS_OF)
    assert [row["product_id"] for row in composed.products] == [3]


def test_of_a_category_that_nobody_ordered_there_is_nothing_to_say(engine):
    assert engine.forecast_portfolio(category="Seasonal", as_of_date=AS_OF) is None
    both = engine.forecast_portfolio(category=["Seasonal", "Dairy"], as_of_date=AS_OF)
    assert both.summary["never_ordered"] == []
    assert [row["category"] for row in both.categories] == ["Dairy"]


def test_mistakes_are_a_sentence(engine, database):
    with pytest.raises(ArgumentError, match="one of product_ids and category has to be given"):
        engine.forecast_portfolio([1], AS_OF, category="Dairy")
    with pytest.raises(ArgumentError, match="one name or several, got none"):
        engine.forecast_portfolio(category=[], as_of_date=AS_OF)
    for given in (5, b"Dairy", ["Dairy", None]):
        with pytest.raises(ArgumentError, match=r"category has to be text, got (5|b'D|None)"):
            engine.forecast_portfolio(category=given, as_of_date=AS_OF)
    with pytest.raises(ArgumentError, match=r"no category '\\udcff'; the nearest names are 'D"):
        engine.forecast_portfolio(category="\udcff", as_of_date=AS_OF)
    database.execute("ALTER TABLE dbo.Product DROP COLUMN Category")
    with pytest.raises(ArgumentError, match="no product of this data has a category: a column"):
        engine.forecast_portfolio(category="Dairy", as_of_date=AS_OF)


def test_a_category_of_which_every_pair_failed_is_left_out(engine, database):
    """Its products are predicted no better alone."""
    database.execute("UPDATE dbo.Product SET Category = 'Broken' WHERE ID = 4")
    database.execute("UPDATE dbo.OrderItem SET Qty = NULL WHERE ProductID = 4")
    together = engine.forecast_portfolio(None, AS_OF)
    assert together.model_metadata["failed_pairs"] > 0
    assert [row["category"] for row in together.categories] == [*NAMES, None]


def test_without_categories_nothing_is_said_of_them(engine, database):
    known = engine.forecast_portfolio(None, AS_OF)
    text = known.to_card().text()
    assert "Categories of products" in text
    assert "no category" in text
    frame = known.to_frame("categories")
    assert list(frame.columns) == list(PORTFOLIO_CATEGORIES)
    assert frame["category"].isna().tolist() == [False, False, False, True]
    database.execute("ALTER TABLE dbo.Product DROP COLUMN Category")
    plain = engine.forecast_portfolio(None, AS_OF)
    assert plain.categories == []
    assert "ategor" not in plain.to_card().text()
    empty = plain.to_frame("categories")
    assert list(empty.dtypes) == list(frame.dtypes)
    assert plain.to_dict() == known.to_dict() | {"categories": []}


def test_a_category_may_be_called_as_what_has_none_is_shown(engine, database):
    database.execute("UPDATE dbo.Product SET Category = 'no category' WHERE ID = 1")
    known = engine.forecast_portfolio(None, AS_OF)
    assert [row["category"] for row in known.categories] == [*NAMES, "no category", None]
    text = known.to_card().text()
    assert text.count("no category") == 2
    assert text.count("(no category)") == 1


def test_a_product_without_a_price_brings_its_category_no_revenue(engine, database):
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL WHERE ProductID IN (4, 8, 12)")
    dairy, dry, *_ = engine.forecast_portfolio(None, AS_OF).categories
    assert (dairy["expected_revenue"], dairy["revenue_quantiles"]) == (None, None)
    assert dry["expected_revenue"] > 0


def test_what_a_category_holds_is_decided_by_the_date(engine, database):
    """A product of it that is ordered at the date or later is none of it yet."""
    before = engine.forecast_portfolio(category=["Dairy", "Seasonal"], as_of_date=AS_OF)
    add_line(database, product_id=NEVER, customer_id=100_001, day=0)
    assert engine.forecast_portfolio(category=["Dairy", "Seasonal"], as_of_date=AS_OF) == before
    add_line(database, product_id=NEVER, customer_id=100_001, day=-1)
    after = engine.forecast_portfolio(category=["Dairy", "Seasonal"], as_of_date=AS_OF)
    assert [row["category"] for row in after.categories] == ["Dairy", "Seasonal"]
