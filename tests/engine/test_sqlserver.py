"""A model that reads customers' days, on orders in a SQL Server."""

import json
from contextlib import closing

from tests.conftest import AS_OF, NOON, known_products
from tests.sources.sales import Sales
from tests.tds.server import TdsServer
from toolkit.engine import ForecastEngine


def test_a_forecast_is_four_queries_and_duckdbs_to_the_byte(database, rhythm):
    products = known_products(database)

    def forecasts(conn):
        engine = ForecastEngine(conn, model=rhythm, draws=20, clock=lambda: NOON)
        made = engine.generate_forecasts(products, AS_OF)
        return json.dumps({i: f and f.to_dict() for i, f in made.items()}).encode()

    with TdsServer({"Sales": database}) as server:
        with closing(Sales(database, server).connect()) as conn:
            server.seen.batches.clear()
            found = forecasts(conn)
        assert len(server.seen.queries) == 4
        assert server.wait_for_sessions(0) == 0
    assert found == forecasts(database)
