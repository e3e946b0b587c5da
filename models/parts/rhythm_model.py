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

from models.parts.activity import (
    ALIVE,
    COLUMNS,
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
from models.parts.weekly import HORIZON_WEEKS, NODE, NODE_WEIGHT
from models.parts.weekly_op import log_likelihood
from toolkit.tables import DAYS_PER_WEEK, Floats, Ints, Patterns

WINDOWS = 4
WINDOW_DAYS = DAYS_PER_WEEK * HORIZON_WEEKS
KNOWN_DAYS = 56
"""A window needs so many days of history before it."""
CENTRED_ORDERS = 20.0
"""An effect with so many orders is sampled half centred."""
SLOPE_SD = {"rate": 1.0, "frailty": 0.5, "alive": 1.0, "dip": 0.5, "extra": 1.0}
DECLINE_SD = 0.03
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

    @classmethod
    def of(
        cls, patterns: Patterns, season: Season, base: BaseRates, rows: int, seed: int
    ) -> "WindowData":
        """Windows of about ``rows`` pairs of products drawn at random."""
        chosen = patterns.select(_choose(patterns, rows, seed))
        parts = []
        for window in range(WINDOWS):
            earlier = chosen.earlier(WINDOW_DAYS * (window + 1))
            if len(earlier) and earlier.events.day.min() <= -KNOWN_DAYS:
                known = activity(earlier, season, base)
                parts.append(_window_columns(window, chosen, earlier, known, season))
        ordered, extra, elapsed, clock, log_season, values, window_of, product = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        _, product_window = np.unique(
            np.stack([window_of, product]), axis=1, return_inverse=True
        )
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
    windows = np.minimum(WINDOWS, (age - 1) // WINDOW_DAYS).astype(float)
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


def build_model(data: WindowData) -> pm.Model:
    """The model of ``data``; coefficients belong to the columns as they are."""
    with pm.Model() as model:
        eta = _linear(data, "rate", RATE, (-2.5, 2.0)) + _shocks(data)
        log_tau = _linear(data, "frailty", FRAILTY, (-0.7, 0.5))
        log_dip = _linear(data, "dip", DIP, (-0.5, 1.0))
        logit_alive = _linear(data, "alive", ALIVE, (3.0, 2.0))
        log_sigma = pm.Normal("log_dip_length", np.log(0.5), 0.5)
        kappa = pm.Deterministic("decline", DECLINE_SD * pm.Normal("decline_raw", 0.0, 1.0))
        known = (data.ordered, data.elapsed, data.clock, data.log_season, NODE, NODE_WEIGHT)
        parameters = (eta, log_dip, log_tau, logit_alive, log_sigma, kappa)
        pm.Potential("weeks", log_likelihood(known, parameters))
        weeks = data.ordered.sum(axis=1)
        log_extra = _linear(data, "extra", EXTRA, (-3.0, 1.5), weeks > 0)
        extra, weeks = data.extra[weeks > 0], weeks[weeks > 0]
        pm.Poisson("extra_orders", weeks * pt.exp(log_extra), observed=extra)
        arrivals_model(data.arrived, data.arrival_days)
    return model


def _linear(
    data: WindowData,
    name: str,
    names: tuple[str, ...],
    intercept: tuple[float, float],
    rows: Any = slice(None),
) -> Any:
    """Sum of the columns times coefficients, saved as ``name`` [1 + columns], constant first.

    Priors are of columns centred and scaled: the constant N(``intercept``), slopes N(0, sd²),
    those that can only fall below zero. What is sampled are slopes of the columns' principal
    axes, so that columns that tell much the same do not hold the sampler up: a rotation, which
    leaves the prior as it is.
    """
    values = data.values[rows][:, column(names)]
    mean, scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)
    values = (values - mean) / scale
    constant = pm.Normal(f"{name}_constant_raw", *intercept)
    falling = np.array([name == "alive" and n in FALLING for n in names])
    _, axes = np.linalg.eigh(values[:, ~falling].T @ values[:, ~falling])
    turned = pm.Normal(f"{name}_raw", 0.0, SLOPE_SD[name], shape=len(axes))
    slope = pt.zeros(len(names))
    slope = pt.set_subtensor(slope[np.flatnonzero(~falling)], pt.dot(axes, turned))
    if falling.any():
        fall = pm.HalfNormal(f"{name}_fall_raw", SLOPE_SD[name], shape=int(falling.sum()))
        slope = pt.set_subtensor(slope[np.flatnonzero(falling)], -fall)
    of_columns = slope / scale
    pm.Deterministic(name, pt.concatenate([[constant - pt.dot(mean, of_columns)], of_columns]))
    return constant + pt.dot(values, slope)


def _shocks(data: WindowData) -> Any:
    """What all pairs of a window share, and all of a product in it, on the log scale, [rows].

    The window to be forecast will have some of its own: ``next_level``, and ``product_shock``
    times a normal number.
    """
    level_scale = pm.HalfNormal("level_shock", 0.1)
    windows = int(data.window.max()) + 1
    level = level_scale * pm.Normal("level_raw", 0.0, 1.0, shape=windows + 1)
    pm.Deterministic("next_level", level[windows])
    scale = pm.HalfNormal("product_shock", 0.5)
    orders = np.bincount(data.product_window, data.ordered.sum(axis=1))
    centred = orders / (orders + CENTRED_ORDERS)
    product = pm.Normal("product_raw", 0.0, scale**centred, shape=len(orders))
    effect = product * scale ** (1.0 - centred)
    return level[data.window] + effect[data.product_window]


__all__ = ["COLUMNS", "WindowData", "build_model", "windows_of"]
