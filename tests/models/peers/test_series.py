"""Weekly series methods against formulas worked out here."""

import numpy as np
import pytest

from models.peers import series
from models.peers.parts.series import own_mean
from tests.models.helpers import patterns_of
from toolkit.model import Streams

SERIES = [4.0, 0.0, 0.0, 6.0, 0.0, 2.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0]


def weekly(series):
    weeks = len(series)
    return [(7 * (week - weeks), q) for week, q in enumerate(series) if q]


def expected(model, series=SERIES, weeks=3):
    known = patterns_of({(1, 1): weekly(series)})
    said = model.predict(known, weeks=weeks, draws=8, streams=Streams(1)).products
    return said.expected_quantity[0]


def smoothed(values, weight):
    level = values[0]
    for value in values[1:]:
        level += weight * (value - level)
    return level


def test_croston_with_its_correction():
    sizes, gaps = [4.0, 6.0, 2.0, 8.0], [1.0, 3.0, 2.0, 4.0]
    by_hand = 0.95 * smoothed(sizes, 0.1) / smoothed(gaps, 0.1)
    assert np.allclose(expected(series.CROSTON_SBA), by_hand)


def test_tsb_fades_while_nobody_orders():
    sizes = [q for q in SERIES if q]
    p = smoothed([float(q > 0) for q in SERIES], 0.2)
    assert np.allclose(expected(series.TSB), smoothed(sizes, 0.1) * p)
    faded = expected(series.TSB, [*SERIES, 0.0, 0.0])
    assert np.allclose(faded, expected(series.TSB) * 0.8**2)


def test_a_steady_series_goes_on():
    for model in (series.ADIDA, series.AUTO_ETS):
        assert np.allclose(expected(model, [5.0] * 20), 5.0)


@pytest.mark.parametrize("model", [series.ADIDA, series.AUTO_ETS])
def test_a_single_week_is_its_own_mean(model):
    assert np.allclose(expected(model, [3.0]), 3.0)


def test_a_point_is_all_there_is_without_intervals():
    known = patterns_of({(1, 1): weekly(SERIES)})
    said = series.TSB.predict(known, weeks=2, draws=5, streams=Streams(1)).products
    assert np.all(said.quantity == said.expected_quantity[:, :, None].astype(np.float32))
    assert np.isnan(said.orders).all()


def test_intervals_widen_with_the_distance():
    walk = np.round(100 + np.cumsum(6 * np.sin(np.arange(60.0) ** 2)))
    known = patterns_of({(1, 1): weekly(walk)})
    drawn = series.AUTO_ETS.predict(known, weeks=10, draws=200, streams=Streams(1)).products
    width = np.diff(np.quantile(drawn.quantity[0], [0.1, 0.9], axis=1), axis=0)[0]
    assert width[-1] > 1.5 * width[0] > 0


def test_own_mean_is_normal():
    quantiles = own_mean(np.array([0.0, 4.0]), 2)
    assert quantiles[:, 3].tolist() == [2.0, 2.0]
    assert np.allclose(quantiles[0, [0, -1]], 2.0 + 2.0 * np.array([-1.645, 1.645]), atol=1e-3)
