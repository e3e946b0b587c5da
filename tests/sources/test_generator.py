"""Generated orders: what was put in can be found in them again."""

import math
from dataclasses import fields, replace
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.chance import assert_near, assert_share, error_of_mean, p_limit, z_limit
from toolkit.sources.generator import FIRST_CUSTOMER_ID, Truth, generate_orders, load_orders

# Every pair from its own first order on, which lies at the start; no pair differs from another.
PLAIN = Truth(
    customers=400,
    products=20,
    pairs=2000,
    days=900,
    interval_days=20.0,
    customer_spread=0.0,
    product_spread=0.0,
    heterogeneity=math.inf,
    lapse=0.0,
    new_pairs=1.0,
    arrival_days=60,
)


def days_of(orders):
    """Order lines with their day from the start date."""
    start = np.datetime64(orders.truth.start_date)
    return orders.order_lines.assign(day=(orders.order_lines.ordered_at - start).dt.days)


def intervals_of(orders, count=None):
    """Days between a pair's successive orders; ``count``: each pair's first so many only.

    All intervals that fit into a span would be too short on average: long ones fit less often.
    """
    day = days_of(orders).sort_values(["product_id", "customer_id", "day"])
    pair = day.groupby(["product_id", "customer_id"], sort=False)
    interval = pair.day.diff()
    first_few = (pair.cumcount() <= count) if count else True
    return day.assign(interval=interval)[interval.notna() & first_few]


@pytest.mark.parametrize("regularity", [1.0, 4.0])
def test_mean_interval_and_regularity_are_recovered(regularity, seeded):
    intervals = intervals_of(
        generate_orders(replace(PLAIN, regularity=regularity), seed=seeded(1)), count=10
    )
    assert len(intervals) == 10 * PLAIN.pairs
    law = stats.gamma(regularity, scale=20.0 / regularity)
    error = error_of_mean(intervals.interval)
    assert_near(intervals.interval.mean(), 20.0 + law.cdf(0.5), error, 4)  # none is rounded to 0
    assert_near(*log_regularity(intervals.interval, regularity), 4)


def log_regularity(interval, truth):
    """Of intervals and of their law, and the former's standard error, by the delta method."""
    off = interval - interval.mean()
    influence = off**2 / np.mean(off**2) - 1 - 2 * off / interval.mean()
    found = np.log(interval.mean() ** 2 / np.mean(off**2))
    return found, np.log(truth), error_of_mean(influence)


def test_intervals_are_rounded_gamma_draws(seeded):
    intervals = intervals_of(
        generate_orders(replace(PLAIN, regularity=3.0), seed=seeded(2)), count=10
    ).interval
    law = stats.gamma(3.0, scale=20.0 / 3.0)
    days = np.arange(1, 81)
    expected = law.cdf(days + 0.5) - np.where(days == 1, 0.0, law.cdf(days - 0.5))
    seen = np.array([(intervals == day).mean() for day in days])
    noise = np.sqrt(expected / len(intervals))
    assert_near(seen, expected, noise, one=1 / len(intervals))


def test_regularity_may_differ_between_products(seeded):
    regularity = tuple(np.linspace(0.8, 6.0, PLAIN.products))
    intervals = intervals_of(
        generate_orders(replace(PLAIN, regularity=regularity), seed=seeded(3)), count=12
    )
    by_product = intervals.groupby("product_id").interval
    for (_, interval), truth in zip(by_product, regularity, strict=True):
        assert_near(*log_regularity(interval, truth), PLAIN.products)


def test_rates_are_gamma_about_the_typical_interval(seeded):
    brief = replace(PLAIN, days=1, arrival_days=1)
    truth = replace(brief, pairs=8000, heterogeneity=4.0, customer_spread=0.5)
    pairs = generate_orders(truth, seed=seeded(4)).pairs
    relative = pairs.rate * pairs.typical_interval
    assert stats.kstest(relative, stats.gamma(4.0, scale=0.25).cdf).pvalue > p_limit(3)
    by_customer = np.log(pairs.groupby("customer_id").typical_interval.mean())
    error = 0.5 / np.sqrt(len(by_customer))
    assert_near(by_customer.std(), 0.5, error / np.sqrt(2), 3)
    assert_near(by_customer.mean(), math.log(20.0), error, 3)


def test_a_pairs_own_rate_rules_its_intervals(seeded):
    truth = replace(PLAIN, heterogeneity=3.0, regularity=3.0, days=2000)
    orders = generate_orders(truth, seed=seeded(5))
    mean = (
        intervals_of(orders).groupby(["product_id", "customer_id"]).interval.agg(["mean", "size"])
    )
    pairs = orders.pairs.set_index(["product_id", "customer_id"]).loc[mean.index]
    many = mean["size"] >= 30
    ratio = mean["mean"][many] * pairs.rate[many]
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    assert ratio.std() < 0.15


def test_the_lapse_share_is_recovered_and_nothing_follows_a_lapse(seeded):
    orders = generate_orders(replace(PLAIN, lapse=0.08), seed=seeded(6))
    last = days_of(orders).groupby(["product_id", "customer_id"]).day.max()
    pairs = orders.pairs.set_index(["product_id", "customer_id"]).loc[last.index]
    lapsed = pairs.alive_until < PLAIN.days
    assert (pairs.alive_until[lapsed] == last[lapsed]).all()
    assert_share(lapsed.sum(), len(orders.order_lines), 0.08)


def test_without_lapse_all_live_to_the_end(seeded):
    assert (generate_orders(PLAIN, seed=seeded(7)).pairs.alive_until == PLAIN.days).all()


def test_customers_on_a_grid_keep_to_their_weekday(seeded):
    orders = generate_orders(replace(PLAIN, weekly_grid=0.6), seed=seeded(8))
    lines = days_of(orders)
    weekdays = (lines.day % 7).groupby(lines.customer_id).nunique()
    assert_share((weekdays == 1).sum(), len(weekdays), 0.6, 2)
    pairs = orders.pairs.set_index("customer_id").weekday
    pairs = pairs[~pairs.index.duplicated()]
    on_grid = lines[lines.customer_id.map(pairs) >= 0]
    assert (on_grid.day % 7 == on_grid.customer_id.map(pairs)).all()
    assert set(pairs) == {-1, 0, 1, 2, 3, 4, 5, 6}
    intervals = intervals_of(orders, count=10)
    error = error_of_mean(intervals.interval)
    # next to whole weeks, one that is less than half a week is not rounded to none
    assert_near(intervals.interval.mean(), 20.0, error + 0.4 / z_limit(2), 2)


def test_the_season_is_in_the_orders_per_day(seeded):
    season = (0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0)
    truth = replace(PLAIN, season=season, start_date=date(2021, 1, 1), days=4 * 365 + 1)
    orders = generate_orders(
        replace(truth, pairs=4000, regularity=1.0, new_pairs=0.0), seed=seeded(9)
    )
    per_month = orders.order_lines.ordered_at.dt.month.value_counts().sort_index()
    span = pd.date_range(truth.start_date, periods=truth.days)
    per_day = per_month / span.month.value_counts().sort_index()
    expected = np.array(season) / np.mean(season)
    np.testing.assert_allclose(
        per_day / 4000 * 20, expected, rtol=0.06
    )  # of 12,000 orders a month: 6.6 errors


def test_a_flat_season_is_no_season(seeded):
    flat = generate_orders(replace(PLAIN, season=(3.0,) * 12), seed=seeded(10))
    pd.testing.assert_frame_equal(
        flat.order_lines, generate_orders(PLAIN, seed=seeded(10)).order_lines
    )


def test_pairs_repeat_their_usual_size(seeded):
    orders = generate_orders(
        replace(PLAIN, usual_size=0.8, sizes=tuple(range(1, 101))), seed=seeded(11)
    )
    usual = orders.pairs.set_index(["product_id", "customer_id"]).usual_size
    lines = orders.order_lines.join(usual, on=["product_id", "customer_id"])
    assert (lines.quantity == lines.usual_size).mean() == pytest.approx(0.8, abs=0.015)
    assert set(lines.quantity) <= set(range(1, 101))


def test_prices_drift(seeded):
    orders = generate_orders(
        replace(PLAIN, price=50.0, price_drift=0.2, products=100), seed=seeded(12)
    )
    lines = days_of(orders)
    start = lines[lines.day < 60].groupby("product_id").unit_price.mean()
    end = lines[lines.day >= 840].groupby("product_id").unit_price.mean()
    yearly = (np.log(end / start) / (840 / 365)).dropna()
    assert yearly.mean() == pytest.approx(0.2, abs=0.02)
    assert start.median() == pytest.approx(50.0, rel=0.4)  # 6 % is the error of one of 100 prices
    assert (lines.unit_price == lines.unit_price.round(2)).all()


def test_new_pairs_arrive_over_the_span_and_the_others_before_it(seeded):
    orders = generate_orders(replace(PLAIN, new_pairs=0.4, arrival_days=None), seed=seeded(13))
    first = orders.pairs.first_day
    assert_share((first >= 0).sum(), len(first), 0.4, 2)
    new = first[first >= 0]
    assert stats.kstest(new / PLAIN.days, "uniform").pvalue > p_limit(2)
    assert first.min() >= -PLAIN.run_in_days


def test_a_new_pairs_first_recorded_order_is_its_first(seeded):
    orders = generate_orders(replace(PLAIN, arrival_days=None, weekly_grid=0.5), seed=seeded(14))
    first = days_of(orders).groupby(["product_id", "customer_id"]).day.min()
    truth = orders.pairs.set_index(["product_id", "customer_id"]).first_day
    pd.testing.assert_series_equal(first, truth, check_names=False)


def test_customers_per_product_are_exact(seeded):
    truth = replace(PLAIN, customers_per_product=(50, 500, 1), customers=500, pairs=1)
    orders = generate_orders(truth, seed=seeded(15))
    customers = orders.order_lines.groupby("product_id").customer_id.nunique()
    assert customers.to_dict() == {1: 50, 2: 500, 3: 1}
    assert len(orders.products) == 3


@pytest.mark.parametrize("pairs", [1, 777, 8000])
def test_pairs_are_distinct_and_as_many_as_asked(pairs, seeded):
    frame = generate_orders(
        replace(PLAIN, pairs=pairs, days=30, arrival_days=30), seed=seeded(16)
    ).pairs
    assert len(frame.drop_duplicates(["product_id", "customer_id"])) == pairs


def test_what_a_customer_orders_on_a_day_is_one_order(seeded):
    lines = generate_orders(replace(PLAIN, weekly_grid=1.0), seed=seeded(17)).order_lines
    per_order = lines.groupby("order_id")
    assert (per_order.customer_id.nunique() == 1).all()
    assert (per_order.ordered_at.nunique() == 1).all()
    assert lines.order_id.nunique() == len(lines.drop_duplicates(["customer_id", "ordered_at"]))
    assert not lines.duplicated(["customer_id", "product_id", "ordered_at"]).any()
    assert len(lines) > 1.2 * lines.order_id.nunique()


def test_ids_of_customers_and_products_cannot_be_mixed_up(seeded):
    orders = generate_orders(PLAIN, seed=seeded(18))
    assert orders.products.product_id.tolist() == list(range(1, 21))
    assert (
        orders.customers.customer_id.min() == FIRST_CUSTOMER_ID > orders.products.product_id.max()
    )
    assert orders.order_lines.customer_id.isin(orders.customers.customer_id).all()
    assert orders.order_lines.product_id.isin(orders.products.product_id).all()


def test_all_orders_lie_inside_the_span(seeded):
    orders = generate_orders(Truth(days=100), seed=seeded(19))
    assert days_of(orders).day.between(0, 99).all()


def test_a_seed_gives_the_same_orders_and_another_seed_others():
    one, same, other = (generate_orders(Truth(pairs=500), seed) for seed in (1, 1, 2))
    for name in ("order_lines", "products", "customers", "pairs"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(same, name))
    assert not one.order_lines.equals(other.order_lines)


def test_no_truth_depends_on_how_long_one_looks(seeded):
    short, long = (
        generate_orders(replace(PLAIN, days=days), seed=seeded(20)) for days in (300, 900)
    )
    constant = ["product_id", "customer_id", "typical_interval", "rate", "first_day"]
    pd.testing.assert_frame_equal(short.pairs[constant], long.pairs[constant])


def test_loading_fills_the_tables():
    orders = generate_orders(Truth(pairs=500), seed=21)
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        counted = conn.execute("SELECT count(*), sum(Qty) FROM dbo.OrderItem").fetchone()
        views = conn.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone()
    assert counted == (len(orders.order_lines), orders.order_lines.quantity.sum())
    assert views == (0,)


WRONG = {
    "customers": 0,
    "pairs": 300 * 200 + 1,
    "customers_per_product": (301,),
    "days": 0,
    "interval_days": 0.0,
    "price": -1.0,
    "run_in_days": 0,
    "arrival_days": 10_000,
    "heterogeneity": 0.0,
    "regularity": (1.0, 2.0),
    "season": (1.0,) * 11,
    "lapse": 1.1,
    "new_pairs": -0.1,
    "weekly_grid": 2.0,
    "usual_size": -1.0,
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=r"must|at most"):
        Truth(**{name: WRONG[name]})


def test_every_setting_matters():
    """A setting that changes nothing would be a broken promise."""
    base = Truth(customers=50, products=10, pairs=100)
    changed = {
        "customers": 51,
        "products": 11,
        "pairs": 101,
        "customers_per_product": (10,) * 10,
        "popularity_spread": 0.1,
        "start_date": date(2020, 1, 1),
        "days": 1000,
        "interval_days": 10.0,
        "customer_spread": 0.9,
        "product_spread": 0.9,
        "heterogeneity": 1.0,
        "regularity": 9.0,
        "lapse": 0.2,
        "new_pairs": 0.9,
        "arrival_days": 5,
        "run_in_days": 10,
        "season": (0.5, 1.5) * 6,
        "weekly_grid": 1.0,
        "usual_size": 0.1,
        "sizes": (5,),
        "price": 100.0,
        "price_drift": 0.9,
    }
    assert changed.keys() == {field.name for field in fields(Truth)}
    lines = generate_orders(base, seed=1).order_lines
    for name, value in changed.items():
        other = generate_orders(replace(base, **{name: value}), seed=1).order_lines
        assert not lines.equals(other), name
