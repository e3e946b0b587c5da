"""``pair_conjugate``: every pair's rhythm in closed form, at its product's level. Needs no fit.

What it assumes
    Intervals between a pair's orders are Gamma(k, k λ): 1/λ is the pair's mean interval in days
    and k its regularity (1: memoryless, 32: clockwork). A pair's rate is λ ~ Gamma(a, a μ), its
    regularity one of ``REGULARITIES``, both with the fixed priors below.
    The open interval counts as evidence: the next order is later than that.
    From the as-of date on a pair's time runs as many times as fast as the last twelve weeks of it
    and of its product say, beside what its rate let expect (``models/parts/pair/levels.py``).
    What is not known of a product's level is a frailty that its pairs share in each draw
    (``models/parts/kernels/paths.py``). Nothing else is shared.
    A pair that orders again after a pause of more than a year that its rhythm does not explain has
    begun anew: intervals before it tell nothing (``models/parts/pair/pauses.py``).
    Order sizes follow a Pólya urn (Blackwell & MacQueen 1973) over the pair's own past sizes, each
    weighing less the older it is, with ``urn_weight`` further balls drawn from the product's sizes.
    Customers new to the product arrive at a Gamma-Poisson rate and then order like any pair.

When it is right
    Pairs with a dozen orders or more and a steady rhythm; memoryless pairs.

When it is wrong
    Short histories (it cannot borrow from the customer, nor a rhythm from the product), customers
    who left (nobody ever lapses here: P(alive) is 1; an overdue pair slows down, and a product
    whose customers leave is expected less of as a whole), seasons, fixed delivery weekdays. It is
    the baseline that the other versions have to beat.

Parameters (fixed, weakly informative; durations in days)
    rate_shape a = ½, typical_interval μ = 90: the shape of Jeffreys' prior for a rate, around one
    order a quarter; 8 pairs in 10 between 33 days and 15 years. 2 a has to be a whole number.
    regularity weights: each doubling of k is half as likely as the one before.
    levels: worth 3 orders of a pair and 1 of a product, over 84 days; variance of their drift .05.
    urn_weight = ½: one's own last size outweighs the product's, in the first half year.
    A size loses half its weight in 180 days.
    arrival shape 0.5, rate 91: half a new customer per product and quarter, known very vaguely.

How it predicts
    Given k the posterior of λ is Gamma(A, B) and all that is said of the next order is exact
    (``models/parts/kernels/renewal.py``), at the level as at a level of 1. Orders after the next
    one, their sizes, and what pairs share are drawn.

Sources
    Blackwell & MacQueen (1973), doi:10.1214/aos/1176342372. Schmittlein, Morrison & Colombo
    (1987), doi:10.1287/mnsc.33.1.1, for the gamma mixture of rates. Clayton (1978),
    doi:10.1093/biomet/65.1.141, for the frailty. Formulas: renewal.py, levels.py, paths.py.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from models.parts.kernels.paths import NewPairs
from models.parts.kernels.renewal import (
    PairPosterior,
    condition_on_open_interval,
    log_intervals,
)
from models.parts.pair.arrivals import ArrivalPrior, arrival_posteriors
from models.parts.pair.forecast import Outlook, forecast, forecast_again, forecast_apart
from models.parts.pair.levels import levels
from models.parts.pair.pauses import Intervals, since_pause
from models.parts.pair.sizes import URN_WEIGHT
from toolkit.data.tables import Floats, Ints, PairDraws, Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.model import (
    DEFAULT_SETTINGS,
    GRANULARITIES,
    FitSettings,
    FittedModel,
    Granularity,
    Progress,
    Streams,
    ignore,
)

NAME = "pair_conjugate"
FORMULAS = "5"
PARAMETERS_FILE = "parameters.json"
REGULARITIES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class PairConjugate:
    """The model with its hyperparameters; see the module's docstring."""

    reads_customer_days: ClassVar[bool] = False
    granularities: ClassVar[tuple[Granularity, ...]] = GRANULARITIES

    rate_shape: float = 0.5
    typical_interval: float = 90.0
    urn_weight: float = URN_WEIGHT
    arrivals: ArrivalPrior = field(default_factory=lambda: ArrivalPrior(0.5, 91.0))

    def __post_init__(self) -> None:
        """Refuse hyperparameters that the formulas do not cover."""
        halves = 2 * self.rate_shape
        if halves < 1 or halves != round(halves):
            raise ModelError(f"rate_shape has to be ½, 1, 1½, …; got {self.rate_shape}")
        for name in ("typical_interval", "urn_weight"):
            if not getattr(self, name) > 0:
                raise ModelError(f"{name} has to be above 0; got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return NAME

    @property
    def version(self) -> str:
        """The formulas' version and a digest of the hyperparameters."""
        return _version(self)

    @property
    def warnings(self) -> tuple[str, ...]:
        """None: nothing is sampled."""
        return ()

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> FittedModel:
        """Itself: there is nothing to learn that pairs share."""
        return self

    def posterior(self, patterns: Patterns) -> PairPosterior:
        """Every pair's exact posterior, given its intervals and the open one."""
        return self._posterior(patterns, self._known(patterns))

    def outlook(self, patterns: Patterns) -> Outlook:
        """What the weeks to come are drawn from: the posterior, at the level of late."""
        known = self._known(patterns)
        posterior = self._posterior(patterns, known)
        level = levels(patterns, known, 1 / posterior.expected_interval())
        new_pairs = self.new_pairs(patterns)
        return Outlook(posterior.at_pace(level.pace), level.variance, new_pairs, self.urn_weight)

    def _known(self, patterns: Patterns) -> Intervals:
        return since_pause(patterns, lambda some: logsumexp(self._log_weights(some), axis=1))

    def _posterior(self, patterns: Patterns, known: Intervals) -> PairPosterior:
        k = np.array(REGULARITIES)
        A = self.rate_shape + k * known.m[:, None]
        B = self.rate_shape * self.typical_interval + k * known.S[:, None]
        return condition_on_open_interval(self._log_weights(known), A, B, k, patterns.open_interval)

    def _log_weights(self, known: Intervals) -> Floats:
        """log p(intervals and regularity) of each pair, [pairs, components]."""
        m, S, L = (column[:, None] for column in known)
        by_regularity: Floats = np.log(regularity_prior()) + log_intervals(
            self.rate_shape, self.typical_interval, np.array(REGULARITIES), m, S, L
        )
        return by_regularity

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product over ``weeks`` weeks; ``draws`` paths per pair."""
        return forecast(
            patterns,
            self.outlook(patterns),
            weeks=weeks,
            draws=draws,
            streams=streams,
        )

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
        return forecast_again(
            patterns,
            self.outlook(patterns),
            rows,
            number,
            weeks=weeks,
            draws=draws,
            streams=streams,
        )

    def predict_apart(
        self, patterns: Patterns, rows: Ints, *, weeks: int, draws: int, streams: Streams
    ) -> PairDraws:
        """What the pairs in ``rows`` order in each draw."""
        return forecast_apart(
            patterns,
            self.outlook(patterns),
            rows,
            weeks=weeks,
            draws=draws,
            streams=streams,
        )

    def new_pairs(self, patterns: Patterns) -> NewPairs:
        """How customers new to each product arrive, and the prior they then order by."""
        shape, rate = arrival_posteriors(patterns, self.arrivals)
        k = np.array(REGULARITIES)
        return NewPairs(
            arrival_shape=shape,
            arrival_rate=rate,
            weights=regularity_prior(),
            A=self.rate_shape,
            B=np.full(len(k), self.rate_shape * self.typical_interval),
            k=k,
        )

    def save(self, folder: Path) -> None:
        """Write name, version and hyperparameters as JSON."""
        content = {"model": NAME, "version": self.version, "parameters": asdict(self)}
        (folder / PARAMETERS_FILE).write_text(json.dumps(content, indent=2) + "\n")

    def load(self, folder: Path) -> FittedModel:
        """Read what ``save`` wrote; ``ModelError`` on anything else."""
        return load(folder)


def regularity_prior() -> Floats:
    """Prior weights of ``REGULARITIES``: halved with every doubling of k."""
    weights = 0.5 ** np.arange(len(REGULARITIES))
    prior: Floats = weights / weights.sum()
    return prior


@cache
def _version(model: PairConjugate) -> str:
    digest = hashlib.sha256(json.dumps(asdict(model), sort_keys=True).encode()).hexdigest()
    return f"{FORMULAS}-{digest[:8]}"


def load(folder: Path) -> PairConjugate:
    """The saved model in ``folder``. Raises ``ModelError`` where it cannot be used."""
    path = folder / PARAMETERS_FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        parameters = content["parameters"]
        model = PairConjugate(**{**parameters, "arrivals": ArrivalPrior(**parameters["arrivals"])})
        saved = content["model"], content["version"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ModelError(f"{path} does not hold the parameters of {NAME}: {exc}") from exc
    if saved != (NAME, model.version):
        raise ModelError(f"{path} holds {' '.join(map(str, saved))}, not {NAME} {model.version}")
    return model


MODEL = PairConjugate()
