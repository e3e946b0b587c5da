"""What an export did: a word for every product, and where the time went."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from toolkit.cache.names import KeyScalar


class Status(StrEnum):
    """What became of a product. ``NO_PREDICTIONS``: nobody ordered it before the date."""

    SUCCESS = "success"
    NO_PREDICTIONS = "no_predictions"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ProductStatus:
    """What became of one product. ``expected_quantity`` is everybody's demand over the horizon;
    None where not known.
    """

    product_id: int
    status: Status
    expected_quantity: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ExportReport:
    """An export. ``release`` is None where it was refused, and ``refusal`` says why.

    ``details`` say which model made it, from which data, and where it is in the registry.

    ``resumed`` products had been computed by an export that did not end; ``carried`` ones had no
    new orders and kept the current release's forecast.
    """

    release: str | None
    refusal: str | None
    as_of_date: date
    details: Mapping[str, KeyScalar]
    products: Sequence[ProductStatus]
    resumed: int
    carried: int
    seconds: float
    redis_seconds: float

    @property
    def published(self) -> bool:
        """Whether readers get this export."""
        return self.release is not None

    @property
    def failed(self) -> Sequence[ProductStatus]:
        """The products with an error."""
        return [product for product in self.products if product.status is Status.ERROR]

    @property
    def counts(self) -> dict[str, int]:
        """How many products came to each status; those with none count 0."""
        found = Counter(product.status for product in self.products)
        return {status.value: found[status] for status in Status}

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "release": self.release,
            "refusal": self.refusal,
            "as_of_date": self.as_of_date.isoformat(),
            **self.details,
            "counts": self.counts,
            "resumed": self.resumed,
            "carried": self.carried,
            "seconds": self.seconds,
            "redis_seconds": self.redis_seconds,
            "products": [_fields(product) for product in self.products],
        }


def _fields(product: ProductStatus) -> dict[str, object]:
    """Of a product, what is known."""
    fields = {
        "product_id": product.product_id,
        "status": product.status.value,
        "expected_quantity": product.expected_quantity,
        "error": product.error,
    }
    return {name: value for name, value in fields.items() if value is not None}
