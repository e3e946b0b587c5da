"""Random faults while four threads share three connections; ``make bench`` has the long run."""

from datetime import timedelta

import duckdb

from tests.sources.storm import busiest, complaints, storm
from toolkit.sources.generator import Truth, generate_orders, load_orders

FAULTS = 40


def test_every_forecast_is_right_or_failed_with_the_right_error():
    orders = generate_orders(Truth(customers=40, products=120, pairs=1200, days=300), seed=8)
    with duckdb.connect() as duck:
        load_orders(orders, duck)
        as_of = orders.truth.start_date + timedelta(280)
        products = busiest(duck, 120)
        outcome = storm(duck, products, as_of, FAULTS, at_once=2)
    assert list(complaints(outcome, FAULTS)) == []
    assert outcome.right + outcome.failed == len(products)
    assert outcome.right > len(products) / 2
    assert outcome.failed > 0
    assert len(outcome.faults) > 5
