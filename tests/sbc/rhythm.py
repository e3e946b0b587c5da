"""``rhythm``: what pairs do in windows of weeks, drawn from its prior."""

from dataclasses import replace

import numpy as np

from models.parts.activity import COLUMNS
from models.parts.newcomers import NEWCOMERS, Newcomers
from models.parts.rhythm_checks import order_weeks
from models.parts.rhythm_coordinates import BLOCKS
from models.parts.rhythm_model import CENTRED_ORDERS, LEVEL_SD, WindowData, build_model
from models.parts.weekly import HORIZON_WEEKS


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
        self.windows, self.groups = windows, windows * products
        product_window = rng.permutation(np.arange(rows) % self.groups)
        self.design = WindowData(
            ordered=np.zeros((rows, HORIZON_WEEKS), dtype=bool),
            extra=np.zeros(rows),
            elapsed=rng.exponential(6.0, rows),
            clock=np.exp(rng.normal(-1.5, 0.5, rows)),
            log_season=np.tile(rng.normal(0.0, 0.1, HORIZON_WEEKS), (rows, 1)),
            values=rng.normal(0.0, 1.0, (rows, len(COLUMNS))),
            window=window,
            product_window=product_window,
            newcomers=Newcomers(
                arrived=np.zeros(self.groups),
                values=rng.normal(0.0, 0.5, (self.groups, len(NEWCOMERS))),
                log_days=rng.uniform(3.0, 5.0, self.groups),
            ),
        )
        self.model = build_model(self.design, exchangeable=True)

    def simulate(self, truth, rng):
        effects = self.effect(truth, np.zeros(self.groups))
        shock = LEVEL_SD * truth["level_raw"][self.design.window]
        shock = shock + effects[self.design.product_window]
        ordered, extra = order_weeks(self.design, truth, shock, rng)
        newcomers = self.design.newcomers
        constant, *slopes = truth["arrival"]
        expected = np.exp(constant + newcomers.values @ slopes + newcomers.log_days)
        noise = rng.gamma(truth["arrival_shape"], 1 / truth["arrival_shape"], len(expected))
        arrived = rng.poisson(expected * noise).astype(float)
        arrivals = replace(newcomers, arrived=arrived)
        return replace(self.design, ordered=ordered, extra=extra, newcomers=arrivals)

    def columns(self, data):
        return data.outcomes()

    @staticmethod
    def effect(truth, told):
        """The products' shocks that ``product_raw`` stands for where pairs told so much."""
        centred = told / (told + CENTRED_ORDERS)
        return truth["product_raw"] * truth["product_shock"] ** (1.0 - centred)

    def restate(self, truth, data):
        """The same shocks, standardised by what the data tell of each."""
        told = self.columns(data)["told"]
        unit = self.effect({**truth, "product_raw": 1.0}, told)
        return {**truth, "product_raw": self.effect(truth, np.zeros(self.groups)) / unit}
