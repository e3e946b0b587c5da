"""NUTS by nutpie, and whether what it drew can be trusted. Only fitting imports this."""

import threading
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from nutpie.compiled_pyfunc import from_pyfunc

from models.parts.fitting.posterior import (
    SHORTEST_STEPS,
    LogDensity,
    Posterior,
    Trajectories,
)
from toolkit.data.tables import Floats
from toolkit.model import FitSettings, Progress, ignore
from toolkit.results.fit import MAX_R_HAT, MIN_E_BFMI, MIN_ESS

CHECKED_DRAWS = (200, 300, 400, 500, 600, 800, 1000, 1250, 1500)
"""After so many draws of each chain sampling ends if it has converged, or at last at its limit.

What is drawn hangs on none of it: a chain is the same, however long it is to go on.
"""
JUDGED_DRAWS = 500
"""After so many draws of each chain one can tell whether they will be enough."""
MOST_SHARED = 100
"""A variable of more numbers is one of groups' effects."""
TUNE = 300
PROGRESS_MILLISECONDS = 200
WAKE_SECONDS = 0.5
INNER = "_raw"
"""Ends the names of what is sampled only to make something else of it."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How well the chains have converged, and the worst parameter by each measure."""

    r_hat: float
    r_hat_worst: str
    ess_bulk: float
    ess_bulk_worst: str
    ess_tail: float
    ess_tail_worst: str
    divergences: int
    e_bfmi: float
    steps_per_draw: float
    draws: int
    seconds: float

    @property
    def mixed(self) -> bool:
        """Whether R-hat and effective sizes are as they should be, which more draws may change."""
        ess = min(self.ess_bulk, self.ess_tail)
        return self.r_hat <= MAX_R_HAT and ess >= MIN_ESS

    def warnings(self) -> list[str]:
        """What is wrong, a sentence each; without any the fit can be used."""
        found = []
        if not self.r_hat <= MAX_R_HAT:
            found.append(f"R-hat of {self.r_hat_worst} is {self.r_hat:.3f}, above {MAX_R_HAT}")
        for kind, ess, worst in (
            ("bulk", self.ess_bulk, self.ess_bulk_worst),
            ("tail", self.ess_tail, self.ess_tail_worst),
        ):
            if not ess >= MIN_ESS:
                found.append(f"{kind} ESS of {worst} is {ess:.0f}, below {MIN_ESS:.0f}")
        if self.divergences:
            found.append(f"{self.divergences} transitions diverged")
        if not self.e_bfmi >= MIN_E_BFMI:
            found.append(f"E-BFMI is {self.e_bfmi:.2f}, below {MIN_E_BFMI}")
        return found


def sample(
    posterior: Posterior,
    settings: FitSettings,
    seed: int,
    progress: Progress = ignore,
    tune: int = TUNE,
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Draws of the ``posterior``'s values and the sampler's statistics, [chain, draw, …].

    So many of each chain as the settings say, by the last of the posterior's trajectories; or as
    convergence asks for, by the first that lead there. Then all chains run at a time, for it is
    them together that converge; those that diverged are run anew, at last by the shortest steps.
    ``tune``: steps before the first draw, if the settings do not say. What is sampled for something
    else only comes with the rest, and counts for convergence no more than without.
    """
    started = perf_counter()

    def drawn_by(
        trajectories: Trajectories, give_up: bool = False
    ) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
        return _sample(posterior, trajectories, settings, seed, progress, tune, started, give_up)

    *quick, sure = posterior.trajectories
    if settings.draws is not None:
        return drawn_by(sure)
    for trajectories in quick:
        drawn = drawn_by(trajectories, give_up=True)
        if drawn[2].mixed and not drawn[2].divergences:
            return drawn
    drawn = drawn_by(sure)
    return drawn_by(SHORTEST_STEPS) if drawn[2].divergences else drawn


def _sample(
    posterior: Posterior,
    trajectories: Trajectories,
    settings: FitSettings,
    seed: int,
    progress: Progress,
    tune: int,
    started: float,
    give_up: bool,
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """``give_up``: as soon as the trajectories are seen to lead nowhere."""
    tune = settings.tune or tune
    watch = _Watch(settings.draws or trajectories.most_draws, tune, progress)
    sampler = nutpie.sample(
        for_nutpie(posterior, watch.guarded(posterior)),
        draws=watch.most,
        tune=tune,
        chains=settings.chains,
        cores=settings.cores if settings.draws else settings.chains,
        seed=seed,
        save_warmup=False,
        progress_bar=False,
        progress_callback=watch.tell,
        progress_rate=PROGRESS_MILLISECONDS,
        **trajectories.settings,
        blocking=False,  # or a Ctrl-C would return the draws made so far, as if all were there
    )
    try:
        for draws in () if settings.draws else CHECKED_DRAWS:
            if draws >= watch.most:
                break
            watch.wait_for(draws)
            drawn, statistics = _drawn(sampler.inspect(), draws)
            found = _diagnose(_few(drawn), statistics, perf_counter() - started)
            if found.mixed:  # thousands of effects take seconds, and many where chains go on beside
                sampler.pause()
                found = _diagnose(drawn, statistics, perf_counter() - started)
                sampler.resume()
            if found.mixed or (give_up and _leads_nowhere(trajectories, statistics, found)):
                sampler.cancel()
                return drawn, statistics, found
            watch.said = f"R-hat {found.r_hat:.3f}"
        drawn, statistics = _drawn(sampler.wait(), watch.most)
        watch.check()
    except BaseException:
        sampler.cancel()
        watch.check()
        raise
    found = _diagnose(drawn, statistics, perf_counter() - started)
    return drawn, statistics, found


def _leads_nowhere(trajectories: Trajectories, statistics: xr.Dataset, found: Diagnostics) -> bool:
    """Whether steps are too short, or all draws that there may be would hold too few effective."""
    if statistics["step_size"].mean() < trajectories.least_step:
        return True
    share = found.draws / trajectories.most_draws
    enough = min(found.ess_bulk, found.ess_tail) >= MIN_ESS * share
    return found.draws >= JUDGED_DRAWS and not enough


def for_nutpie(posterior: Posterior, density: LogDensity | None = None) -> Any:
    """The ``posterior`` as nutpie takes it; a chain begins within 1 of its start everywhere."""

    def arrays(x: Floats) -> dict[str, NDArray[Any]]:
        """A number that is no array would be a crash in the sampler's own threads."""
        return {name: np.asarray(value) for name, value in posterior.values(x).items()}

    values, size = arrays(posterior.start), len(posterior.start)
    return from_pyfunc(
        size,
        lambda: density or posterior,
        lambda *_: arrays,
        [value.dtype for value in values.values()],
        [value.shape for value in values.values()],
        list(values),
        make_initial_point_fn=lambda seed: (
            posterior.start + np.random.default_rng(seed).uniform(-1.0, 1.0, size)
        ),
    )


class _Watch:
    """Follows the chains while they run, and tells how far they are."""

    def __init__(self, most: int, tune: int, progress: Progress) -> None:
        self.most, self.tune, self.progress = most, tune, progress
        self.said = ""
        self.fault: BaseException | None = None
        self.reached = threading.Condition()
        self.finished = 0

    def tell(self, chains: list[Any]) -> None:
        """Takes what the sampler says of its chains."""
        diverged = sum(c.divergences for c in chains)
        step = min(c.step_size for c in chains)
        said = f"step {step:.2f}, {diverged} divergent"  # short: it shares a line with a bar
        self.progress(
            sum(c.finished_draws for c in chains),
            sum(c.total_draws for c in chains),
            f"{said}, {self.said}" if self.said else said,
        )
        with self.reached:
            self.finished = min(c.finished_draws for c in chains) - self.tune
            self.reached.notify_all()

    def guarded(self, posterior: Posterior) -> LogDensity:
        """The ``posterior``'s density, NaN where it fails: what it raised is raised by ``check``.

        In the sampler's own threads it would be a crash.
        """

        def density(x: Floats) -> tuple[float, Floats]:
            try:
                return posterior(x)
            except BaseException as fault:
                self.fault = self.fault or fault
                return np.nan, np.full(len(x), np.nan)

        return density

    def check(self) -> None:
        """Raise what the density has raised, if it has."""
        if self.fault is not None:
            raise self.fault

    def wait_for(self, draws: int) -> None:
        """Until each chain has made so many."""
        with self.reached:
            while self.finished < draws:
                self.check()
                self.reached.wait(WAKE_SECONDS)  # in pieces, that a Ctrl-C gets through


def _drawn(trace: Any, draws: int) -> tuple[xr.Dataset, xr.Dataset]:
    """The first so many draws of each chain."""
    posterior, statistics = (trace[name].to_dataset() for name in ("posterior", "sample_stats"))
    first = slice(0, draws)
    return posterior.isel(draw=first), statistics.isel(draw=first)


def _few(drawn: xr.Dataset) -> xr.Dataset:
    """What all groups share: the variables of few numbers each, or all where none is."""
    few = [str(name) for name, values in drawn.items() if values[0, 0].size <= MOST_SHARED]
    return drawn[few] if few else drawn


def draw_prior(model: pm.Model, draws: int, seed: int) -> dict[str, NDArray[Any]]:
    """Draws of what ``sample`` returns from the prior of ``model``, [draw, …] each."""
    drawn = [v for v in model.free_RVs + model.deterministics if not is_inner(v.name)]
    values = pm.draw(drawn, draws=draws, random_seed=seed, mode="FAST_COMPILE")
    return {v.name: np.asarray(value) for v, value in zip(drawn, values, strict=True)}


def is_inner(name: str) -> bool:
    """Whether a variable is sampled only to make something else of it."""
    return INNER in name


def without_inner(posterior: xr.Dataset) -> xr.Dataset:
    """All but what is sampled only to make something else of it."""
    return posterior[[name for name in posterior.data_vars if not is_inner(str(name))]]


def _diagnose(posterior: xr.Dataset, stats: xr.Dataset, seconds: float) -> Diagnostics:
    posterior = without_inner(posterior)
    with np.errstate(invalid="ignore", divide="ignore"):  # a single group's effect is always 0
        r_hat, r_hat_worst = _worst(az.rhat(posterior), np.nanargmax)
        bulk, bulk_worst = _worst(az.ess(posterior, method="bulk"), np.nanargmin)
        tail, tail_worst = _worst(az.ess(posterior, method="tail"), np.nanargmin)
    energy = stats["energy"].to_numpy()
    e_bfmi = np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)
    return Diagnostics(
        r_hat=r_hat,
        r_hat_worst=r_hat_worst,
        ess_bulk=bulk,
        ess_bulk_worst=bulk_worst,
        ess_tail=tail,
        ess_tail_worst=tail_worst,
        divergences=int(stats["diverging"].sum()),
        e_bfmi=float(e_bfmi.min()),
        steps_per_draw=float(stats["n_steps"].mean()),
        draws=stats.sizes["draw"],
        seconds=seconds,
    )


def _worst(measure: xr.Dataset, argworst: Any) -> tuple[float, str]:
    """The worst value of all parameters, and the parameter's name and index."""
    values = {str(name): np.atleast_1d(array.to_numpy()) for name, array in measure.items()}
    worst = {name: int(argworst(v)) for name, v in values.items() if np.isfinite(v).any()}
    flat = np.array([values[name].ravel()[i] for name, i in worst.items()])
    name = list(worst)[int(argworst(flat))]
    single = values[name].size == 1
    return float(flat[int(argworst(flat))]), name if single else f"{name}[{worst[name]}]"
