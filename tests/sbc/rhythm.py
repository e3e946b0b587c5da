"""``rhythm``: what pairs do in windows of weeks, drawn from its prior."""

from dataclasses import replace

import numpy as np

from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.rhythm.activity import BLOCKS, COLUMNS
from models.parts.rhythm.checks import order_weeks
from models.parts.rhythm.coordinates import Globals
from models.parts.rhythm.mode import Density
from models.parts.rhythm.model import build_model
from models.parts.rhythm.newcomers import NEWCOMERS, Newcomers
from models.parts.rhythm.pointwise import of_newcomers
from models.parts.rhythm.posterior import RhythmPosterior
from models.parts.rhythm.windows import WindowData


class WithShocks(RhythmPosterior):
    """What is sampled, with the shocks, over their deviation, among its values."""

    def values(self, x):
        found, (xi, log_scale, z, *_) = super().values(x), np.split(x, self.ends)
        scale = np.exp(log_scale[0])
        shock = self.arrow.shocks(self.coordinates.theta(xi)[0], scale, z).shock
        return found | {"shock_raw": shock / scale}


class RhythmSubject:
    """A design of ``rows`` pairs in windows; what was known of each beforehand is fixed."""

    name = "rhythm"
    effects = ()
    in_full = (*BLOCKS, "log_dip_length", "decline", "arrival")

    def __init__(self, rows=400, windows=2, products=10):
        rng = np.random.default_rng(20240101)
        window = np.sort(rng.integers(0, windows, rows))
        self.prior, self.groups = Globals.prior(windows), windows * products
        product_window = rng.permutation(np.arange(rows) % self.groups)
        self.design = WindowData(
            ordered=np.zeros((rows, HORIZON_WEEKS), dtype=bool),
            extra=np.zeros(rows),
            elapsed=rng.exponential(6.0, rows),
            clock=np.exp(rng.normal(-1.5, 0.5, rows)),
            log_season=np.tile(rng.normal(0.0, 0.1, HORIZON_WEEKS), (windows, 1)),
            values=rng.normal(0.0, 1.0, (rows, len(COLUMNS))),
            window=window,
            product_window=product_window,
            newcomers=Newcomers(
                arrived=np.zeros(self.groups),
                values=rng.normal(0.0, 0.5, (self.groups, len(NEWCOMERS))),
                log_days=rng.uniform(3.0, 5.0, self.groups),
            ),
        )
        self.model = build_model(self.design)

    def shock(self, truth):
        """Of each row: its window's level, and its product's shock in it."""
        shock = truth["product_shock"] * truth["shock_raw"]
        return truth["level_raw"][self.design.window] + shock[self.design.product_window]

    def simulate(self, truth, rng):
        shock = self.shock(truth)
        ordered, extra = order_weeks(self.design, truth, shock, rng)
        newcomers = self.design.newcomers
        constant, *slopes = truth["arrival"]
        expected = np.exp(constant + newcomers.values @ slopes + newcomers.log_days)
        noise = rng.gamma(truth["arrival_shape"], 1 / truth["arrival_shape"], len(expected))
        arrived = rng.poisson(expected * noise).astype(float)
        arrivals = replace(newcomers, arrived=arrived)
        return replace(self.design, ordered=ordered, extra=extra, newcomers=arrivals)

    def posterior(self, data):
        return WithShocks(data)

    def log_likelihood(self, values, data):
        density, of = Density(data, data.columns()), self.prior
        shock = values["product_shock"] * values["shock_raw"]
        theta = np.append(values["theta_raw"], values["level_raw"])
        off = (theta - of.mean) / of.sd
        weeks = density(theta, shock)[0] + 0.5 * float(off @ off)
        arrival, shape = values["arrival"][None], np.atleast_1d(values["arrival_shape"])
        return weeks + float(of_newcomers(data.newcomers, arrival, shape)[0])

    def restate(self, truth, data):
        """Nothing that is ranked hangs on the data."""
        return truth
