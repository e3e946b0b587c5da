"""What answers hold, for the OpenAPI document; nothing is checked or encoded by these."""

from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, Field

from toolkit.results.customer_fields import CustomerProduct, CustomerSummary
from toolkit.results.fields import AtRiskCustomer, Summary, TopCustomer, WeeklyForecast
from toolkit.results.metadata import ModelMetadata


class Forecast(BaseModel):
    """A product's forecast as it was exported, and what it was computed with."""

    product_id: int
    forecast_period_weeks: int
    summary: Summary
    weekly_forecasts: list[WeeklyForecast]
    top_customers_by_volume: list[TopCustomer]
    at_risk_customers: list[AtRiskCustomer]
    model_metadata: ModelMetadata
    release: str
    computed_with: dict[str, Any]


class ForecastAnswer(BaseModel):
    """The forecast of a product; null where there is nothing to forecast."""

    product_id: int
    release: str
    forecast: Forecast | None


class BatchAnswer(BaseModel):
    """Forecasts by what was asked for, all of one release; ``unknown`` it does not serve."""

    release: str
    forecasts: dict[str, Forecast | None]
    unknown: list[str]


class Release(BaseModel):
    """The release that is current."""

    release: str
    as_of_date: str
    published_at: str
    expires_at: str
    products: int
    age_s: float
    stale_s: Annotated[float | None, Field(description="Null: the cache confirmed it just now.")]
    computed_with: dict[str, Any]
    details: dict[str, Any]


class AtRiskCustomerOf(AtRiskCustomer):
    """A customer to call, and about which product."""

    product_id: int
    product_name: str


class AtRiskAnswer(BaseModel):
    """The gravest first: the lowest chance of another order. ``total``: so many there are."""

    release: str
    total: int
    customers: list[AtRiskCustomerOf]


class ReleasedProduct(CustomerProduct):
    """A product of a customer, as of the date that the product's forecast was made as of."""

    as_of_date: str


class CustomerView(TypedDict):
    """What a customer orders next: all products that they ordered before, the soonest first."""

    customer_id: int
    forecast_period_weeks: int
    summary: CustomerSummary
    products: list[ReleasedProduct]


class CustomerAnswer(BaseModel):
    """The view of a customer; null where all that they ordered was taken out of the release."""

    customer_id: int
    release: str
    forecast: CustomerView | None


class Problem(BaseModel):
    """What went wrong, in one sentence (RFC 9457)."""

    title: str
    status: int
    detail: str


class Alive(BaseModel):
    """``alive`` or ``ready``."""

    status: str
