"""What ``pooled_gamma`` and ``lapse_gamma`` have in common: fitting, predicting, saving."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.card import sampled_card
from models.parts.fitting.checks import PRIOR_DRAWS
from models.parts.fitting.inference import Inference, thinned
from models.parts.fitting.posterior_file import Fit, draw_last, read_fit
from models.parts.fitting.prior import with_given
from models.parts.gamma.checks import predictive_checks
from models.parts.gamma.population import Population
from models.parts.gamma.prior import OF_LAPSES, GammaPrior
from models.parts.kernels.compile_caches import kept_code
from models.parts.pair.sizes import URN_WEIGHT
from toolkit.data.tables import Floats, Ints, PairDraws, Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.model import (
    DEFAULT_SETTINGS,
    GRANULARITIES,
    FitSettings,
    Granularity,
    Progress,
    Streams,
    ignore,
)
from toolkit.results.fit import FitCard

REGULARITIES = np.array([1, 2, 4, 8, 16])
TUNE = 150
"""Steps before the first draw: the coordinates leave little to be learned."""
DIMENSIONS = {
    "customer": "customer_effect",
    "product": "product_effect",
    "tilt": "product_effect",
    "regularity": "multiple_of_shape",
    "customer_id": "customer_effect",
    "product_id": "product_effect",
}
"""What the dimensions of parameters are called, in a posterior's file."""
EFFECTS = ("customer", "product", "tilt")
"""Of each customer or product; their scales are parameters."""


@dataclass(frozen=True, slots=True)
class GammaVersion:
    """A model before its fit; ``lapse``: pairs lapse and regularity varies by product."""

    name: str
    formulas: str
    description: str = field(repr=False)
    lapse: bool
    reads_customer_days: ClassVar[bool] = False
    granularities: ClassVar[tuple[Granularity, ...]] = GRANULARITIES

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> "FittedGamma":
        """Sample the population posterior from all pairs, or from ``settings.pairs`` of them."""
        if not np.any(patterns.interval_count > 0):
            raise ModelError(
                f"{self.name} learns from intervals, and no pair has two orders "
                f"before {patterns.as_of_date}: nothing to fit; "
                "pair_conjugate forecasts without a fit"
            )
        with kept_code():
            from models.parts.fitting.densities import power_scaling
            from models.parts.fitting.laplace import approximate
            from models.parts.fitting.sampling import draw_prior, sample, without_inner
            from models.parts.gamma.data import FitData
            from models.parts.gamma.model import build_model
            from models.parts.gamma.pointwise import densities
            from models.parts.gamma.posterior import GammaPosterior

        used = choose_pairs(patterns, settings.pairs, seed)
        data = FitData.of(patterns, used, REGULARITIES)
        prior_given = with_given(
            GammaPrior(), settings.prior, self.name, () if self.lapse else OF_LAPSES
        )
        plain = build_model(data, prior_given, lapse=self.lapse)
        with kept_code():
            prior = draw_prior(plain, PRIOR_DRAWS, seed)
            density = GammaPosterior(data, prior_given, lapse=self.lapse)
        sampled, statistics, diagnostics = (
            approximate(density, settings, seed)
            if settings.method == "laplace"
            else sample(density, settings, seed, progress, TUNE)
        )
        posterior = without_inner(sampled)
        ids = {"customer_id": data.customer_id, "product_id": data.product_id}
        drawn = {str(name): thinned(array.to_numpy()) for name, array in posterior.items()}
        made = predictive_checks(
            patterns.select(np.isin(np.arange(len(patterns)), used)),
            _population(ids | prior),
            _population(ids | drawn),
            np.random.default_rng(seed),
        )
        inference = Inference.of(
            posterior, statistics, prior, made, ids, DIMENSIONS,
            {"customer_effect": data.customer_id, "product_effect": data.product_id,
             "multiple_of_shape": REGULARITIES},
            densities(density, plain, sampled, statistics),
        )  # fmt: skip
        card = sampled_card(
            self, inference.arrays, patterns, len(used), seed, settings, diagnostics,
            made.checks(),
            power_scaling(inference, [str(n) for n in posterior if n not in EFFECTS]),
        )  # fmt: skip
        return FittedGamma.of(card, inference)

    def load(self, folder: Path) -> "FittedGamma":
        """Read what ``save`` wrote. Raises ``ModelError`` on anything else."""
        return FittedGamma.of(*read_fit(folder, self.name, self.formulas))


@dataclass(frozen=True, slots=True, repr=False)
class FittedGamma(Fit):
    """A version with draws of its population posterior."""

    population: Population = field(repr=False)
    reads_customer_days: ClassVar[bool] = False
    granularities: ClassVar[tuple[Granularity, ...]] = GRANULARITIES

    @classmethod
    def of(cls, card: FitCard, inference: Inference) -> "FittedGamma":
        """From what is saved."""
        arrays = inference.arrays
        return cls(card, arrays, _population(arrays), inference=inference)

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product over ``weeks`` weeks; ``draws`` paths per pair."""
        return self.population.predict(patterns, weeks=weeks, draws=draws, streams=streams)

    def predict_again(
        self,
        patterns: Patterns,
        rows: Ints,
        number: int,
        *,
        weeks: int,
        draws: int,
        streams: Streams,
    ) -> PairDraws:
        """Draw the pairs in ``rows`` once more."""
        return self.population.predict_again(
            patterns, rows, number, weeks=weeks, draws=draws, streams=streams
        )

    def predict_apart(
        self, patterns: Patterns, rows: Ints, *, weeks: int, draws: int, streams: Streams
    ) -> PairDraws:
        """What the pairs in ``rows`` order in each draw."""
        return self.population.predict_apart(
            patterns, rows, weeks=weeks, draws=draws, streams=streams
        )


def choose_pairs(patterns: Patterns, pairs: int | None, seed: int) -> Ints:
    """Rows of ``pairs`` pairs, ascending: a random sample, or all where there are no more."""
    count = len(patterns)
    if pairs is None or pairs >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, pairs, replace=False))


def _population(arrays: dict[str, NDArray[Any]]) -> Population:
    """The draws as predictions want them: the draw last."""

    def of(name: str) -> Floats:
        return draw_last(arrays[name])

    zeros = np.zeros(len(arrays["shape"]))
    products = len(arrays["product_id"])
    has_lapse = "lapse" in arrays
    concentration = of("lapse_concentration") if has_lapse else zeros
    alpha = of("lapse") * concentration if has_lapse else zeros
    return Population(
        regularities=REGULARITIES,
        urn_weight=URN_WEIGHT,
        shape=of("shape"),
        log_typical=of("log_typical"),
        customer_scale=of("customer_scale"),
        product_scale=of("product_scale"),
        tilt_scale=of("tilt_scale") if has_lapse else zeros,
        log_weight=np.log(of("regularity")),
        alpha=alpha,
        beta=concentration - alpha,
        arrival_shape=of("arrival_shape"),
        arrival_rate=of("arrival_shape") * of("arrival_days"),
        customer_id=arrays["customer_id"],
        customer=of("customer"),
        product_id=arrays["product_id"],
        product=of("product"),
        tilt=of("tilt") if has_lapse else np.zeros((products, len(zeros))),
    )
