"""A fitted model that reads customers' days, made once."""

import duckdb
import pytest

from tests.conftest import AS_OF
from toolkit.model import FitSettings, FittedModel, find_model
from toolkit.sources.generator import load_orders
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import PatternAnalyzer


@pytest.fixture(scope="session")
def rhythm(orders) -> FittedModel:
    """Fitted briefly, on the generated orders before ``AS_OF``."""
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        source = as_source(conn)
        events = source.order_events(AS_OF)
        patterns, _ = PatternAnalyzer(source, customer_days=True).analyze(events)
    settings = FitSettings(method="laplace", draws=100, pairs=300)
    return find_model("rhythm").fit(patterns, seed=1, settings=settings)
