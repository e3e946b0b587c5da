"""Why a pair or a product is forecast as it is: what the model says of it, and whose it is."""

from datetime import date

import numpy as np

from toolkit.data.attribution import AGAINST, Against, Attribution
from toolkit.data.tables import Floats, Patterns
from toolkit.errors import ArgumentError, ModelError, PredictionError
from toolkit.model import ExplainingModel, FittedModel, Streams
from toolkit.results.explanation import Explained, Explanation
from toolkit.results.pair import FailedPair
from toolkit.results.risk import reason_of, severity_of
from toolkit.stages.discovery import discover
from toolkit.stages.listing import Thresholds, warn_of
from toolkit.stages.metadata import product_metadata
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor
from toolkit.views.making import Making


def explained(
    analyzer: PatternAnalyzer,
    making: Making,
    product_id: int,
    customer_id: int | None,
    as_of: date,
    against: Against,
    thresholds: Thresholds,
) -> Explanation | None:
    """What is expected of a product, or of one of its customers, in parts; None without orders.

    Queries of one product, or of all where a pair is held against all. Raises ``ModelError`` for a
    model that does not explain, ``PredictionError`` where the pair or every pair failed.
    """
    if against not in AGAINST:
        raise ArgumentError(f"against has to be one of {', '.join(AGAINST)}, got {against!r}")
    predictor = making.predictor
    model = explaining(predictor.model)
    of_all = customer_id is not None and against == "all"
    events = discover(analyzer.source, as_of, None if of_all else [product_id])
    patterns, broken = analyzer.analyze(events)
    failed = tuple(pair for pair in broken if pair.product_id == product_id)
    warn_of(failed)
    ours = patterns.product_id == product_id
    if customer_id is not None:
        ours &= patterns.customer_id == customer_id
    _refuse_what_failed(failed, customer_id, bool(ours.any()))
    if not ours.any():
        return None
    settings = {"weeks": predictor.weeks, "draws": predictor.draws}
    streams, reason = Streams(predictor.seed), None
    if customer_id is None:
        attribution = model.explain_product(patterns, **settings, streams=streams)
    else:
        row = int(np.flatnonzero(ours)[0])
        _check_company(patterns, product_id, against)
        attribution = model.explain_pair(patterns, row, **settings, streams=streams)
        reason = _risk(predictor, patterns, product_id, customer_id, thresholds)
    _check_finite(attribution)
    names = {} if customer_id is None else analyzer.source.customer_names([customer_id])
    what = Explained(
        product_id,
        product_metadata(analyzer.source, as_of, [product_id])[product_id].name,
        customer_id,
        None if customer_id is None else names.get(customer_id, f"Customer {customer_id}"),
        reason,
        against,
    )
    metadata = making.metadata_at(as_of, len(failed), thresholds, None)
    return Explanation.of(what, attribution, as_of, predictor.weeks, metadata)


def explaining(model: FittedModel) -> ExplainingModel:
    """The model, if it says what its forecasts are made of; else ``ModelError``."""
    if not isinstance(model, ExplainingModel):
        raise ModelError(
            f"{model.name} does not say what its forecasts are made of: take a fitted version that "
            "does, such as rhythm"
        )
    return model


def _check_company(patterns: Patterns, product_id: int, against: Against) -> None:
    """``ArgumentError`` where the pair is alone: it would be its own typical one."""
    if len(patterns) > 1:
        return
    said = f"product {product_id} has one customer, and nobody to hold them against"
    more = "; hold them against all products" if against == "product" else ", nor has another one"
    raise ArgumentError(said + more)


def _refuse_what_failed(
    failed: tuple[FailedPair, ...], customer_id: int | None, left: bool
) -> None:
    """What failed is neither nothing nor explained."""
    lost = [pair for pair in failed if customer_id in (None, pair.customer_id)]
    if lost and not left:
        raise PredictionError(
            f"product {lost[0].product_id}, customer {lost[0].customer_id} could not be predicted: "
            f"{lost[0].reason}"
        )


def _risk(
    predictor: CustomerPredictor,
    patterns: Patterns,
    product_id: int,
    customer_id: int,
    thresholds: Thresholds,
) -> str | None:
    """Why the pair is at risk, by the rule of forecasts; None if it is not, or failed."""
    predictions, _ = predictor.predict(patterns.select(patterns.product_id == product_id))
    known, pairs = predictions.patterns, predictions.pairs
    rows = np.flatnonzero(known.customer_id == customer_id).tolist()
    if not rows or known.order_count[rows[0]] < thresholds.min_orders:
        return None
    severity = severity_of(known.order_count, pairs, thresholds.min_confidence)
    return reason_of(int(severity[rows[0]]), pairs, known.open_interval, rows[0])


def _check_finite(attribution: Attribution) -> None:
    draws: list[Floats] = [attribution.base, attribution.expected]
    draws += [part.amount for part in attribution.parts]
    if not np.isfinite(np.concatenate(draws)).all():
        raise PredictionError("the prediction that is to be explained is not finite")
