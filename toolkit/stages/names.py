"""Stage 6: customers' names, one query for all forecasts of a batch."""

from collections.abc import Collection, Iterator

from toolkit.results.fields import AtRiskCustomer, ExpectedCustomer, TopCustomer
from toolkit.results.forecast import ProductForecast
from toolkit.sources.base import OrderSource

type Named = ExpectedCustomer | TopCustomer | AtRiskCustomer


def fill_in_customer_names(source: OrderSource, forecasts: Collection[ProductForecast]) -> None:
    """Replace ``Customer 456`` by the customer's name, in forecasts fresh from stage 5."""
    ids = sorted({entry["customer_id"] for forecast in forecasts for entry in _entries(forecast)})
    names = source.customer_names(ids)
    for forecast in forecasts:
        for entry in _entries(forecast):
            entry["customer_name"] = names.get(entry["customer_id"], entry["customer_name"])


def _entries(forecast: ProductForecast) -> Iterator[Named]:
    for week in forecast.weekly_forecasts:
        yield from week["expected_customers"]
    yield from forecast.top_customers_by_volume
    yield from forecast.at_risk_customers
