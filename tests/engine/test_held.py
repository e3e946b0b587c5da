"""What an engine holds of products that customers were asked about: never of other orders."""

import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.contracts.test_source_contract import in_parquet
from tests.engine.test_isolation import Fragile
from tests.sources.helpers import PyformatConnection
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError
from toolkit.model import find_model
from toolkit.sources.base import state_of
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor
from toolkit.views import held
from toolkit.views.held import HeldProducts

CUSTOMER, OTHER = FIRST_CUSTOMER_ID + 3, FIRST_CUSTOMER_ID + 7

CHANGES = {
    "an order more": lambda conn: add_line(conn, product_id=2, customer_id=OTHER, day=-3),
    "a line less": lambda conn: conn.execute(
        "DELETE FROM dbo.OrderItem WHERE ProductID = 2 AND ID = (SELECT max(ID)"
        f" FROM dbo.OrderItem WHERE ProductID = 2 AND Created < DATE '{AS_OF}')"
    ),
    "orders of another day": lambda conn: conn.execute(
        f"""UPDATE dbo."Order" SET Created = DATE '{AS_OF}' WHERE ClientAgreementID = {OTHER}"""
    ),
    "another customer": lambda conn: conn.execute(
        f"UPDATE dbo.ClientAgreement SET ClientID = {OTHER} WHERE ID = {CUSTOMER}"
    ),
    "another price": lambda conn: conn.execute(
        "UPDATE dbo.OrderItem SET PricePerItem = 2 * PricePerItem WHERE ProductID = 2"
    ),
    "another name": lambda conn: conn.execute("UPDATE dbo.Product SET Name = 'New' WHERE ID = 2"),
}


class CountedModel:
    """``pair_conjugate``, which counts for how many pairs it is asked."""

    def __init__(self):
        self.model, self.pairs = find_model("pair_conjugate"), 0

    def __getattr__(self, name):
        return getattr(self.model, name)

    def predict(self, patterns, **settings):
        self.pairs += len(patterns)
        return self.model.predict(patterns, **settings)


def engine_of(conn, model=None):
    return ForecastEngine(conn, model=model, draws=20, clock=lambda: NOON)


def everybody(engine, customers=range(FIRST_CUSTOMER_ID, FIRST_CUSTOMER_ID + 60)):
    views = [engine.forecast_customer(customer_id, AS_OF) for customer_id in customers]
    return [None if view is None else view.to_dict() for view in views]


def test_each_pair_is_predicted_once_however_many_ask(database):
    model = CountedModel()
    engine = engine_of(database, model)
    first = everybody(engine)
    asked = model.pairs
    assert asked == len(engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF))[0])
    assert everybody(engine) == first
    assert model.pairs == asked


def test_what_is_held_is_what_an_engine_that_holds_nothing_says(database):
    warm = everybody(engine_of(database))
    fresh = [everybody(engine_of(database), [customer])[0] for customer in (CUSTOMER, OTHER)]
    assert fresh == [warm[3], warm[7]]


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_changes_in_the_orders_shows_at_once(database, name):
    engine = engine_of(database)
    before = everybody(engine, [CUSTOMER, OTHER])
    CHANGES[name](database)
    after = everybody(engine, [CUSTOMER, OTHER])
    assert after == everybody(engine_of(database), [CUSTOMER, OTHER]) != before


def test_a_source_that_cannot_tell_is_asked_anew(database):
    counted, model = PyformatConnection(database), CountedModel()
    engine = engine_of(counted, model)
    before = everybody(engine, [CUSTOMER])
    asked, queries = model.pairs, len(counted.queries)
    assert everybody(engine, [CUSTOMER]) == before
    assert (model.pairs, len(counted.queries)) == (2 * asked, 2 * queries)


def test_another_date_or_seed_is_another_question(database):
    engine = engine_of(database)
    known = everybody(engine, [CUSTOMER])
    assert engine.forecast_customer(CUSTOMER, "2022-05-02").to_dict() not in known
    assert everybody(engine, [CUSTOMER]) == known
    engine.predictor = CustomerPredictor(engine.predictor.model, 12, 20, seed=5)
    assert everybody(engine, [CUSTOMER]) != known


def test_only_tables_of_duckdb_tell_their_state(database):
    assert state_of(as_source(database)) == state_of(as_source(database)) is not None
    assert state_of(as_source(PyformatConnection(database))) is None
    assert state_of(as_source(in_parquet(database))) is None


def test_no_more_is_kept_than_fits(database, monkeypatch):
    monkeypatch.setattr(held, "MOST_PAIRS", 60)
    analyzer, predictor = PatternAnalyzer(as_source(database)), engine_of(database).predictor
    kept = HeldProducts()
    for product_id in known_products(database):
        (product,) = kept.of(analyzer, predictor, AS_OF, [product_id])
        sizes = [one.size for one in kept._products.values()]
        assert product.size in sizes
        assert sum(sizes) <= max(60, product.size)
    assert len(kept.of(analyzer, predictor, AS_OF, [1, 2, 3])) == 3  # though they are too many


def test_what_fails_does_not_hang_on_what_is_held(database):
    """A product all of whose pairs fail is left out beside others, and an error by itself."""
    analyzer = PatternAnalyzer(as_source(database))
    patterns, _ = analyzer.analyze(analyzer.source.order_events(AS_OF, [1]))
    broken = {(1, customer) for customer in patterns.customer_id.tolist()}
    predictor = CustomerPredictor(Fragile(raises=broken), draws=5)
    kept = HeldProducts()
    (two,) = kept.of(analyzer, predictor, AS_OF, [2])
    for _ in range(2):
        one, other = kept.of(analyzer, predictor, AS_OF, [1, 2])
        assert (one.pairs, len(one.failed), other.failed) == (None, len(broken), ())
        assert (other.pairs.customer_id == two.pairs.customer_id).all()
    with pytest.raises(PredictionError, match="failed on every pair"):
        HeldProducts().of(analyzer, predictor, AS_OF, [1])
