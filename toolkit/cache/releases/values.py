"""What a release holds of a product, as bytes: made wherever the product is forecast."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

from toolkit.cache.envelope import Fields, UnusableError, dated, encode
from toolkit.cache.names import ComputedWith
from toolkit.errors import CacheError
from toolkit.results.pair_rows import PairRows

SUCCESS = "success"
NO_PREDICTIONS = "no_predictions"


@dataclass(frozen=True, slots=True)
class Value:
    """What is staged of a product.

    ``content`` lies under its key; ``status`` is ``success`` or ``no_predictions``; ``facts`` are
    what its pairs share, as JSON.
    """

    content: bytes
    status: str
    facts: str
    pairs: PairRows

    @property
    def entry(self) -> str:
        """What the release's index holds of it."""
        return f"{hashlib.sha1(self.content).hexdigest()}:{len(self.content)}:{self.status}"


def value_of(
    release_id: str,
    as_of: date,
    product_id: int,
    forecast: Fields | None,
    computed_with: ComputedWith,
    pairs: PairRows,
) -> Value:
    """A forecast (``ProductForecast.to_dict()``), or None for "nothing to forecast".

    Raises ``CacheError`` for what is no forecast.
    """
    nothing = dated(as_of, datetime.now(UTC)) if forecast is None else None
    try:
        content = encode(product_id, forecast, computed_with, nothing, release_id)
    except UnusableError as flaw:
        raise CacheError(f"the forecast of product {product_id} {flaw}") from None
    status = NO_PREDICTIONS if forecast is None else SUCCESS
    return Value(content, status, _facts(as_of, forecast), pairs)


def _facts(as_of: date, forecast: Fields | None) -> str:
    summary = {} if forecast is None else forecast["summary"]
    assert isinstance(summary, dict)
    facts = {
        "as_of_date": as_of.isoformat(),
        "product_name": summary.get("product_name"),
        "unit_price": summary.get("unit_price"),
        "weeks": 0 if forecast is None else forecast["forecast_period_weeks"],
    }
    return json.dumps(facts, separators=(",", ":"))
