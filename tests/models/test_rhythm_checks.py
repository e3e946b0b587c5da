"""Predictive checks of ``rhythm``: by hand, a right model passed, wrong ones caught."""

from dataclasses import replace

import numpy as np
import pytest

from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.rhythm.activity import BLOCKS, COLUMNS, OWN_ORDERS
from models.parts.rhythm.checks import order_weeks, predictive_checks, replicate, statistics
from models.parts.rhythm.newcomers import NEWCOMERS, Newcomers
from models.parts.rhythm.windows import WindowData
from tests.chance import assert_near
from tests.models.helpers import DATA_SETS, assert_tails_of_a_right_model

PRODUCTS, WINDOWS = 30, 2
DRAWS = 60
SHOCKS = "product / expected"


def design(rows, rng, products=PRODUCTS):
    window = np.arange(rows) % WINDOWS
    return WindowData(
        ordered=np.zeros((rows, HORIZON_WEEKS), dtype=bool),
        extra=np.zeros(rows),
        elapsed=rng.exponential(6.0, rows),
        clock=np.exp(rng.normal(-1.0, 0.5, rows)),
        log_season=np.tile(rng.normal(0.0, 0.1, HORIZON_WEEKS), (WINDOWS, 1)),
        values=rng.normal(0.0, 1.0, (rows, len(COLUMNS))),
        window=window,
        product_window=window * products + rng.integers(0, products, rows),
        newcomers=Newcomers(np.zeros(1), np.zeros((1, len(NEWCOMERS))), np.zeros(1)),
    )


def parameters(**changed):
    """One draw: a constant and slopes of 0.1 in each block, but where ``changed``."""
    constant = {"rate": -1.0, "dip": -0.5, "frailty": -0.7, "alive": 2.0, "extra": -2.0}
    draw = {
        block: np.array([changed.pop(block, constant[block]), *np.full(len(columns), 0.1)])
        for block, columns in BLOCKS.items()
    }
    shock = {
        "log_dip_length": np.log(0.5), "decline": 0.01, "product_shock": 0.2, "level_sd": 0.1,
    }  # fmt: skip
    return draw | {name: np.array(value) for name, value in (shock | changed).items()}


def checked(truth, believed, rows=3000, seed=1):
    """The checks, by name, of data by ``truth`` where every draw is ``believed``."""
    rng = np.random.default_rng(seed)
    data = design(rows, rng)
    ordered, extra = replicate(data, truth, rng)
    draws = {name: np.repeat(value[None], DRAWS, axis=0) for name, value in believed.items()}
    checks = predictive_checks(
        replace(data, ordered=ordered, extra=extra), draws, draws, rng
    ).checks()
    return {check.statistic: check for check in checks}


def test_statistics_are_those_worked_out_by_hand():
    data = design(6, np.random.default_rng(1))
    ordered = np.zeros((6, HORIZON_WEEKS), dtype=bool)
    for row, weeks in enumerate([[], [4], [0, 1], [2, 5, 11], [0, 1, 2, 3], []]):
        ordered[row, weeks] = True
    before = np.array([0.0, 0.4, 0.6, 2.0, 3.0, 9.0])
    values = data.values.copy()
    values[:, COLUMNS.index("orders")] = np.log(before + OWN_ORDERS)
    data = replace(data, values=values, product_window=np.array([0, 0, 1, 1, 2, 2]))
    extra = np.array([0, 0, 1, 0, 3, 0.0])
    found = statistics(data, (ordered, extra), np.array([1.0, 5.0, 8.0]))
    by_hand = {
        "pairs: no order": 2 / 6,
        "pairs: 1 order week": 1 / 6,
        "pairs: 2 or 3": 2 / 6,
        "pairs: 4 or more": 1 / 6,
        "ordered: few before": 1 / 2,
        "ordered: some before": 1.0,
        "ordered: many before": 1 / 2,
        "first order: week": (5 + 1 + 3 + 1) / 4,
        "gap: 1 week": 4 / 6,  # of 1, 3 6, 1 1 1
        "gap: mean weeks": 13 / 6,
        "orders per order week": 1.4,  # 4 more in 10
        SHOCKS: np.std(np.log([5.5 / 5.5, 4.5 / 8.5])),
    }
    assert list(found) == list(by_hand)
    assert found == pytest.approx(by_hand)


def test_where_nobody_orders_the_rest_is_not_defined():
    data = design(20, np.random.default_rng(2))
    found = statistics(data, (data.ordered, data.extra), np.zeros(data.product_window.max() + 1))
    assert found["pairs: no order"] == 1.0
    assert [name for name, value in found.items() if np.isnan(value)] == list(found)[7:]


def test_first_orders_come_as_the_formula_says(seeded):
    """Without slopes, frailty and dip P(order in week w) is p (1 − exp(−h)) exp(−h w)."""
    rng = np.random.default_rng(seeded(3))
    data = replace(design(200_000, rng), log_season=np.zeros((WINDOWS, HORIZON_WEEKS)))
    draw = parameters(rate=-2.0, dip=-40.0, frailty=-40.0, alive=1.0, decline=0.0)
    for block in BLOCKS:
        draw[block][1:] = 0.0
    ordered, extra = order_weeks(data, draw, np.zeros(200_000), rng)
    first = np.bincount(ordered.argmax(axis=1)[ordered.any(axis=1)], minlength=HORIZON_WEEKS)
    hazard, alive = np.exp(-2.0), 1.0 / (1.0 + np.exp(-1.0))
    expected = alive * -np.expm1(-hazard) * np.exp(-hazard * np.arange(HORIZON_WEEKS))
    assert_near(first / 200_000, expected, np.sqrt(expected / 200_000), HORIZON_WEEKS + 1)
    further = np.exp(-2.0)
    error = np.sqrt(further / ordered.sum())
    assert_near(extra.sum() / ordered.sum(), further, error, HORIZON_WEEKS + 1)


def test_data_of_the_model_itself_are_not_extreme(seeded):
    tails = []
    for seed in range(DATA_SETS):
        checks = checked(parameters(), parameters(), seed=seeded(seed))
        tails.append([check.tail_p for check in checks.values()])
    tails = np.array(tails)  # [data sets, statistics]
    assert_tails_of_a_right_model(tails)


@pytest.mark.parametrize(
    ("what", "truth", "believed"),
    [
        (SHOCKS, {"product_shock": 0.8}, {"product_shock": 0.1}),
        ("gap: mean weeks", {"dip": 1.5}, {"dip": -3.0}),
        ("orders per order week", {"extra": -1.0}, {"extra": -2.0}),
        ("pairs: 4 or more", {"frailty": 0.5}, {"frailty": -3.0}),
    ],
    ids=["shared shocks", "a dip after an order", "several orders a week", "unlike customers"],
)
def test_what_the_model_leaves_out_is_caught(what, truth, believed, seeded):
    data, wrong = parameters(**truth), parameters(**believed)
    assert checked(data, wrong, seed=seeded(1))[what].tail_p in (0.0, 1.0)
    # a right model is at one end once in a hundred times
    right = (checked(data, data, seed=seeded(seed))[what].tail_p for seed in range(1, 5))
    assert any(0.0 < p < 1.0 for p in right)


def test_wild_draws_of_the_prior_are_survived():
    wild = parameters(rate=40.0, dip=20.0, frailty=4.0, alive=-50.0, extra=60.0)
    data = design(200, np.random.default_rng(4))
    ordered, extra = replicate(data, wild, np.random.default_rng(5))
    assert np.all(np.isfinite(extra))
    assert not ordered.any()
    wild["alive"][0], wild["dip"][0], wild["frailty"][0] = 50.0, -20.0, 0.0
    ordered, extra = replicate(data, wild, np.random.default_rng(5))
    assert ordered.any()
    assert np.all(np.isfinite(extra))
