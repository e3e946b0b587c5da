"""Ways to set an order-up-to level, each with one knob that trades stock against service.

``draws``: quantiles of the model's draws, as ``toolkit plan`` sets it. Beside it, what people use:
the mean of the last 26 weeks and z standard deviations, and the largest demand of as many weeks
in a row as the protection interval has. These know weeks without an order as such, and take weeks
as independent and days as alike.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import ndtri

from toolkit.data.tables import DAYS_PER_WEEK, Floats
from toolkit.replenishment.levels import ProtectedDemand, reaching
from toolkit.replenishment.policy import Target

HISTORY_WEEKS = 26

SHARES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 0.995)
"""Targets that trace what service costs; those asked for come in between."""

MULTIPLES = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Beyond the largest share draws say no more: multiples of its level."""

DEVIATIONS = (3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
"""As many standard deviations, beyond those of the shares."""

FACTORS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0)
"""What the largest demand is multiplied with, to the same end."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule may look at: units by week before the date, and the model's draws after it."""

    history: Floats  # [products, weeks], the last week last
    days: float  # of the protection interval, expected
    demand: ProtectedDemand


type Levels = Callable[[Known], Callable[[float], Floats]]
"""From what is known to the levels [products] for a setting of the knob."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its level for a setting of its knob, [products], and the setting for a target.

    ``model``: whose draws it looks at; None where it looks at none. ``target``: what its knob is
    set for; None where it can be set for nothing. ``knobs``: settings that trace its trade-off.
    """

    name: str
    model: str | None
    levels: Levels
    setting: Callable[[float], float]
    knobs: tuple[float, ...]
    target: Target | None = "service_level"


def rules_of(models: tuple[str, ...], targets: tuple[float, ...]) -> tuple[Rule, ...]:
    """Two for each model, for the service level and for the fill rate, and two without any."""
    shares = tuple(sorted({*SHARES, *targets}))
    kinds: tuple[Target, ...] = ("service_level", "fill_rate")
    deviations = tuple(sorted({*map(_z, shares), *DEVIATIONS}))
    return (
        *(
            Rule(
                f"{model}, {kind.replace('_', ' ')}",
                model,
                _by_draws(kind, shares[-1]),
                _itself,
                (*shares, *MULTIPLES),
                kind,
            )
            for model in models
            for kind in kinds
        ),
        Rule(f"mean + z sd, {HISTORY_WEEKS} weeks", None, mean_and_deviation, _z, deviations),
        Rule(f"max of {HISTORY_WEEKS} weeks", None, largest, _once, FACTORS, None),
    )


def mean_and_deviation(known: Known) -> Callable[[float], Floats]:
    """μ n + z σ √n for n weeks: mean and deviation of the weeks before the date."""
    weeks = known.days / DAYS_PER_WEEK
    mean, deviation = known.history.mean(axis=1), known.history.std(axis=1, ddof=1)
    return lambda z: np.maximum(mean * weeks + z * deviation * math.sqrt(weeks), 0.0)


def largest(known: Known) -> Callable[[float], Floats]:
    """A factor times the largest demand of so many weeks in a row before the date.

    Where the interval is no whole number of weeks, that of the weeks that hold it, in proportion.
    """
    weeks = min(math.ceil(known.days / DAYS_PER_WEEK), known.history.shape[1])
    sums = sliding_window_view(known.history, weeks, axis=1).sum(axis=2)
    most = sums.max(axis=1) * known.days / (DAYS_PER_WEEK * weeks)
    return lambda factor: factor * most


def _by_draws(kind: Target, most: float) -> Levels:
    """Levels for a share; a setting above 1 is a multiple of the level of the share ``most``."""

    def levels(known: Known) -> Callable[[float], Floats]:
        reach, products = reaching(known.demand, kind), len(known.history)
        return lambda setting: (
            max(setting, 1.0) * reach(np.full(products, setting if setting < 1 else most))
        )

    return levels


def _itself(target: float) -> float:
    return target


def _once(target: float) -> float:
    return 1.0


def _z(target: float) -> float:
    return float(ndtri(target))
