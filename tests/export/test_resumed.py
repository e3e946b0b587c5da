"""An export goes on where another was cut short, and its release is of one state of the data."""

from dataclasses import replace

import pytest

from models.pair_conjugate import PairConjugate
from tests.conftest import AS_OF, NOON, known_products
from tests.export.test_job import Failing, export, plain
from toolkit.results.forecast import ProductForecast


@pytest.fixture
def failing(database):
    return Failing(database, clock=lambda: NOON)


class Coupled(PairConjugate):
    """Reads the days on which customers ordered anything, as some fitted models do."""

    reads_customer_days = True


CHANGES = {
    "nothing": ("SELECT 1", 11),
    "prices": ("UPDATE dbo.OrderItem SET PricePerItem = 2 * PricePerItem", 0),
    "product names": ("UPDATE dbo.Product SET Name = 'new ' || ID", 0),
    "customer names": ("UPDATE dbo.Client SET Name = 'new ' || ID", 0),
    "later orders": (f"UPDATE dbo.OrderItem SET PricePerItem = 9 WHERE Created >= '{AS_OF}'", 11),
}


@pytest.mark.parametrize(("change", "resumed"), CHANGES.values(), ids=CHANGES)
def test_a_release_never_mixes_old_names_and_prices_with_new_ones(
    failing, database, client, change, resumed
):
    failing.broken = frozenset({3})
    assert not export(failing, client).published
    database.execute(change)
    failing.broken = frozenset()
    report = export(failing, client)
    assert report.resumed == resumed
    expected = failing.generate_forecasts(known_products(database), AS_OF)
    for product_id, forecast in expected.items():
        assert ProductForecast.from_dict(plain(client, product_id)) == forecast


def test_some_products_are_resumed_where_their_customers_ordered_on_the_same_days(
    failing, database, client
):
    """Orders of other products are no part of the data of these, and a model may read them."""
    some = {"product_ids": [1, 2, 3]}

    def resumed(change):
        failing.broken = frozenset({3})
        assert not export(failing, client, **some).published
        change()
        failing.broken = frozenset()
        return export(failing, client, **some).resumed

    def order_another_product():
        database.execute(
            "UPDATE dbo.OrderItem SET Created = Created - INTERVAL 1 DAY WHERE ProductID > 3"
        )

    assert resumed(order_another_product) == 2
    failing.predictor = replace(failing.predictor, model=Coupled())
    assert resumed(order_another_product) == 0
    assert resumed(lambda: None) == 2
