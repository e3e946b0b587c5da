"""Replications: draw from the prior, simulate, fit, rank. The same for every version."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import arviz as az
import numpy as np
import nutpie
import pymc as pm

from models.parts.fitting.held import packed

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
    """The model of a design without histories; its data can be exchanged."""
    sampled: pm.Model
    """The same in the coordinates in which it is sampled; its data can be exchanged, too."""
    given: Sequence[str]
    """Variables of both that say all of the data's distribution."""
    settings: Mapping[str, Any]
    """Of nutpie."""
    effects: Sequence[str]
    """Variables with an entry for each customer, product, …: some of the entries are ranked."""
    in_full: Sequence[str]
    """Variables made of others that are ranked besides."""

    def simulate(self, truth: Values, rng: np.random.Generator) -> Any:
        """Data from one draw of all the model's variables from its prior."""

    def columns(self, data: Any) -> dict[str, np.ndarray]:
        """The data that the model holds, by name."""

    def sampled_columns(self, data: Any) -> dict[str, np.ndarray]:
        """The data as the sampled model's."""

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
    """A version's model, compiled once, and what is ranked of it."""

    def __init__(self, subject: Subject):
        self.subject = subject
        model = subject.model
        self._evaluate = model.compile_fn(
            [*_ranked(subject).values(), _log_likelihood(model)],
            inputs=[model[name] for name in subject.given],
            point_fn=False,
            mode="FAST_COMPILE",
            on_unused_input="ignore",
        )

    @cached_property
    def posterior(self) -> Any:
        """The model compiled for NUTS."""
        return nutpie.compile_pymc_model(self.subject.sampled)

    def truths(self, count: int, seed: int) -> list[Values]:
        """``count`` draws of all variables from the prior."""
        drawn = self.subject.model.free_RVs + self.subject.model.deterministics
        values = pm.draw(drawn, draws=count, random_seed=seed, mode="FAST_COMPILE")
        names = [variable.name for variable in drawn]
        return [dict(zip(names, each, strict=True)) for each in zip(*values, strict=True)]

    def run(self, replications: int, seed: int, part: slice = slice(None)) -> Iterator[Replication]:
        """Those of ``replications`` that lie in ``part``, one after another."""
        for number, truth in list(enumerate(self.truths(replications, seed)))[part]:
            yield self._replicate(number, truth, np.random.default_rng((seed, number)))

    def _replicate(self, number: int, truth: Values, rng: np.random.Generator) -> Replication:
        data = self.subject.simulate(truth, rng)
        columns = packed(self.subject.sampled_columns(data))
        known = self.known(truth, data)
        sampler, seed = self.posterior.with_data(**columns), int(rng.integers(2**31))
        draws, restarts = FEWEST_DRAWS, 0
        while True:
            trace = nutpie.sample(
                sampler, draws=draws, tune=TUNE, chains=1, cores=1, seed=seed,
                progress_bar=False, save_warmup=False, **self.subject.settings,
            )  # fmt: skip
            posterior = trace["posterior"].to_dataset()
            if is_stuck(posterior[self.subject.given]):
                seed, restarts = int(rng.integers(2**31)), restarts + 1
                if restarts > MOST_RESTARTS:
                    raise RuntimeError(f"replication {number}: every chain is stuck")
                continue
            ess = az.ess(posterior[list(_ranked(self.subject))])
            least = min(float(np.min(values)) for values in ess.values())
            if least >= ENOUGH_ESS or draws >= MOST_DRAWS:
                break
            draws *= 4
        quantities = [self._quantities(values) for values in self._spaced(posterior)]
        ranks = {
            name: sum(one[name] < value for one in quantities) for name, value in known.items()
        }
        diverged = int(trace["sample_stats"]["diverging"].sum())
        return Replication(number, ranks, draws, least, diverged, restarts)

    def known(self, truth: Values, data: Any) -> dict[str, float]:
        """What is ranked, at the truth that ``data`` come from; the model keeps the data."""
        with self.subject.model:
            pm.set_data(packed(self.subject.columns(data)))
        return self._quantities(self.subject.restate(truth, data))

    def _spaced(self, posterior: Any) -> list[Values]:
        """The given variables of evenly spaced draws."""
        draws = posterior.sizes["draw"]
        index = ((np.arange(RANKED_DRAWS) + 0.5) * draws / RANKED_DRAWS).astype(int)
        given = self.subject.given
        values = [posterior[name].to_numpy()[0, index] for name in given]
        return [dict(zip(given, each, strict=True)) for each in zip(*values, strict=True)]

    def _quantities(self, values: Values) -> dict[str, float]:
        *parameters, log_likelihood = self._evaluate(*(values[name] for name in self.subject.given))
        found = {}
        for name, value in zip(_ranked(self.subject), parameters, strict=True):
            if np.ndim(value) == 0:
                found[name] = float(value)
                continue
            few = RANKED_EFFECTS if name in self.subject.effects else len(value)
            found |= {f"{name}[{i}]": float(value[i]) for i in range(few)}
        return found | {"log likelihood": float(log_likelihood)}


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


def _ranked(subject: Subject) -> dict[str, Any]:
    """The variables that are ranked: effects in full, and all that is not made into effects."""
    model = subject.model
    names = [v.name for v in model.free_RVs if not v.name.endswith("_raw")]
    return {name: model[name] for name in [*names, *subject.effects, *subject.in_full]}


def _log_likelihood(model: pm.Model) -> Any:
    """Of all the data, as a function of the given variables."""
    observed = [pm.logp(v, model.rvs_to_values[v]).sum() for v in model.observed_RVs]
    return sum([*model.potentials, *observed])
