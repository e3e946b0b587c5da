"""Predictive draws of products' weekly demand, with named dimensions.

A forecast itself is plain data, kept in caches and sent as JSON: draws have no place in it. They
are drawn again from the same streams, and are those that its quantiles were taken from.
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.installed import need
from toolkit.results.metadata import ModelMetadata
from toolkit.stages.discovery import discover
from toolkit.stages.listing import warn_of
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor, concatenated, in_chunks
from toolkit.views.products import named

if TYPE_CHECKING:
    import xarray as xr

type _Made = Literal[
    "as_of_date", "generated_at", "model_name", "model_version", "seed", "registered_version",
    "mlflow_run_id", "data_sha256", "fitted_as_of_date",
]  # fmt: skip

DIMENSIONS = ("product", "week", "draw")
MADE: tuple[_Made, ...] = (
    "as_of_date", "generated_at", "model_name", "model_version", "seed", "registered_version",
    "mlflow_run_id", "data_sha256", "fitted_as_of_date",
)  # fmt: skip
"""What a dataset's attributes say of how it was made, where it applies."""


def draws_of(
    analyzer: PatternAnalyzer,
    predictor: CustomerPredictor,
    product_ids: Sequence[int] | None,
    as_of: date,
    metadata: ModelMetadata,
) -> "xr.Dataset":
    """``orders`` and ``quantity`` [product, week, draw] of products that were ordered before."""
    dataset = need("xarray", "draws").Dataset
    patterns, broken = analyzer.analyze(discover(analyzer.source, as_of, product_ids))
    parts, failed = [], [*broken]
    for chunk in in_chunks(predictor, patterns):
        predictions, failures = predictor.predict(chunk)
        failed += failures
        parts.append(predictions.products)
    warn_of(failed)
    products = concatenated(parts)
    starts = DAYS_PER_WEEK * np.arange(predictor.weeks)
    info = named(analyzer.source, as_of, products.product_id, None)
    made_by: dict[str, object] = {n: metadata[n] for n in MADE if metadata[n] is not None}
    made_by["failed_pairs"] = len(failed)
    made: xr.Dataset = dataset(
        {
            "orders": (DIMENSIONS, products.orders.astype(float)),
            "quantity": (DIMENSIONS, products.quantity.astype(float), {"units": "units"}),
        },
        coords={
            "product": products.product_id,
            "week": np.arange(1, predictor.weeks + 1),
            "draw": np.arange(predictor.draws),
            "product_name": ("product", np.array(info.names, dtype=object)),
            "week_start_date": (
                "week",
                np.datetime64(as_of, "s") + starts.astype("timedelta64[D]"),
            ),
        },
        attrs=made_by,
    )
    return made
