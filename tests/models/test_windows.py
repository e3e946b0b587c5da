"""What ``rhythm`` is fitted to: windows of the past, against a slow twin."""

import numpy as np
import pytest

from models.parts.rhythm.activity import BaseRates, activity
from models.parts.rhythm.windows import (
    KNOWN_DAYS,
    OFFSETS,
    PRODUCT_ROWS,
    WINDOW_DAYS,
    Chance,
    WindowData,
    Windows,
    draw_offsets,
)
from tests.chance import assert_near
from tests.models.helpers import patterns_of, some_season

BASE = BaseRates(per_day=0.01, per_visit=0.1, newcomers=0.02)
SEASON = some_season(1, 0.1)
ALL = 10**6
"""More rows than there are: every product is taken."""
ROW_FIELDS = ("ordered", "extra", "elapsed", "clock", "values", "window")


def history(seed=0, span=420):
    """(product, customer) → days; some pairs are as young as a week."""
    rng = np.random.default_rng(seed)
    orders = {}
    for product in (4, 6, 7):
        for customer in range(30, 36):
            first = int(rng.integers(7, span))
            count = int(rng.integers(1, 1 + first // 5))
            days = {-first, *rng.integers(-first, 0, count).tolist()}
            orders[product, customer] = sorted(days)
    return orders | {(4, 30): [-span, -span + 3, -86, -85, -84, -83, -1]}


def patterns_from(orders):
    return patterns_of({key: [(day, 1.0) for day in days] for key, days in orders.items()})


def windows_from(orders, rows=ALL, seed=0, offsets=(0,)):
    return WindowData.of(patterns_from(orders), SEASON, BASE, rows, seed, offsets)


def no_offset(patterns):
    return np.zeros(len(patterns), dtype=np.int64)


def slow_rows(orders, offset_of=None):
    """The rows as (window, product, customer, ordered weeks, extra, elapsed), in plain Python."""
    oldest = -min(min(days) for days in orders.values())
    offset_of = offset_of or {product: 0 for product, _ in orders}
    rows, windows = [], []
    for offset in OFFSETS if any(offset_of.values()) else (0,):
        windows += [(offset, w) for w in range(4) if oldest - offset - 84 * (w + 1) >= 56]
    for window, (offset, w) in enumerate(windows):
        start = -84 * (w + 1) - offset
        for (product, customer), days in sorted(orders.items()):
            before = [day for day in days if day < start]
            if not before or offset_of[product] != offset:
                continue
            inside = [day for day in days if start <= day < start + 84]
            weeks = [any(start + 7 * k <= d < start + 7 * k + 7 for d in inside) for k in range(12)]
            extra = len(inside) - sum(weeks)
            rows.append((window, product, customer, weeks, extra, (start - before[-1]) / 7))
    return rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("span", [140, 223, 224, 420, 900])
def test_rows_against_a_slow_twin(seed, span, seeded):
    orders = history(seeded(seed), span)
    data, rows = windows_from(orders), slow_rows(orders)
    window, product, _, ordered, extra, elapsed = zip(*rows, strict=True)
    assert data.window.tolist() == list(window)
    assert data.ordered.tolist() == list(ordered)
    assert data.extra.tolist() == list(extra)
    assert sum(extra) > 0
    np.testing.assert_allclose(data.elapsed, elapsed)
    groups = sorted(set(zip(window, product, strict=True)))
    expected = [groups.index(key) for key in zip(window, product, strict=True)]
    assert data.product_window.ravel().tolist() == expected


@pytest.mark.parametrize("span", [140, 200, 420, 900])
def test_the_windows_of_each_product_end_at_its_own_offset(span, seeded):
    orders = {
        (product + shift, customer): days
        for shift in (0, 10, 20, 30)
        for (product, customer), days in history(seeded(shift), span).items()
    }
    patterns = patterns_from(orders)
    offset = draw_offsets(Windows(patterns), OFFSETS, np.random.default_rng(7))
    offset_of = dict(zip(patterns.product_id.tolist(), offset.tolist(), strict=True))
    assert len(offset_of) == 12
    assert len(set(offset_of.values())) > (1 if span >= 200 else 0)
    rows = slow_rows(orders, offset_of)
    data = windows_from(orders, seed=7, offsets=OFFSETS)
    window, _, _, ordered, extra, elapsed = zip(*rows, strict=True)
    assert data.window.tolist() == list(window)
    assert data.ordered.tolist() == list(ordered)
    assert data.extra.tolist() == list(extra)
    np.testing.assert_allclose(data.elapsed, elapsed)


def test_a_product_has_an_offset_at_which_a_window_knows_it():
    """One that is known for 90 days has a window only if that ends at the date."""
    young = {(product, 1): [-90, -5] for product in range(50)}
    patterns = patterns_from({**young, (99, 1): [-900, -400, -3]})
    for seed in range(5):
        offset = draw_offsets(Windows(patterns), OFFSETS, np.random.default_rng(seed))
        assert not offset[patterns.product_id < 99].any()


def test_columns_are_those_of_the_day_on_which_a_window_begins():
    orders = history()
    patterns, data = patterns_from(orders), windows_from(orders)
    assert set(data.window) == {0, 1, 2, 3}
    for window in range(4):
        earlier = patterns.earlier(84 * (window + 1))
        known, rows = activity(earlier, SEASON, BASE), data.window == window
        n = len(earlier)
        np.testing.assert_array_equal(data.values[rows], known.values[:n])
        np.testing.assert_array_equal(data.clock[rows], known.clock[:n])
        levels = np.log(SEASON.week_levels(earlier.as_of_date, 12))
        np.testing.assert_array_equal(data.log_season[window], levels)


def test_season_of_a_window_is_that_of_its_own_weeks():
    data = windows_from(history())
    days = np.concatenate([np.arange(-336, -252), np.arange(-84, 0)])
    levels = np.exp(SEASON.log_level(patterns_from(history()).as_of_date, days))
    by_week = np.log(levels.reshape(-1, 7).mean(axis=1))
    np.testing.assert_allclose(np.concatenate([data.log_season[3], data.log_season[0]]), by_week)


@pytest.mark.parametrize("window", range(4))
def test_what_happens_in_a_window_or_later_changes_no_column_of_it(window, seeded):
    start = -84 * (window + 1)
    before = windows_from(history())
    rng = np.random.default_rng(seeded(window))
    changed = {}
    for key, days in history().items():
        known = [day for day in days if day < start]
        changed[key] = sorted({*known, *rng.integers(start, 0, 9).tolist()})
    changed[4, 99] = [start, start + 50]  # not known when the window begins, and so not in it
    after = windows_from(changed)
    one, other = (data.window == window for data in (before, after))
    for name in ("values", "clock", "elapsed"):
        np.testing.assert_array_equal(getattr(before, name)[one], getattr(after, name)[other])
    np.testing.assert_array_equal(before.log_season, after.log_season)
    assert not np.array_equal(before.ordered[one], after.ordered[other])
    earlier = before.window > window
    np.testing.assert_array_equal(before.ordered[earlier], after.ordered[after.window > window])


def test_an_order_on_the_day_before_a_window_is_known_and_one_on_its_first_day_is_not():
    orders = {(1, 1): [-400, -170], (1, 2): [-85, -84], (1, 3): [-84, -50]}
    data = windows_from(orders)
    in_last = data.window == 0
    assert in_last.sum() == 2
    assert data.elapsed[in_last] == pytest.approx([86 / 7, 1 / 7])
    assert data.ordered[in_last].sum(axis=1).tolist() == [0, 1]
    assert data.ordered[in_last][1, 0]


def test_newcomers_are_those_of_all_products_however_few_rows_there_are():
    patterns = patterns_from(history())
    few, all_rows = (WindowData.of(patterns, SEASON, BASE, rows, 0).newcomers for rows in (1, ALL))
    for name in ("arrived", "values", "log_days"):
        np.testing.assert_array_equal(getattr(few, name), getattr(all_rows, name))
    assert len(few.arrived) == 3 * 4
    assert few.arrived.sum() > 0


@pytest.mark.parametrize(("oldest", "windows"), [(139, 0), (140, 1), (223, 1), (224, 2), (999, 4)])
def test_a_history_has_room_for_so_many_windows(oldest, windows):
    assert oldest // WINDOW_DAYS >= windows
    assert Windows(patterns_from({(1, 1): [-oldest, -3]})).count() == windows
    assert oldest - windows * WINDOW_DAYS >= KNOWN_DAYS


def shop(products):
    """Products of ten pairs, all with the same history."""
    days = [-300, -200, -100, -50, -9]
    return {(product, customer): days for product in range(products) for customer in range(10)}


def test_about_so_many_rows_of_whole_products_drawn_at_random():
    orders = shop(40)  # two windows: twenty rows a product
    assert Windows(patterns_from(orders)).count() == 2
    chosen = [windows_from(orders, rows=300, seed=seed) for seed in (1, 1, 2)]
    for data in chosen:
        assert len(data.elapsed) == 300
        assert np.bincount(data.product_window.ravel()).tolist() == [10] * 30
    assert len(windows_from(orders, rows=ALL).elapsed) == 800
    mixed = history() | {(p + 10, c): days for (p, c), days in shop(20).items()}
    one, same, other = (windows_from(mixed, rows=100, seed=seed) for seed in (1, 1, 5))
    for name in ROW_FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.values, other.values)


def sizes(pairs_of_product):
    """Products with so many pairs of three windows each, and pairs too young for any."""
    days = [-350, -200, -9]
    pairs = {(p, c): days for p, count in enumerate(pairs_of_product) for c in range(count)}
    return pairs | {
        (p, 1000 + c): [-20, -9] for p in range(len(pairs_of_product)) for c in range(3)
    }


def test_every_pair_is_as_likely_to_be_drawn_as_any_other(seeded):
    patterns = patterns_from(sizes([1, 5, 10, 20, 40, 200, 400]))
    known = patterns.events.day[patterns.event_offset[:-1]] < -84
    rows, draws = 30, 4000
    chance, rng = (
        Chance.of(Windows(patterns), rows, no_offset(patterns)),
        np.random.default_rng(seeded(3)),
    )
    drawn = np.array([chance.draw(rng)[1] for _ in range(draws)])
    assert not drawn[:, ~known].any()
    share = rows / (3 * known.sum())
    error = np.sqrt(share * (1 - share) / draws)
    assert_near(drawn[:, known].mean(axis=0), share, error, one=1 / draws)
    of_large = drawn[:, patterns.product_id == 6].sum(axis=1)
    assert set(of_large.tolist()) == {0, PRODUCT_ROWS // 3}


@pytest.mark.parametrize("seed", range(20))
def test_rarely_and_often_ordered_products_have_their_share_in_every_sample(seed):
    """Equal steps through a sorted list: the mean is off by about the range over the count."""
    orders = {(p, 1): [-350 + k for k in range(p % 50)] + [-200, -9] for p in range(400)}
    patterns = patterns_from(orders)
    _, drawn = Chance.of(Windows(patterns), 600, no_offset(patterns)).draw(
        np.random.default_rng(seed)
    )
    off = patterns.order_count[drawn].mean() - patterns.order_count.mean()
    assert abs(off) <= 1.5 * 49 / drawn.sum()


def test_pairs_of_a_product_are_drawn_independently_of_their_orders():
    """Were their orders balanced, the shocks of products would seem smaller than they are."""
    orders = {(1, c): [-350 + k for k in range(c % 50)] + [-200, -9] for c in range(400)}
    patterns = patterns_from(orders)
    chance, rng = Chance.of(Windows(patterns), 60, no_offset(patterns)), np.random.default_rng(4)
    drawn = [patterns.order_count[chance.draw(rng)[1]] for _ in range(400)]
    count = np.mean([len(sample) for sample in drawn])
    of_means = np.var([sample.mean() for sample in drawn])
    assert of_means == pytest.approx(patterns.order_count.var() / count, rel=0.3)


def test_of_a_large_product_some_pairs_are_rows_and_all_make_the_columns():
    orders = {**sizes([400]), **history()}
    whole, some = windows_from(orders), windows_from(orders, rows=100)
    assert 0 < len(some.elapsed) < len(whole.elapsed)
    known = {row.tobytes() for row in np.column_stack([whole.window, whole.values])}
    assert {row.tobytes() for row in np.column_stack([some.window, some.values])} <= known


@pytest.mark.parametrize("seed", range(6))
def test_few_rows_are_found_among_young_products_too(seed):
    """The history has room for a window, whichever product is drawn."""
    young = {(product, 1): [-100, -90, -2] for product in range(2, 9)}
    patterns = patterns_from({(1, 1): [-400, -300, -9]} | young)
    assert Windows(patterns).count() == 4
    assert len(WindowData.of(patterns, SEASON, BASE, 1, seed).elapsed) > 0
