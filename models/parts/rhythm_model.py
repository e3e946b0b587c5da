"""The PyMC model behind ``rhythm``. Only fitting imports this.

It is fitted to windows of twelve weeks that do not overlap and end at the as-of date at the
latest: what a pair did in one is its outcome, what it did before is what the columns are made of.
All pairs of some products, drawn at random, stand for all.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.parts.activity import (
    ALIVE,
    DIP,
    EXTRA,
    FRAILTY,
    RATE,
    Activity,
    BaseRates,
    activity,
    column,
)
from models.parts.arrivals import arrivals
from models.parts.gamma_model import arrivals_model
from models.parts.season import Season
from models.parts.weekly import HORIZON_WEEKS, NODE, NODE_WEIGHT, weekly_likelihood
from models.parts.weekly_op import log_likelihood
from toolkit.tables import DAYS_PER_WEEK, Floats, Ints, Patterns

WINDOWS = 4
WINDOW_DAYS = DAYS_PER_WEEK * HORIZON_WEEKS
KNOWN_DAYS = 56
"""A window needs so many days of history before it."""
CENTRED_ORDERS = 20.0
"""An effect with so many orders is sampled half centred."""
LINEAR = ("rate", "dip", "frailty", "alive")
"""η, log δ, log τ and logit p, in the order of ``weekly_likelihood``."""
BLOCKS = {"rate": RATE, "dip": DIP, "frailty": FRAILTY, "alive": ALIVE, "extra": EXTRA}
CONSTANT = {
    "rate": (-2.5, 2.0),
    "dip": (-0.5, 1.0),
    "frailty": (-0.7, 0.5),
    "alive": (3.0, 2.0),
    "extra": (-3.0, 1.5),
}
"""Mean and deviation of the constants' priors, where the columns are at their means."""
SLOPE_SD = {"rate": 1.0, "frailty": 0.5, "alive": 1.0, "dip": 0.5, "extra": 1.0}
LEAST_SCALE = 0.5
"""All columns are logarithms or the like. One that hardly varies here may vary elsewhere."""
DECLINE_SD = 0.03
SHOCK_SD = 0.4
"""Deviation of a product's shocks while the coordinates are looked for."""
LEVEL_SD = 0.1
"""How far the level of one window lies from the next; four windows do not tell."""
FALLING = ("customer_silence", "product_silence", "late")
"""Whoever is silent for longer is not more likely to be alive."""


@dataclass(frozen=True, slots=True)
class WindowData:
    """What the model is fitted to: a row per pair and window, and arrivals per product."""

    ordered: NDArray[np.bool_]  # [rows, weeks]
    extra: Floats  # [rows], order events beyond the first of each order week
    elapsed: Floats  # [rows]
    clock: Floats  # [rows]
    log_season: Floats  # [rows, weeks]
    values: Floats  # [rows, COLUMNS]
    window: Ints  # [rows]
    product_window: Ints  # [rows], row of its product and window
    arrived: Floats  # first orders, of each product counted
    arrival_days: Floats  # days in which they were counted

    def likelihood_data(self) -> tuple[Any, ...]:
        """What ``weekly_likelihood`` takes besides parameters."""
        ordered = np.ascontiguousarray(self.ordered.T, dtype=float)
        log_season = np.ascontiguousarray(self.log_season.T)
        return (ordered, self.elapsed, self.clock, log_season, NODE, NODE_WEIGHT)

    @classmethod
    def of(
        cls, patterns: Patterns, season: Season, base: BaseRates, rows: int, seed: int
    ) -> "WindowData":
        """Windows of about ``rows`` pairs of products drawn at random."""
        chosen = patterns.select(_choose(patterns, rows, seed))
        parts = []
        for window in range(windows_of(patterns)):
            earlier = chosen.earlier(WINDOW_DAYS * (window + 1))
            if len(earlier):
                known = activity(earlier, season, base)
                parts.append(_window_columns(window, chosen, earlier, known, season))
        ordered, extra, elapsed, clock, log_season, values, window_of, product = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        _, product_window = np.unique(np.stack([window_of, product]), axis=1, return_inverse=True)
        arrived, days = arrivals(patterns)
        return cls(
            ordered, extra, elapsed, clock, log_season, values, window_of, product_window,
            arrived, days,
        )  # fmt: skip


def windows_of(patterns: Patterns) -> int:
    """How many windows the history has room for."""
    room = (int(-patterns.events.day.min(initial=0)) - KNOWN_DAYS) // WINDOW_DAYS
    return max(0, min(WINDOWS, room))


def _choose(patterns: Patterns, rows: int, seed: int) -> NDArray[np.bool_]:
    """Pairs of products drawn at random until their windows have about as many ``rows``."""
    _, offset = patterns.product_offsets()
    age = -patterns.events.day[patterns.event_offset[:-1]]
    windows = np.minimum(windows_of(patterns), (age - 1) // WINDOW_DAYS).astype(float)
    of_product = patterns.sum_by_product(windows)
    order = np.random.default_rng(seed).permutation(len(of_product))
    before = np.cumsum(of_product[order]) - of_product[order]
    taken = np.zeros(len(of_product), dtype=bool)
    taken[order[before < rows]] = True
    return np.repeat(taken, np.diff(offset))


def _window_columns(
    window: int, later: Patterns, known: Patterns, activity: Activity, season: Season
) -> tuple[NDArray[Any], ...]:
    """The columns of ``WindowData`` for the pairs ``known`` when the window began."""
    n, start = len(known), -WINDOW_DAYS * (window + 1)
    events = later.events
    inside = (events.day >= start) & (events.day < start + WINDOW_DAYS)
    pair = np.repeat(np.arange(len(later)), later.order_count)[inside]
    was_known = later.events.day[later.event_offset[:-1]] < start
    row = (np.cumsum(was_known) - 1)[pair]  # both tables are sorted alike
    week = (events.day[inside] - start) // DAYS_PER_WEEK
    of_known = was_known[pair]
    counts = np.zeros((n, HORIZON_WEEKS))
    np.add.at(counts, (row[of_known], week[of_known]), 1.0)
    levels = np.log(season.week_levels(known.as_of_date, HORIZON_WEEKS))
    return (
        counts > 0,
        (counts - (counts > 0)).sum(axis=1),
        activity.elapsed[:n],
        activity.clock[:n],
        np.broadcast_to(levels, counts.shape),
        activity.values[:n],
        np.full(n, window),
        known.product_id,
    )


@dataclass(frozen=True, slots=True)
class Globals:
    """The coefficients and constants θ, one vector: priors N(mean, sd²), all of them unbounded.

    A block of θ is a constant and the slopes of some columns, centred and scaled; a slope that
    can only fall below zero is −exp(θ).
    """

    names: tuple[str, ...]
    mean: Floats
    sd: Floats

    @classmethod
    def prior(cls) -> "Globals":
        """The names and priors of all of θ."""
        names, mean, sd = [], [], []
        for block, columns in BLOCKS.items():
            names += [f"{block}_constant", *(f"{block}_{name}" for name in columns)]
            falls = [block == "alive" and name in FALLING for name in columns]
            mean += [CONSTANT[block][0], *(np.log(0.7) if falling else 0.0 for falling in falls)]
            sd += [CONSTANT[block][1], *(1.0 if f else SLOPE_SD[block] for f in falls)]
        return cls(
            (*names, "log_dip_length", "decline"),
            np.array([*mean, np.log(0.5), 0.0]),
            np.array([*sd, 0.5, DECLINE_SD]),
        )

    def block(self, name: str) -> slice:
        """Where a block stands in θ."""
        start = self.names.index(f"{name}_constant")
        return slice(start, start + 1 + len(BLOCKS[name]))


class _Columns:
    """The columns of one block for some rows, centred and scaled, after a column of ones."""

    def __init__(self, data: "WindowData", block: str) -> None:
        values = data.values[:, column(BLOCKS[block])]
        self.mean = values.mean(axis=0)
        self.scale = np.maximum(values.std(axis=0), LEAST_SCALE)
        ones = np.ones((len(values), 1))
        self.design = np.hstack([ones, (values - self.mean) / self.scale])
        self.falls = np.array([False, *(block == "alive" and n in FALLING for n in BLOCKS[block])])

    def slopes(self, theta: Any, exp: Any) -> Any:
        """θ with what can only fall as the slope it stands for."""
        if not self.falls.any():
            return theta
        kept: Floats = (~self.falls).astype(float)
        return theta * kept - exp(theta * self.falls) * self.falls

    def as_they_are(self, slopes: Any) -> Any:
        """The constant and the slopes of the columns as they are."""
        of_columns = slopes[1:] / self.scale
        return pt.concatenate([[slopes[0] - pt.dot(self.mean, of_columns)], of_columns])


def _mode(data: "WindowData", columns: dict[str, _Columns]) -> tuple[Floats, Floats]:
    """Posterior mode of θ without shocks, and a root C of its covariance there, C Cᵀ.

    The covariance has the products' shocks integrated out: a column that is the same for all pairs
    of a product says less than the pairs are many.
    """
    prior = Globals.prior()
    extra_rows = data.ordered.any(axis=1)
    weeks, extra = data.ordered.sum(axis=1)[extra_rows], data.extra[extra_rows]
    known = data.likelihood_data()
    by = [np.empty(len(data.elapsed)) for _ in LINEAR]

    def negative(theta: Floats) -> tuple[float, Floats]:
        slopes = {b: columns[b].slopes(theta[prior.block(b)], np.exp) for b in BLOCKS}
        parts = [columns[b].design @ slopes[b] for b in LINEAR]
        ordered, elapsed, clock, log_season, node, weight = known
        value, by_sigma, by_kappa = weekly_likelihood(
            ordered, elapsed, clock, log_season, node, weight, parts[0], parts[1], parts[2],
            parts[3], theta[-2], theta[-1], by[0], by[1], by[2], by[3],
        )  # fmt: skip
        gradient = np.zeros(len(theta))
        gradient[-2:] = by_sigma, by_kappa
        log_extra = np.minimum(columns["extra"].design[extra_rows] @ slopes["extra"], 5.0)
        expected = weeks * np.exp(log_extra)
        value += float((extra * log_extra - expected).sum())
        for b, by_rows in zip(LINEAR, by, strict=True):
            gradient[prior.block(b)] = columns[b].design.T @ by_rows
        gradient[prior.block("extra")] = columns["extra"].design[extra_rows].T @ (extra - expected)
        for b in BLOCKS:
            gradient[prior.block(b)] *= np.where(columns[b].falls, slopes[b], 1.0)
        off = (theta - prior.mean) / prior.sd
        return 0.5 * float(off @ off) - value, off / prior.sd - gradient

    def slope(theta: Floats) -> tuple[Floats, Floats]:
        """The gradient by θ, and by each shock."""
        gradient = negative(theta)[1]
        return gradient, -np.bincount(data.product_window, by[LINEAR.index("rate")])

    found = minimize(negative, prior.mean, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    theta, step = found.x, 1e-4
    rows, by_shock = [], []
    for shift in step * np.eye(len(theta)):
        (up, shock_up), (down, shock_down) = slope(theta + shift), slope(theta - shift)
        rows.append((up - down) / (2 * step))
        by_shock.append((shock_up - shock_down) / (2 * step))
    cross = np.array(by_shock)
    own = cross[prior.names.index("rate_constant")]  # shifts η as a shock does
    cross /= np.sqrt(np.maximum(own, 0.0) + 1.0 / SHOCK_SD**2)
    curvature = np.array(rows) - cross @ cross.T
    values, axes = np.linalg.eigh((curvature + curvature.T) / 2)
    least = 1.0 / prior.sd.max() ** 2  # the prior alone curves as much
    root: Floats = axes / np.sqrt(np.maximum(values, least))
    return theta, root


def build_model(data: "WindowData") -> pm.Model:
    """The model of ``data``; coefficients are saved for the columns as they are.

    Sampled are coordinates ξ with θ = mode + C ξ, in which the posterior is nearly round.
    """
    prior = Globals.prior()
    columns = {block: _Columns(data, block) for block in BLOCKS}
    mode, root = _mode(data, columns)
    inverse = np.linalg.inv(root)
    with pm.Model() as model:
        xi = pm.MvNormal(
            "xi_raw", inverse @ (prior.mean - mode), cov=(inverse * prior.sd**2) @ inverse.T
        )
        theta = mode + pt.dot(root, xi)
        slopes = {b: columns[b].slopes(theta[prior.block(b)], pt.exp) for b in BLOCKS}
        for block in BLOCKS:
            pm.Deterministic(block, columns[block].as_they_are(slopes[block]))
        pm.Deterministic("log_dip_length", theta[-2])
        pm.Deterministic("decline", theta[-1])
        eta, *rest = (pt.dot(columns[b].design, slopes[b]) for b in LINEAR)
        parameters = (eta + _shocks(data), *rest, theta[-2], theta[-1])
        pm.Potential("weeks", log_likelihood(data.likelihood_data(), parameters))
        weeks = data.ordered.sum(axis=1)
        log_extra = pt.dot(columns["extra"].design[weeks > 0], slopes["extra"])
        mean = weeks[weeks > 0] * pt.exp(log_extra)
        pm.Poisson("extra_orders", mean, observed=data.extra[weeks > 0])
        arrivals_model(data.arrived, data.arrival_days)
    return model


def _shocks(data: WindowData) -> Any:
    """What all pairs of a window share, and all of a product in it, on the log scale, [rows].

    The window to be forecast will have some of its own: ``next_level``, and ``product_shock``
    times a normal number.
    """
    windows = int(data.window.max()) + 1
    level = LEVEL_SD * pm.Normal("level_raw", 0.0, 1.0, shape=windows + 1)
    pm.Deterministic("next_level", level[windows])
    scale = pm.HalfNormal("product_shock", 0.5)
    orders = np.bincount(data.product_window, data.ordered.sum(axis=1))
    centred = orders / (orders + CENTRED_ORDERS)
    product = pm.Normal("product_raw", 0.0, scale**centred, shape=len(orders))
    effect = product * scale ** (1.0 - centred)
    return level[data.window] + effect[data.product_window]
