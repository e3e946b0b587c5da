"""A product that another replaced between two exports, and a file of such that changed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conftest import AS_OF, NOON
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError
from toolkit.export.job import ExportSettings, export_release
from toolkit.export.plan import LAST
from toolkit.export.report import Status
from toolkit.sources.replaced import Replaced, keep_replaced
from toolkit.sources.sql import as_source

OLD, NEW = 3, 4
LATER = AS_OF + timedelta(1)


@pytest.fixture
def export(database, client):
    """As the job of one night does, with an engine of its own."""

    def run(as_of_date, since=None, **changes):
        engine = ForecastEngine(database, clock=lambda: NOON)
        settings = replace(ExportSettings(as_of_date), since=since, **changes)
        return export_release(engine, client, settings)

    return run


def status_of(report):
    return {product.product_id: product.status for product in report.products}


def test_both_are_computed_once_one_replaced_the_other(database, export):
    keep_replaced(database, [Replaced(OLD, NEW, AS_OF)])
    assert status_of(export(AS_OF))[OLD] is Status.SUCCESS
    report = export(LATER, LAST)
    said = status_of(report)
    assert said[OLD] is Status.NO_PREDICTIONS
    assert said[NEW] is Status.SUCCESS
    assert 0 < report.carried < len(said) - 1
    whole = status_of(export(LATER))
    assert whole == said


def test_an_export_of_some_customers_counts_a_replaced_products_demand_once(database, export):
    """Whoever ordered it: readers would else have it at the old product, and at the new one."""
    source = as_source(database)
    (customer, *_) = sorted({*source.order_events(LATER).customer_id.tolist()})
    keep_replaced(database, [Replaced(OLD, NEW, AS_OF)])
    export(AS_OF)
    said = status_of(export(LATER, customer_ids=[customer]))
    assert said[OLD] is Status.NO_PREDICTIONS
    assert said[NEW] is Status.SUCCESS


def test_nothing_is_kept_where_another_had_been_replaced(database, export):
    export(AS_OF)
    keep_replaced(database, [Replaced(OLD, NEW, AS_OF - timedelta(9))])
    with pytest.raises(ArgumentError, match="was made with other replaced products"):
        export(LATER, AS_OF)
    report = export(LATER, LAST)
    assert report.carried == 0
    assert status_of(report)[OLD] is Status.NO_PREDICTIONS
    assert export(LATER + timedelta(1), LAST).carried > 0
