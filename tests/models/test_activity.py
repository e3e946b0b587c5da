"""The activity columns, against a slow twin, by hand and at their limits."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from models.parts.rhythm.activity import (
    COLUMNS,
    RESTARTED,
    BaseRates,
    activity,
    column,
    repeat_rates,
)
from models.parts.rhythm.season import Season
from tests.models.helpers import AS_OF, patterns_of, some_season
from tests.models.slow_activity import SlowActivity
from toolkit.errors import ModelError

BASE = BaseRates(per_day=0.01, per_visit=0.1, newcomers=0.02)
NO_SEASON = Season.none(AS_OF)
SEASON = some_season(1, 0.2)
HIDDEN = 9  # a product that is not asked for; its customers' days are known all the same


def random_orders(seed, span=1500):
    """(product, customer) → days; some pairs with one order, some products bought by one alone."""
    rng = np.random.default_rng(seed)
    orders = {}
    for product in (2, 3, 5, HIDDEN):
        for customer in rng.choice(np.arange(20, 27), rng.integers(1, 6), replace=False):
            first = int(rng.integers(5, span))
            count = min(int(rng.integers(1, 12)), first)
            days = rng.choice(np.arange(-first, 0), count, replace=False)
            orders[product, int(customer)] = sorted(int(day) for day in days)
    return orders


def sizes_from(orders):
    """A size for each order, that differs from order to order and from pair to pair."""
    return {
        (product, customer): [1.0 + (3 * i + 5 * customer + product) % 7 for i in range(len(days))]
        for (product, customer), days in orders.items()
    }


def patterns_from(orders, hidden=HIDDEN):
    """All pairs but those of the hidden product, and all days of all customers."""
    sizes = sizes_from(orders)
    patterns = patterns_of(
        {key: list(zip(sorted(days), sizes[key], strict=True)) for key, days in orders.items()}
    )
    return patterns.select(patterns.product_id != hidden)


def slow(orders, season=NO_SEASON, base=BASE, hidden=HIDDEN):
    """The twin, which also knows the days of what is hidden."""
    visits = {}
    for (_, customer), days in orders.items():
        for day in days:
            bought = visits.setdefault(customer, {})
            bought[day] = bought.get(day, 0) + 1
    oldest = min(-1096, *(min(days) for days in orders.values()))
    levels = {day: exp(season.log_level(AS_OF, np.array([day]))[0]) for day in range(oldest, 0)}
    shown = {key: days for key, days in orders.items() if key[0] != hidden}
    sizes = sizes_from(shown)
    return SlowActivity(shown, sizes, visits, levels.__getitem__, base.per_day, base.per_visit)


def rows_of(orders, season=NO_SEASON):
    """(product, customer) → column → value, and product → column → value for new customers."""
    patterns = patterns_from(orders)
    found = activity(patterns, season, BASE)
    pairs = list(zip(patterns.product_id.tolist(), patterns.customer_id.tolist(), strict=True))
    keys = [*pairs, *sorted({product for product, _ in pairs})]
    rows = (dict(zip(COLUMNS, row, strict=True)) for row in found.values.tolist())
    others = zip(found.restarted, found.clock, found.elapsed, found.weekday, strict=True)
    return {
        key: row | dict(zip(("restarted", "clock", "elapsed", "weekday"), other, strict=True))
        for key, row, other in zip(keys, rows, others, strict=True)
    }


def assert_close(row, expected):
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(row[name], value, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("season", [NO_SEASON, SEASON], ids=["no season", "season"])
@pytest.mark.parametrize("seed", range(4))
def test_all_columns_against_a_slow_twin(seed, season, seeded):
    orders = random_orders(seeded(seed))
    twin = slow(orders, season)
    rows = rows_of(orders, season)
    products = {product for product, _ in twin.orders}
    assert rows.keys() == twin.orders.keys() | products
    for pair in twin.orders:
        assert_close(rows[pair], twin.known_pair(pair))
    for product in products:
        assert_close(rows[product], twin.new_pair(product))


@pytest.mark.parametrize("season", [NO_SEASON, SEASON], ids=["no season", "season"])
def test_repeat_rates_against_a_slow_twin(season):
    orders = random_orders(7)
    twin = slow(orders, season)
    repeat = sum(twin.repeat(pair) for pair in twin.orders)
    days = sum(twin.faded_days(270, -min(days)) for days in twin.orders.values())
    visits = sum(twin.visits_after_first(pair) for pair in twin.orders)
    per_day, per_visit = repeat_rates(patterns_from(orders), season)
    assert per_day == pytest.approx((repeat + 0.7) / days, rel=1e-10)
    assert per_visit == pytest.approx((repeat + 0.7) / (visits + 1), rel=1e-10)


def test_two_orders_by_hand():
    """Two half-lives back and one: faded, the repeat order is 1/2 and 540 days are 292.15."""
    row = rows_of({(1, 1): [-540, -270]})[1, 1]
    own_rate = log(1.2 / (0.7 * (2000 + 292.15) / (0.5 + 20) + 292.15))
    assert own_rate == pytest.approx(-5.7323, abs=1e-4)
    by_hand = {
        "own_rate": own_rate,
        "own_rate_by_visit": log(1 / 6),  # 1.2 / (0.7 · 100.5 / 10.5 + 0.5)
        "visit_rate": log(1.75 / 322.15),
        "basket": 0.0,
        "late": log(273.5) + own_rate,
        "overdue": 0.0,
        "late_by_visit": log(1 / 12),
        "visit_late": log(273.5 * 1.75 / 322.15),
        "visit_overdue": log(273.5 * 1.75 / 322.15),
        "product_silence": log(277 / 14),
        "customer_silence": log(277 / 14),
        "last_interval_short": log(273) + own_rate,
        "orders": log(0.7 + 0.8123),  # 2^(−0.3)
        "recent_orders": log(1.2),
        "irregularity": 0.0,
        "one_over_intervals": 1.0,
        "product_trend": log((2 + 0.00195 * 1.9408) / (2 + 0.75 * 0.21565)),
    }
    assert {name: row[name] for name in by_hand} == pytest.approx(by_hand, abs=1e-4)
    by_hand = [log(3.5) + own_rate, 0, log(1 / 12), 0, row["last_size"] * -3]
    assert row["restarted"] == pytest.approx(by_hand, abs=1e-4)
    assert row["elapsed"] == pytest.approx(270 / 7)
    assert row["clock"] == pytest.approx(7 * exp(own_rate), abs=1e-4)


def test_sizes_by_hand():
    """Orders of 2 and 6 against 3 of another customer: the last is 1.5 × the usual 4."""
    patterns = patterns_of({(1, 1): [(-40, 2.0), (-10, 6.0)], (1, 2): [(-30, 3.0)]})
    rows = dict(zip(COLUMNS, activity(patterns, NO_SEASON, BASE).values.T.tolist(), strict=True))
    assert rows["last_size"] == pytest.approx([log(1.5), 0, 0])
    assert rows["size"] == pytest.approx([log(4 / (11 / 3)), log(3 / (11 / 3)), 0])
    assert rows["customers"] == pytest.approx([log(2)] * 3)
    assert -3 < rows["late"][0] < 1.5
    assert rows["last_size_late"] == pytest.approx([log(1.5) * rows["late"][0], 0, 0])


def test_even_intervals_are_the_most_regular_and_uneven_ones_less_by_hand():
    even = rows_of({(1, 1): [-90, -60, -30]})[1, 1]
    uneven = rows_of({(1, 1): [-100, -90, -10]})[1, 1]  # 10 and 80 days: logs ± log(8) / 2
    assert even["irregularity"] == pytest.approx(log(0.2) + 0.3)
    assert uneven["irregularity"] == pytest.approx(log(0.2 + log(8) / 2) + 0.3)
    assert even["one_over_intervals"] == 0.5


def test_a_pair_with_one_order_starts_from_its_products_rate_and_sinks():
    others = {(1, c): [-400 + c, -200, -20] for c in range(2, 6)}
    fresh = rows_of({(1, 1): [-1]} | others)
    old = rows_of({(1, 1): [-800]} | others)
    assert fresh[1, 1]["own_rate"] == pytest.approx(fresh[1]["own_rate"], abs=0.03)
    assert old[1, 1]["own_rate"] < old[1]["own_rate"] - 1
    for row in (fresh[1, 1], old[1, 1]):
        assert row["last_interval_short"] == row["irregularity"] == row["one_over_intervals"] == 0
        assert row["orders"] == row["recent_orders"] == pytest.approx(log(0.7))


def test_many_orders_are_their_own_rate():
    row = rows_of({(1, 1): list(range(-1000, 0, 2))})[1, 1]
    assert row["own_rate"] == pytest.approx(log(0.5), abs=0.03)
    assert row["own_rate_by_visit"] == pytest.approx(0.0, abs=0.04)


def test_a_customer_who_buys_only_this_product_never_comes_without_buying_it():
    row = rows_of({(1, 1): [-70, -40, -9], (1, 2): [-30, -12], (3, 2): [-8]})
    repeat = 2 ** (-40 / 270) + 2 ** (-9 / 270)
    product_rate = exp(row[1]["own_rate_by_visit"])
    assert row[1, 1]["own_rate_by_visit"] == pytest.approx(
        log((0.7 + repeat) / (0.7 / product_rate + repeat))
    )
    assert row[1, 1]["late_by_visit"] == pytest.approx(log(0.5) + row[1, 1]["own_rate_by_visit"])
    assert row[1, 2]["late_by_visit"] == pytest.approx(log(1.5) + row[1, 2]["own_rate_by_visit"])
    assert row[1, 1]["basket"] == 0.0


def test_a_new_customer_has_nothing_of_its_own_and_comes_today():
    orders = random_orders(3)
    twin = slow(orders)
    rows = rows_of(orders)
    for product in (2, 3, 5):
        new = rows[product]
        assert new["own_rate"] == pytest.approx(log(twin.product(product)["rate"]))
        assert new["elapsed"] == 0
        assert new["customer_silence"] == new["product_silence"] == pytest.approx(log(0.5))
        assert [new[name] for name in RESTARTED] == pytest.approx(new["restarted"])
        known = [row for key, row in rows.items() if key in twin.orders and key[0] == product]
        for name in ("visit_rate", "visit_trend", "basket"):
            assert new[name] == pytest.approx(np.mean([row[name] for row in known]))
        assert new["weekday"].sum() == pytest.approx(1.0)


def test_restarted_is_late_less_what_the_silence_adds():
    """As if the last order were of today: nothing else changes at an order."""
    patterns = patterns_from(random_orders(5))
    found = activity(patterns, SEASON, BASE)
    n = len(patterns)
    late, _, late_by_visit, _, _ = found.values[:n, column(RESTARTED)].T
    fresh, _, fresh_by_visit, _, _ = found.restarted[:n].T
    days, visits = patterns.customer_days, []
    for customer, open_interval in zip(patterns.customer_id, patterns.open_interval, strict=True):
        visits.append(np.sum((days.customer_id == customer) & (days.day > -open_interval)))
    assert max(visits) > 1
    np.testing.assert_allclose(late - fresh, np.log(patterns.open_interval / 3.5 + 1))
    np.testing.assert_allclose(late_by_visit - fresh_by_visit, np.log(2 * np.array(visits) + 1))
    raw, overdue = found.restarted[:, [0, 2]], found.restarted[:, [1, 3]]
    np.testing.assert_array_equal(overdue, np.maximum(raw, 0))


OWN = ("orders", "recent_orders", "irregularity", "one_over_intervals", "elapsed")
OF_CUSTOMER = (
    *("visit_rate", "visit_trend", "basket", "visit_late", "visit_overdue"),
    *("visit_very_overdue", "customer_silence", "weekday"),
)
OF_PRODUCT = ("product_trend", "product_long_trend", "product_silence")


def changed_columns(orders, more, pair=(1, 1)):
    before, after = (rows_of(o)[pair] for o in (orders, orders | more))
    return {name for name in before if not np.array_equal(before[name], after[name])}


def test_what_others_do_changes_no_column_of_ones_own():
    orders = {(1, 1): [-90, -40, -33], (1, 2): [-200, -50], (2, 1): [-41], (2, 3): [-7]}
    of_customer = {*OF_CUSTOMER, "own_rate_by_visit", "late_by_visit"}
    assert changed_columns(orders, {(2, 3): [-3000, -1999, -7], (3, 4): [-1]}) == set()
    by_another = changed_columns(orders, {(1, 2): [-200, -50, -20]})
    assert {"own_rate", "product_trend"} <= by_another
    assert not by_another & {*OWN, *OF_CUSTOMER}
    of_another_product = changed_columns(orders, {(2, 1): [-60, -41, -1]})
    assert {"visit_rate", "visit_late", "late_by_visit", "weekday"} <= of_another_product
    assert of_another_product <= of_customer | {"overdue_by_visit", "restarted"}
    hidden = changed_columns(orders, {(HIDDEN, 1): [-33, -2]})
    assert {"visit_rate", "basket", "late_by_visit"} <= hidden
    assert not hidden & {*OWN, *OF_PRODUCT, "own_rate", "late"}


@pytest.mark.parametrize("seed", range(3))
def test_a_product_by_itself_has_the_rows_of_the_batch(seed, seeded):
    """To the bit, however far the history of the others reaches back."""
    orders = random_orders(seeded(seed)) | {(8, 30): [-2345, -17]}
    patterns = patterns_from(orders)
    batch = activity(patterns, SEASON, BASE)
    for i, product in enumerate((2, 3, 5)):
        mine = patterns.product_id == product
        customers = patterns.customer_id[mine]
        known = patterns.customer_days
        days = known.where(np.isin(known.customer_id, customers))
        own = patterns_from({key: o for key, o in orders.items() if key[1] in customers})
        alone = activity(own.select(own.product_id == product), SEASON, BASE)
        assert np.array_equal(own.customer_days.day, days.day)
        rows = np.append(np.flatnonzero(mine), len(patterns) + i)
        for name in ("values", "restarted", "clock", "elapsed", "weekday"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(batch, name)[rows])


def test_columns_are_found_by_name():
    assert [COLUMNS[i] for i in column(RESTARTED)] == list(RESTARTED)
    assert len(set(COLUMNS)) == len(COLUMNS) == 26


def test_without_customer_days_there_are_no_columns():
    patterns = replace(patterns_of({(1, 1): [(-3, 1.0)]}), customer_days=None)
    with pytest.raises(ModelError, match="without their customers' order days"):
        activity(patterns, NO_SEASON, BASE)
