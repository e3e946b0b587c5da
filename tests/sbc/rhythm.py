"""``rhythm``: what pairs do in windows of weeks, drawn from its prior."""

from dataclasses import replace

import numpy as np

from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.rhythm.activity import BLOCKS, COLUMNS
from models.parts.rhythm.checks import order_weeks
from models.parts.rhythm.coordinates import Globals
from models.parts.rhythm.model import build_model
from models.parts.rhythm.newcomers import NEWCOMERS, Newcomers
from models.parts.rhythm.windows import WindowData


class RhythmSubject:
    """A design of ``rows`` pairs in windows; what was known of each beforehand is fixed.

    The model is sampled in the coordinates of its prior, in which data can be exchanged.
    """

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
        self.layout = self.design.layout()
        self.model = self.sampled = build_model(self.design, swappable_data=True)
        self.given = [variable.name for variable in self.model.free_RVs]
        self.settings = {}

    def shock(self, truth):
        """Of each row: its window's level, and its product's shock in it."""
        level = truth["theta_raw"][self.prior.levels]
        shock = truth["product_shock"] * truth["shock_raw"]
        return level[self.design.window] + shock[self.design.product_window]

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

    def columns(self, data):
        return data.arrays(self.layout, self.design.columns())

    def sampled_columns(self, data):
        return self.columns(data)

    def restate(self, truth, data):
        """No coordinate of the prior hangs on the data."""
        return truth
