"""What an engine holds of products that customers were asked about: never of other orders."""

import numpy as np
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.contracts.test_source_contract import in_parquet
from tests.engine.test_isolation import Fragile
from tests.sources.helpers import PyformatConnection
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError
from toolkit.model import find_model
from toolkit.sources.base import state_of
from toolkit.sources.dialects import DuckDbDialect
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.sources.sql import SqlSource, as_source
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


def test_a_column_of_any_name_hides_nothing(database):
    database.execute("ALTER TABLE dbo.OrderItem ADD COLUMN t INTEGER")
    before = state_of(as_source(database))
    database.execute("UPDATE dbo.OrderItem SET Qty = 2 * Qty WHERE ProductID = 2")
    assert state_of(as_source(database)) != before


def test_another_zone_puts_times_with_an_offset_on_other_days(database):
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    database.execute("ALTER TABLE dbo.OrderItem ALTER Created TYPE TIMESTAMP WITH TIME ZONE")
    engine = engine_of(database)
    before = everybody(engine, [CUSTOMER, OTHER])
    database.execute("SET GLOBAL TimeZone = 'America/Los_Angeles'")
    after = everybody(engine, [CUSTOMER, OTHER])
    assert after == everybody(engine_of(database), [CUSTOMER, OTHER]) != before


class Meanwhile(SqlSource):
    """Whose orders change as soon as it has told their state, once."""

    change = None

    def state(self):
        told, change = super().state(), self.change
        if change is not None:
            self.change = None
            change()
        return told


def test_what_changed_while_it_was_predicted_is_not_kept(database):
    """Tomorrow the orders may be again what they were before it."""
    source = Meanwhile(database, DuckDbDialect())
    engine = engine_of(source)
    database.execute("CREATE TABLE away AS FROM dbo.OrderItem WHERE ProductID = 2")
    source.change = lambda: database.execute("DELETE FROM dbo.OrderItem WHERE ProductID = 2")
    seen = everybody(engine, [CUSTOMER])
    database.execute("INSERT INTO dbo.OrderItem FROM away")
    again = everybody(engine, [CUSTOMER])
    assert again == everybody(engine_of(database), [CUSTOMER]) != seen


@pytest.mark.parametrize("most", [60, 20, 0])
def test_no_more_is_kept_than_fits(database, monkeypatch, most):
    monkeypatch.setattr(held, "MOST_PAIRS", most)
    analyzer, predictor = PatternAnalyzer(as_source(database)), engine_of(database).predictor
    kept = HeldProducts()
    known = known_products(database)
    for asked in (*([i] for i in known), known, [1, 2, 3]):
        products = kept.of(analyzer, predictor, AS_OF, asked)
        assert [product.product_id for product in products] == asked
        sizes = [one.size for one in kept._products.values()]
        assert sum(sizes) <= most
        assert products[-1].size in sizes or products[-1].size > most


def test_products_asked_for_last_stay(database, monkeypatch):
    """However long ago they were predicted."""
    model = CountedModel()
    analyzer = PatternAnalyzer(as_source(database))
    predictor = CustomerPredictor(model, draws=5)
    patterns, _ = analyzer.analyze(analyzer.source.order_events(AS_OF))
    ids, offset = patterns.product_offsets()
    size = dict(zip(ids.tolist(), np.diff(offset).tolist(), strict=True))
    monkeypatch.setattr(held, "MOST_PAIRS", size[1] + max(size[2], size[3]))
    kept = HeldProducts()
    for product_id in (1, 2, 1, 3, 1):
        kept.of(analyzer, predictor, AS_OF, [product_id])
    assert model.pairs == size[1] + size[2] + size[3]


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
