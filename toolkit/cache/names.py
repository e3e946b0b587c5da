"""The keys in Redis, and who reads them.

``forecast:product:{id}:{as_of}``          a forecast, for any consumer: the *plain* key
``forecast:product:{id}:{as_of}:{digest}`` one that a release must not be mixed with
``forecast:invalidated:{id}``              how often the product was invalidated
``forecast:current``                       the pointer: which release is current
``forecast:release:{release}…``            a release that is staged or kept, its index, and what
                                           it says of customers
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date

POINTER = "forecast:current"
FLIP_COUNT = "forecast:flip"
EPOCH = "forecast:epoch"
"""Tells the flips of a server from those of the same server after it was emptied."""

RELEASE_COUNT = "forecast:sequence"
REGISTRY = "forecast:releases"
"""A sorted set of the releases that were published, by the last flip they took part in."""

STAGED = "forecast:staged"
"""A hash of the releases that were not: their spec's digest and the lock they were made under."""

BEHIND = "forecast:behind"
"""A set of the releases for which the plain keys have not followed the pointer yet."""

EXPORT_LOCK = "forecast:export-lock"

AT_RISK_COUNT = "at_risk"
CUSTOMER_COUNT = "customers"
"""The fields of a release's hash that say how long its list of pairs at risk is, and of how many
customers it tells.
"""

type KeyScalar = str | int | float | None
type ComputedWith = Mapping[str, KeyScalar]


def plain_key(product_id: int, as_of_date: date) -> str:
    """The key that any consumer reads.

    >>> plain_key(123, date(2025, 11, 11))
    'forecast:product:123:2025-11-11'
    """
    return f"forecast:product:{product_id}:{as_of_date:%Y-%m-%d}"


def own_key(product_id: int, as_of_date: date, computed_with: ComputedWith) -> str:
    """The key of a forecast that was computed with something else than the release's."""
    return f"{plain_key(product_id, as_of_date)}:{digest(computed_with)[:16]}"


def invalidated_key(product_id: int) -> str:
    """Where it is counted how often the product was invalidated."""
    return f"forecast:invalidated:{product_id}"


def meta_key(release_id: str) -> str:
    """A hash: what the release is."""
    return f"forecast:release:{release_id}"


def index_key(release_id: str) -> str:
    """A hash: product id to ``sha1:length:status`` of every value of the release."""
    return f"forecast:release:{release_id}:index"


def pairs_key(release_id: str, product_id: int | str) -> str:
    """A hash: what is said of each of a product's customers (``releases/customers.py``)."""
    return f"forecast:release:{release_id}:pairs:{product_id}"


def customers_key(release_id: str) -> str:
    """A hash: customer id to the customer's name and products, as JSON."""
    return f"forecast:release:{release_id}:customers"


def at_risk_key(release_id: str) -> str:
    """A list: ``product:customer`` of all pairs at risk of the release, the gravest first."""
    return f"forecast:release:{release_id}:at-risk"


def value_prefix(release_id: str) -> str:
    """What a product id is appended to, for the release's value while it is not current."""
    return f"forecast:release:{release_id}:product:"


def digest(plain: object) -> str:
    """SHA-256 of plain data as canonical JSON.

    >>> digest({"a": 1, "b": None}) == digest({"b": None, "a": 1})
    True
    """
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
