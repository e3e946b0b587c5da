"""NUTS by nutpie, and whether what it drew can be trusted. Only fitting imports this."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import FrameType
from typing import Any

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import pytensor
import xarray as xr
from numpy.typing import NDArray

from toolkit.model import MOST_DRAWS, FitSettings, Progress, ignore
from toolkit.results.fit import MAX_R_HAT, MIN_E_BFMI, MIN_ESS

CHECKED_DRAWS = (200, 300, 400, 500, 600, 800, 1000, 1250, 1500)
"""After so many draws of each chain sampling ends if it has converged, after ``MOST_DRAWS`` anyway.

What is drawn hangs on none of it: a chain is the same, however long it is to go on.
"""
TUNE = 300
PROGRESS_MILLISECONDS = 200
WAKE_SECONDS = 0.5
MAX_DEPTH = 8
"""Trees double up to so many times. Converged chains need half of it; one that has just begun, with
steps far too small, would otherwise spend minutes on a few of them."""
QUARTER_TURN: dict[str, Any] = {"maxdepth": 2, "target_accept": 0.6}
"""Three steps of some .6 in all: a draw is one, two or three of them on, most often two."""
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
    model: pm.Model,
    settings: FitSettings,
    seed: int,
    progress: Progress = ignore,
    tune: int = TUNE,
    *,
    with_inner: bool = False,
    near_normal: bool = False,
    quarter_turn: bool = False,
) -> tuple[xr.Dataset, xr.Dataset, Diagnostics]:
    """Draws from the posterior of ``model``'s parameters and the sampler's, [chain, draw, …].

    So many of each chain as the settings say, or as convergence asks for; then all chains run at a
    time, for it is them together that converge. ``tune``: steps before the first draw, if the
    settings do not say. ``with_inner``: what is sampled for something else only comes with the
    rest, and counts for convergence no more than without. ``near_normal``: all that is sampled has
    a posterior near N(0, 1), and trajectories are exact for that but for what it leaves (Shahbaba,
    Lan, Johnson & Neal 2014, doi:10.1007/s11222-012-9373-1): half as many gradients.
    ``quarter_turn``: it is so near that steps can be long; three of them are about where neither a
    draw nor its square hangs on the last.
    """
    started, shown = perf_counter(), _all if with_inner else without_inner
    with _lasting_ctrl_c(), pytensor.config.change_flags(numba__fastmath=False):
        compiled = nutpie.compile_pymc_model(model)  # sums keep their order, whatever is inlined
    tune = settings.tune or tune
    watch = _Watch(settings.draws or MOST_DRAWS, tune, progress)
    sampler = nutpie.sample(
        compiled,
        draws=watch.most,
        tune=tune,
        chains=settings.chains,
        cores=settings.cores if settings.draws else settings.chains,
        seed=seed,
        **(QUARTER_TURN if quarter_turn else {"maxdepth": MAX_DEPTH}),
        save_warmup=False,
        progress_bar=False,
        progress_callback=watch.tell,
        progress_rate=PROGRESS_MILLISECONDS,
        exact_normal_trajectory=near_normal,
        blocking=False,  # or a Ctrl-C would return the draws made so far, as if all were there
    )
    try:
        for draws in () if settings.draws else CHECKED_DRAWS:
            watch.wait_for(draws)
            posterior, statistics = _drawn(sampler.inspect(), draws)
            found = _diagnose(posterior, statistics, perf_counter() - started)
            if found.mixed:
                sampler.cancel()
                return shown(posterior), statistics, found
            watch.said = f"R-hat {found.r_hat:.3f}"
        posterior, statistics = _drawn(sampler.wait(), watch.most)
    except BaseException:
        sampler.cancel()
        raise
    found = _diagnose(posterior, statistics, perf_counter() - started)
    return shown(posterior), statistics, found


class _Watch:
    """Follows the chains while they run, and tells how far they are."""

    def __init__(self, most: int, tune: int, progress: Progress) -> None:
        self.most, self.tune, self.progress = most, tune, progress
        self.said = ""
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

    def wait_for(self, draws: int) -> None:
        """Until each chain has made so many."""
        with self.reached:
            while self.finished < draws:
                self.reached.wait(WAKE_SECONDS)  # in pieces, that a Ctrl-C gets through


def _drawn(trace: Any, draws: int) -> tuple[xr.Dataset, xr.Dataset]:
    """The first so many draws of each chain."""
    posterior, statistics = (trace[name].to_dataset() for name in ("posterior", "sample_stats"))
    first = slice(0, draws)
    return posterior.isel(draw=first), statistics.isel(draw=first)


def draw_prior(model: pm.Model, draws: int, seed: int) -> dict[str, NDArray[Any]]:
    """Draws of what ``sample`` returns from the prior of ``model``, [draw, …] each."""
    drawn = [v for v in model.free_RVs + model.deterministics if not is_inner(v.name)]
    values = pm.draw(drawn, draws=draws, random_seed=seed, mode="FAST_COMPILE")
    return {v.name: np.asarray(value) for v, value in zip(drawn, values, strict=True)}


@contextmanager
def _lasting_ctrl_c() -> Iterator[None]:
    """A Ctrl-C waits for the end: raised inside the compiler it is lost, or a crash."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    seen = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen = True

    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if seen:
            raise KeyboardInterrupt


def is_inner(name: str) -> bool:
    """Whether a variable is sampled only to make something else of it."""
    return INNER in name


def without_inner(posterior: xr.Dataset) -> xr.Dataset:
    """All but what is sampled only to make something else of it."""
    return posterior[[name for name in posterior.data_vars if not is_inner(str(name))]]


def _all(posterior: xr.Dataset) -> xr.Dataset:
    return posterior


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
