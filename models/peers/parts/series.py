"""Methods of statsforecast on every product's weekly series, zeros included.

Each series starts in the week of the product's first order and ends at the as-of date.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from models.parts.weekly_demand import WeeklyDemand
from models.peers.parts.tables import at_levels, no_pairs, quantities_only, spread
from toolkit.data.tables import QUANTILES, Floats, Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.installed import need
from toolkit.model import Streams

PERCENT = (90, 80, 50)
"""Central intervals whose bounds and the point forecast are the seven quantiles."""

HISTORY_WEEKS = 156
"""Three years; what lies before says nothing of the level, and costs time."""


@dataclass(frozen=True, slots=True)
class SeriesMethod:
    """One method: a model class of statsforecast, with its arguments.

    With ``intervals`` it forecasts the seven quantiles, else its point is all that it says. A
    series with fewer than ``min_weeks`` weeks of demand is left to its own mean.
    """

    method: str
    arguments: Mapping[str, Any]
    intervals: bool = False
    min_weeks: int = 2

    @property
    def parameters(self) -> dict[str, float]:
        """What identifies the method among others of its kind."""
        return dict(self.arguments) | {"min_weeks": self.min_weeks, "history": HISTORY_WEEKS}

    def __call__(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every product's weekly quantities."""
        past = WeeklyDemand.of(patterns, HISTORY_WEEKS)
        methods = need("statsforecast.models", f"the peer {self.method}", ModelError)
        model = getattr(methods, self.method)(**self.arguments)
        forecasts = np.zeros((len(past.product_id), weeks, 1 + 2 * len(PERCENT)))
        for product in range(len(past.product_id)):
            forecasts[product] = self._forecast(model, past.series(product), weeks)
        point = forecasts[:, :, len(PERCENT)]
        if self.intervals:
            levels = spread(past.product_id, weeks, draws, streams)
            quantity = at_levels(forecasts, levels)
        else:
            quantity = np.repeat(point[:, :, None], draws, axis=2)
        products = quantities_only(past.product_id, quantity, point)
        return Predictions(patterns, weeks, no_pairs(len(patterns), weeks), products)

    def _forecast(self, model: Any, series: Floats, weeks: int) -> Floats:  # noqa: ANN401 the library's
        """Quantiles [weeks, QUANTILES] of one series, none below 0; the median is the point."""
        quantiles = np.empty(0)
        if np.count_nonzero(series) >= self.min_weeks:
            quantiles = self._quantiles(model, series, weeks)
        known = len(quantiles) and np.isfinite(quantiles).all()
        return np.maximum(quantiles if known else own_mean(series, weeks), 0.0)

    def _quantiles(self, model: Any, series: Floats, weeks: int) -> Floats:  # noqa: ANN401 the library's
        """What the library says, or nothing where it does not take the series."""
        level = {"level": sorted(PERCENT)} if self.intervals else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of flat series; what is not finite is not used
            try:
                said = model.forecast(y=series.copy(), h=weeks, **level)
            except NotImplementedError:  # "tiny datasets"
                return np.empty(0)
        point = np.broadcast_to(said["mean"], weeks)
        lower = [np.minimum(said[f"lo-{p}"], point) if level else point for p in PERCENT]
        upper = [np.maximum(said[f"hi-{p}"], point) if level else point for p in reversed(PERCENT)]
        return np.stack([*lower, point, *upper], axis=1)


def own_mean(series: Floats, weeks: int) -> Floats:
    """Normal quantiles around the mean of the series, [weeks, QUANTILES]."""
    z = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
    return np.broadcast_to(series.mean() + z * series.std(), (weeks, len(z)))
