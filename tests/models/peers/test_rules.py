"""Rules against numbers worked out by hand."""

import numpy as np
import pytest

from models.parts.weekly_demand import WeeklyDemand
from models.peers import hiatus, last_26_weeks, mean_interval
from models.peers.parts.tables import at_levels, spread
from models.peers.parts.waiting import Wait, knots
from tests.models.helpers import patterns_of
from toolkit.data.tables import QUANTILES, REACH_DAYS
from toolkit.errors import ModelError
from toolkit.model import Streams

HISTORIES = {
    # intervals 10 and 20 days: mean 15; the open one lasts 13
    (1, 1): [(-43, 2.0), (-33, 4.0), (-13, 3.0)],
    # mean 10, open 28: 1.5 means are over, and so are 2.8
    (1, 2): [(-48, 1.0), (-38, 1.0), (-28, 1.0)],
    (2, 3): [(-5, 6.0)],
}


def predict(model, patterns, weeks=4, draws=10):
    return model.predict(patterns, weeks=weeks, draws=draws, streams=Streams(1))


def test_the_mean_interval_repeats():
    """Orders of the first pair on days 2, 17 and 32; of the second on days 2, 12 and 22."""
    said = predict(mean_interval.MODEL, patterns_of(HISTORIES))
    assert said.pairs.next_order_day.tolist()[:2] == [2.0, 2.0]
    assert np.isnan(said.pairs.next_order_day[2])
    assert said.pairs.expected_orders.tolist() == [[1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]]
    assert said.pairs.expected_quantity[0].tolist() == [3, 0, 3, 0]
    assert said.pairs.order_count_p.argmax(axis=1).tolist() == [2, 3, 0]
    assert said.pairs.p_order_by_week[:, 0].tolist() == [1, 1, 0]
    assert said.products.expected_quantity.tolist() == [[4, 1, 3, 1], [0, 0, 0, 0]]
    assert np.all(said.products.quantity == said.products.expected_quantity[:, :, None])


def test_a_hiatus_of_one_and_a_half_intervals_is_the_end():
    said = predict(hiatus.MODEL, patterns_of(HISTORIES))
    assert said.pairs.p_alive.tolist() == [1, 0, 0]
    assert said.pairs.expected_orders.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(("silent", "alive"), [(15, 1.0), (16, 0.0)])
def test_the_limit_itself_is_not_a_hiatus(silent, alive):
    history = [(-silent - 10, 1.0), (-silent, 1.0)]
    assert predict(hiatus.MODEL, patterns_of({(1, 1): history})).pairs.p_alive[0] == alive


def test_a_due_date_beyond_reach_is_none():
    rare = patterns_of({(1, 1): [(-REACH_DAYS - 10, 1.0), (-1, 1.0)]})
    said = predict(mean_interval.MODEL, rare).pairs
    assert np.isnan(said.next_order_day[0])
    assert said.confidence[0] == 0.0


def test_weeks_end_before_the_date():
    past = WeeklyDemand.of(
        patterns_of({(1, 1): [(-15, 4.0), (-8, 2.0), (-7, 1.0)], (1, 2): [(-1, 5.0)]}), 4
    )
    assert past.quantity.tolist() == [[0, 4, 2, 6]]
    assert past.orders.tolist() == [[0, 1, 1, 2]]
    assert past.weeks_known.tolist() == [3]
    assert past.series(0).tolist() == [4, 2, 6]


def test_a_week_to_come_is_one_of_the_last_26():
    """Of 26 weeks with 0 … 25 units, and one before them that is forgotten."""
    history = [(7 * back - 182 - 1, float(back)) for back in range(1, 26)]
    known = patterns_of({(1, 1): [(-190, 900.0), *history]})
    said = predict(last_26_weeks.MODEL, known, weeks=12, draws=260).products
    values, counts = np.unique(said.quantity[0, 3], return_counts=True)
    assert values.tolist() == list(range(26))
    assert set(counts) == {10}
    assert np.allclose(said.expected_quantity, 12.5)
    assert np.all((said.orders > 0) == (said.quantity > 0))


def test_weeks_before_the_first_order_count_as_empty():
    known = patterns_of({(1, 1): [(-14, 8.0)]})
    said = predict(last_26_weeks.MODEL, known, draws=52).products
    assert np.sort(said.quantity[0, 0]).tolist() == [0] * 50 + [8] * 2
    assert np.allclose(said.expected_quantity, 8 / 26)


def test_another_version_of_a_rule_is_refused(tmp_path):
    hiatus.MODEL.save(tmp_path)
    file = tmp_path / "parameters.json"
    file.write_text(file.read_text().replace("1.5", "1.6"))
    with pytest.raises(ModelError, match=r"holds .*1\.6"):
        hiatus.MODEL.load(tmp_path)


def test_draws_at_levels_have_the_quantiles():
    quantiles = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 40.0])
    levels = spread(np.array([7]), 3, 20_000, Streams(1))
    drawn = at_levels(np.broadcast_to(quantiles, (1, 3, 7)), levels)
    assert np.allclose(np.quantile(drawn[0, 1], QUANTILES), quantiles, atol=0.02)
    assert abs(np.corrcoef(drawn[0, 0], drawn[0, 1])[0, 1]) < 0.03


def test_draws_end_at_zero():
    quantiles = np.array([0.1, 2.0, 4.0, 8.0, 16.0, 32.0, 40.0])[None, None]
    assert at_levels(quantiles, np.array([[[0.001, 0.05]]])).ravel().tolist() == [0.0, 0.1]


def test_a_wait_between_its_days():
    """P = ½ within a week, ¾ within two: hazard log 2 a week."""
    wait = Wait.of(np.array([0, 7, 14]), np.array([[0.0, 0.5, 0.75]]))
    assert np.isclose(wait.by(np.array([3.5]))[0], 1 - 0.5**0.5)
    assert wait.by(np.array([99.0]))[0] == 0.75
    # ½ is reached with the first week's end, day 6; 0.9 never
    assert wait.quantiles()[0].tolist()[:4] == [0.0, 1.0, 2.0, 6.0]
    assert np.isnan(wait.quantiles()[0, 5])
    # day 6 ± 3: after the first 3 days (days 0 to 2), within the first 10
    assert np.isclose(
        wait.confidence(np.array([6.0]), np.array([8.0]))[0], 0.5 ** (3 / 7) - 0.5 ** (10 / 7)
    )
    assert wait.confidence(np.array([np.nan]), np.array([8.0]))[0] == 0.0


def test_knots_hold_the_weeks_and_reach_far_enough():
    days = knots(12)
    assert set(range(0, 85, 7)) <= set(days.tolist())
    assert days[-1] > REACH_DAYS
    assert np.all(np.diff(knots(150)) > 0)
