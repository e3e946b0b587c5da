"""Thresholds: counted by hand and by a slow twin, and chosen without looking ahead."""

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from backtests.thresholds.choice import (
    KeptChoices,
    ThresholdRule,
    choose_thresholds,
    kept_choices,
    split_dates,
)
from backtests.thresholds.frontier import ThresholdGrid, count_listed, frontier
from tests.backtests.helpers import MemoryRun, make_run
from toolkit.errors import ArgumentError
from toolkit.stages.listing import Thresholds
from toolkit.validation import write

GRID = ThresholdGrid((1, 3), (0.0, 0.5))
DAY = date(2024, 1, 1)


def pairs_of(rows, day=DAY):
    """Rows of (product, customer, order_count, confidence, hit, orders, expected, next, median)."""
    names = (
        "product_id", "customer_id", "order_count", "confidence", "hit", "orders",
        "expected_orders", "next_day", "next_median_day",
    )  # fmt: skip
    frame = pd.DataFrame(rows, columns=names)
    week = (frame["next_day"] // 7).fillna(12).astype(np.int16)
    return frame.assign(next_week=week, as_of_date=pd.Timestamp(day))


NAN = np.nan
BY_HAND = pairs_of(
    [
        (1, 11, 5, 0.8, 1, 4, 3.0, 5, 6),
        (1, 12, 2, 0.6, 0, 1, 2.0, 40, 10),
        (1, 13, 4, 0.4, 0, 3, 1.0, 9, 30),
        (2, 11, 1, 0.2, NAN, 0, 0.5, NAN, 100),
        (2, 12, 3, 0.9, 1, 2, 2.0, 12, NAN),
        (2, 14, 9, NAN, NAN, 2, 2.0, 12, 12),
    ]
)


def test_by_hand():
    run = MemoryRun((DAY,), {"one": BY_HAND}, {})
    counts = count_listed(run, "one", grid=GRID)
    table = frontier(counts).set_index(["min_orders", "min_confidence"])
    strict = table.loc[(3, 0.5)]  # customer 11 of product 1 and 12 of product 2
    assert strict["pairs"] == 2
    assert strict["demand_coverage"] == pytest.approx(6 / 12)
    assert strict["customer_coverage"] == pytest.approx(2 / 4)
    assert strict["miss"] == 0
    assert strict["days"] == pytest.approx((1 + 72) / 2)  # no day: at the end, day 84
    assert strict["orders"] == pytest.approx(1 / 6)
    assert strict["brier"] == pytest.approx((0.04 + 0.01) / 2)
    assert strict["calibration_gap"] == pytest.approx(-0.15)
    loose = table.loc[(1, 0.0)]  # all but the one without confidence
    assert loose["pairs"] == 5
    assert loose["demand_coverage"] == pytest.approx(10 / 12)
    assert loose["customer_coverage"] == pytest.approx(3 / 4)
    assert loose["miss"] == pytest.approx(2 / 4)
    assert loose["days"] == pytest.approx((1 + 30 + 21 + 0 + 72) / 5)
    three = counts.grid.min_orders.index(3)
    first, second = (counts.grid.min_confidence.index(share) for share in (0.0, 0.5))
    assert counts.coverage()[0, three, first] == pytest.approx(7 / 8)
    assert counts.error("orders")[1, three, second] == 0


@pytest.fixture(scope="module")
def run(seeded):
    return make_run(
        np.random.default_rng(seeded(2)), {"one": 0.3}, pairs=400, customers=60, products=8
    )


def test_agrees_with_filtering_row_by_row(run):
    counts = count_listed(run, "one")
    table = run.pair_tables["one"]
    for row in frontier(counts).iloc[::7].itertuples():
        listed = table[
            (table["order_count"] >= row.min_orders) & (table["confidence"] >= row.min_confidence)
        ]
        assert row.pairs == len(listed)
        assert row.demand_coverage == pytest.approx(listed["orders"].sum() / table["orders"].sum())
        if len(listed):
            assert row.miss == pytest.approx(1 - listed["hit"].mean())
            assert row.brier == pytest.approx(((listed["confidence"] - listed["hit"]) ** 2).mean())
            off = (listed["expected_orders"] - listed["orders"]).abs().sum()
            assert row.orders == pytest.approx(off / listed["orders"].sum())
        bought = [frame[frame["orders"] > 0] for frame in (table, listed)]
        customers = [len(set(zip(f["as_of_date"], f["customer_id"], strict=True))) for f in bought]
        assert row.customer_coverage == pytest.approx(customers[1] / customers[0])


def test_chooses_the_least_error_of_enough_coverage(run):
    rule = ThresholdRule(min_coverage=0.7, min_rows=50)
    choice = choose_thresholds(run, "one", rule)
    table = frontier(count_listed(run, "one", choice.chosen_on))
    allowed = table[table["demand_coverage"] >= 0.7]
    best = allowed.loc[allowed["miss"].idxmin()]
    assert choice.overall == Thresholds(int(best["min_orders"]), best["min_confidence"])
    assert choice.chosen.error == pytest.approx(best["miss"])
    assert choice.feasible
    less = choose_thresholds(run, "one", replace(rule, min_coverage=0.3))
    assert less.chosen.error <= choice.chosen.error


def test_what_happened_later_changes_no_choice(run):
    """Neither on the verifying dates, nor in a horizon that reaches into them."""
    choice = choose_thresholds(run, "one", ThresholdRule(min_rows=50), verify_dates=2)
    table = run.pair_tables["one"].copy()
    later = table["as_of_date"] >= pd.Timestamp(choice.verified_on[0])
    table.loc[later, "hit"] = 1 - table.loc[later, "hit"]
    table.loc[later, "orders"] = 7
    table.loc[later, "confidence"] = 0.95
    changed = choose_thresholds(
        MemoryRun(run.dates, {"one": table}, {}), "one", ThresholdRule(min_rows=50), verify_dates=2
    )
    assert changed.verified != choice.verified
    assert replace(changed, verified=None, verified_by_product=None) == replace(
        choice, verified=None, verified_by_product=None
    )


@pytest.mark.parametrize("step", [1, 4, 11, 12, 13])
def test_no_horizon_of_a_choosing_date_reaches_a_verifying_one(step):
    dates = [DAY + timedelta(weeks=step * i) for i in range(24)]
    horizon = timedelta(weeks=12)
    earlier, later = split_dates(dates, horizon)
    assert len(later) == 8
    assert max(earlier) + horizon <= min(later)
    assert set(earlier) == {day for day in dates if day + horizon <= later[0]}


def test_without_dates_to_verify_all_choose_and_it_says_so(run):
    short = MemoryRun(run.dates[:1], run.pair_tables, {})
    choice = choose_thresholds(short, "one", ThresholdRule(min_rows=50))
    assert choice.chosen_on == run.dates[:1]
    assert choice.verified_on == ()
    assert choice.verified is None
    assert choice.known_before == run.dates[0] + timedelta(weeks=12)


def test_where_nothing_covers_enough_the_loosest_is_taken(run):
    grid = ThresholdGrid((3, 6), (0.3, 0.6))
    choice = choose_thresholds(run, "one", ThresholdRule(min_coverage=1.0), grid=grid)
    assert choice.overall == Thresholds(3, 0.3)
    assert not choice.feasible


def noisy_products(rng, products=60, per_date=150, dates=(DAY, DAY + timedelta(weeks=13))):
    """Confidence and order counts say nothing of hits: no thresholds are better than others."""
    frames = []
    for day in dates:
        n = products * per_date
        rows = {
            "product_id": np.repeat(np.arange(products), per_date),
            "customer_id": np.arange(n),
            "order_count": rng.integers(1, 9, n),
            "confidence": rng.random(n),
            "hit": (rng.random(n) < 0.4).astype(float),
            "orders": 1,
            "expected_orders": 1.0,
            "next_week": 3,
            "next_day": 22.0,
            "next_median_day": 25.0,
            "as_of_date": pd.Timestamp(day),
        }
        frames.append(pd.DataFrame(rows))
    return MemoryRun(tuple(dates), {"one": pd.concat(frames, ignore_index=True)}, {})


def test_noise_gives_hardly_any_product_thresholds_of_its_own(seeded):
    run = noisy_products(np.random.default_rng(seeded(2)))
    rule = ThresholdRule(min_coverage=0.3, min_rows=40)
    guarded = choose_thresholds(run, "one", rule)
    # Of 60, 97.5 % hold their two standard errors on one side, but for the best of several grid
    # cells: 2 to 7 were counted, and 18 of 60 with a chance of 0.08 each are one in 10⁶.
    assert len(guarded.by_product) <= 18
    assert len(choose_thresholds(run, "one", replace(rule, margin=0.0)).by_product) > 40  # 54 to 59


def test_a_product_that_differs_gets_its_own(seeded):
    """Elsewhere confidence tells who orders; of product 7 it is the number of orders."""
    run = noisy_products(np.random.default_rng(seeded(2)), per_date=400)
    table = run.pair_tables["one"]
    lucky = np.random.default_rng(seeded(3)).random(len(table)) < table["confidence"]
    many = table["order_count"] >= 5
    table["hit"] = lucky.where(table["product_id"] != 7, many).astype(float)
    choice = choose_thresholds(run, "one", ThresholdRule(min_coverage=0.35, min_rows=100))
    assert choice.overall.min_confidence == 0.6
    assert choice.by_product[7] == Thresholds(5, 0.0)
    # of 59 others one in 120 or so: more than 7 of them are one in 10⁷ runs
    assert len(choice.by_product) <= 8
    assert choice.verified_by_product.error < choice.verified.error


def test_a_product_of_which_too_little_would_be_listed_gets_its_own(seeded):
    run = noisy_products(np.random.default_rng(seeded(2)), per_date=400)
    table = run.pair_tables["one"]
    unsure = table["product_id"] == 7
    lucky = np.random.default_rng(seeded(3)).random(len(table)) < table["confidence"]
    table["hit"] = lucky.astype(float)
    table.loc[unsure, "confidence"] *= 0.1
    choice = choose_thresholds(run, "one", ThresholdRule(min_coverage=0.35, min_rows=100))
    assert choice.overall.min_confidence > 0.1
    assert choice.by_product[7].min_confidence == 0.0


def test_is_small_plain_data(run, tmp_path):
    choice = choose_thresholds(run, "one", ThresholdRule(min_rows=20, margin=0.0, min_coverage=0.5))
    assert choice.by_product
    file = tmp_path / "thresholds.json"
    write(file, KeptChoices((choice,)))
    assert kept_choices(file).choices == (choice,)
    assert json.loads(file.read_text()) == {"choices": [choice.to_dict()]}
    content = choice.to_dict()
    del content["rule"]
    file.write_text(json.dumps({"choices": [content]}))
    with pytest.raises(
        ArgumentError, match=r"choices\[1\]\.rule: is missing; `toolkit thresholds RUN`"
    ):
        kept_choices(file)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: choose_thresholds(run, "new"), "no version new"),
        (lambda run: choose_thresholds(run, "one", verify_dates=4), "verify_dates"),
        (lambda run: choose_thresholds(MemoryRun(run.dates, {}, run.week_tables), "one"), "pairs"),
        (lambda _: ThresholdRule(error="wape"), "one of miss, days"),
        (lambda _: ThresholdRule(min_coverage=80), "min_coverage"),
        (lambda _: ThresholdRule(margin=-1), "margin"),
    ],
)
def test_refuses_what_makes_no_sense(run, ask, message):
    with pytest.raises(ArgumentError, match=message):
        ask(run)
