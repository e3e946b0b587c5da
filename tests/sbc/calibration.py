"""Replications: draw from the prior, simulate, fit, rank. The same for every version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import xarray as xr

from models.parts.fitting.posterior import Posterior
from models.parts.fitting.sampling import for_nutpie, is_inner

RANKED_DRAWS = 99
"""L: a rank is one of 0 … L, so that ten bins hold ten ranks each."""
ENOUGH_ESS = 2 * RANKED_DRAWS
"""With as many effective draws, L of them evenly spaced are next to independent."""
TUNE, FEWEST_DRAWS, MOST_DRAWS = 300, 800, 12_800
RANKED_EFFECTS = 2
"""Of each kind of group effect, so many are ranked."""
MOST_RESTARTS = 5
"""A chain that is stuck where it began says nothing of the posterior: it begins elsewhere."""

type Values = Mapping[str, np.ndarray]


class Subject(Protocol):
    """What calibration needs to know of a version: its model, and how its data come about."""

    name: str
    model: pm.Model
    """Of a design without histories: truths are drawn from its prior."""
    effects: Sequence[str]
    """Variables with an entry for each customer, product, …: some of the entries are ranked."""
    in_full: Sequence[str]
    """Variables made of others that are ranked besides."""

    def simulate(self, truth: Values, rng: np.random.Generator) -> Any:
        """Data from one draw of all the model's variables from its prior."""

    def posterior(self, data: Any) -> Posterior:
        """What a fit to the data draws from; its values have all that is ranked."""

    def log_likelihood(self, values: Values, data: Any) -> float:
        """Of all the data, at the posterior's values or a restated truth."""

    def restate(self, truth: Values, data: Any) -> Values:
        """The variables as the model means them once it has seen the data."""


@dataclass(frozen=True)
class Replication:
    """Ranks by quantity, and how well the chain mixed."""

    number: int
    ranks: dict[str, int]
    draws: int
    least_ess: float
    divergences: int
    restarts: int


class Calibration:
    """Of one version."""

    def __init__(self, subject: Subject):
        self.subject = subject

    def truths(self, count: int, seed: int) -> list[Values]:
        """``count`` draws of all variables from the prior."""
        drawn = self.subject.model.free_RVs + self.subject.model.deterministics
        values = pm.draw(drawn, draws=count, random_seed=seed, mode="FAST_COMPILE")
        names = [variable.name for variable in drawn]
        return [dict(zip(names, each, strict=True)) for each in zip(*values, strict=True)]

    def run(self, replications: int, seed: int) -> list[Replication]:
        """One after another."""
        truths = self.truths(replications, seed)
        return [self.replicate(number, truth, seed) for number, truth in enumerate(truths)]

    def replicate(self, number: int, truth: Values, seed: int) -> Replication:
        """Of the truth with that number, whatever comes before it."""
        rng = np.random.default_rng((seed, number))
        data = self.subject.simulate(truth, rng)
        known, density = self.known(truth, data), self.subject.posterior(data)
        draws, restarts, of_chain = FEWEST_DRAWS, 0, int(rng.integers(2**31))
        while True:
            trace = nutpie.sample(
                for_nutpie(density), draws=draws, tune=TUNE, chains=1, cores=1, seed=of_chain,
                progress_bar=False, save_warmup=False, **density.trajectories[-1].settings,
            )  # fmt: skip
            posterior = trace["posterior"].to_dataset()
            if is_stuck(posterior):
                of_chain, restarts = int(rng.integers(2**31)), restarts + 1
                if restarts > MOST_RESTARTS:
                    raise RuntimeError(f"replication {number}: every chain is stuck")
                continue
            ess = az.ess(posterior[_ranked(self.subject)])
            least = min(float(np.min(values)) for values in ess.values())
            if least >= ENOUGH_ESS or draws >= MOST_DRAWS:
                break
            draws *= 4
        quantities = [self._quantities(values, data) for values in _spaced(posterior)]
        ranks = {
            name: sum(one[name] < value for one in quantities) for name, value in known.items()
        }
        diverged = int(trace["sample_stats"]["diverging"].sum())
        return Replication(number, ranks, draws, least, diverged, restarts)

    def known(self, truth: Values, data: Any) -> dict[str, float]:
        """What is ranked, at the truth that ``data`` come from."""
        return self._quantities(self.subject.restate(truth, data), data)

    def _quantities(self, values: Values, data: Any) -> dict[str, float]:
        found = {}
        for name in _ranked(self.subject):
            value = np.asarray(values[name])
            if np.ndim(value) == 0:
                found[name] = float(value)
                continue
            few = RANKED_EFFECTS if name in self.subject.effects else len(value)
            found |= {f"{name}[{i}]": float(value[i]) for i in range(few)}
        return found | {"log likelihood": self.subject.log_likelihood(values, data)}


def _spaced(posterior: xr.Dataset) -> list[Values]:
    """Evenly spaced draws."""
    draws = posterior.sizes["draw"]
    index = ((np.arange(RANKED_DRAWS) + 0.5) * draws / RANKED_DRAWS).astype(int)
    drawn = {str(name): values.to_numpy()[0, index] for name, values in posterior.items()}
    return [dict(zip(drawn, each, strict=True)) for each in zip(*drawn.values(), strict=True)]


def is_stuck(posterior: Any) -> bool:
    """Whether a variable has one value in more than half of the draws.

    A constant has as many effective draws as it has draws: by that measure a chain that never
    moves is the best there is.
    """
    for values in posterior.values():
        draws = np.moveaxis(values.to_numpy(), 1, 0)
        moved = np.any(draws[1:] != draws[:-1], axis=tuple(range(1, draws.ndim)))
        if moved.mean() < 0.5:
            return True
    return False


def _ranked(subject: Subject) -> list[str]:
    """The variables that are ranked: effects in full, and all that is not made into effects."""
    free = [v.name for v in subject.model.free_RVs if not is_inner(v.name)]
    return [*free, *subject.effects, *subject.in_full]
