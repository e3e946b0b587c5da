"""A fitted model that reads customers' days, made once."""

from collections.abc import Callable
from datetime import timedelta

import duckdb
import pytest

from tests.conftest import AS_OF
from toolkit.data.calendar import Calendar, Event
from toolkit.data.tables import Patterns
from toolkit.model import FitSettings, FittedModel, find_model
from toolkit.sources.generator import load_orders
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import PatternAnalyzer


def _past(kind: str, *days_before: int) -> list[Event]:
    days = [AS_OF - timedelta(back) for back in days_before]
    return [Event(day, day + timedelta(1), kind, "sales") for day in days]


EVENTS = (
    *_past("promotion", 40, 96, 150, 201, 260, 333, 390),
    *_past("fair", 61, 222),
    Event(AS_OF + timedelta(50), AS_OF + timedelta(50), "fair", "sales"),
    Event(AS_OF + timedelta(51), AS_OF + timedelta(51), "opening", "opening"),
)
"""An opening is one of a kind: there was none before the date."""


@pytest.fixture(scope="session")
def all_patterns(orders) -> Patterns:
    """Of the generated orders before ``AS_OF``, with customers' days."""
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        source = as_source(conn)
        return PatternAnalyzer(source, customer_days=True).analyze(source.order_events(AS_OF))[0]


@pytest.fixture(scope="session")
def rhythm(all_patterns) -> FittedModel:
    """Fitted briefly, on the generated orders before ``AS_OF``."""
    settings = FitSettings(method="laplace", draws=100, pairs=300)
    return find_model("rhythm").fit(all_patterns, seed=1, settings=settings)


@pytest.fixture(scope="session")
def ensemble(all_patterns) -> FittedModel:
    """As ``rhythm``, with all trees: units of its products are moved draw by draw."""
    settings = FitSettings(method="laplace", draws=100, pairs=300)
    return find_model("ensemble").fit(all_patterns, seed=1, settings=settings)


@pytest.fixture(scope="session")
def fit_with(all_patterns) -> Callable[..., FittedModel]:
    """Fits ``rhythm`` briefly, with a calendar of some events."""

    def fitted(*events: Event) -> FittedModel:
        calendar = Calendar(events=events)
        settings = FitSettings(method="laplace", draws=100, pairs=300, calendar=calendar)
        return find_model("rhythm").fit(all_patterns, seed=1, settings=settings)

    return fitted


@pytest.fixture(scope="session")
def rhythm_with_events(fit_with) -> FittedModel:
    """``rhythm``, whose calendar had the events in ``EVENTS``."""
    return fit_with(*EVENTS)
