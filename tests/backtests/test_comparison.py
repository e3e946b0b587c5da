"""Comparing versions: what is found, what is not, and what is said about it."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backtests.compare.comparison import compare_versions
from backtests.scores.registry import find_scores
from tests.backtests.helpers import MemoryRun, World, make_run
from tests.chance import p_limit
from toolkit.errors import ArgumentError
from toolkit.validation import plain

SMALL = {"pairs": 300, "customers": 60, "products": 12, "dates": 3}


@pytest.fixture(scope="module")
def run(seeded):
    return make_run(np.random.default_rng(seeded(7)), {"good": 0.2, "bad": 0.9}, **SMALL)


def with_table(run, name, pairs, weeks=None):
    """The run with one more version."""
    week_tables = run.week_tables if weeks is None else run.week_tables | {name: weeks}
    return MemoryRun(run.dates, run.pair_tables | {name: pairs}, week_tables)


def row_of(comparison, score):
    frame = comparison.frame
    return frame[frame["score"] == score].iloc[0]


def test_differences_are_those_of_the_tables(run):
    found = compare_versions(run)
    good, bad = run.pair_tables["good"], run.pair_tables["bad"]
    row = row_of(found, "log_loss")
    assert row["value"] == pytest.approx(bad["log_loss"].mean())
    assert row["value_against"] == pytest.approx(good["log_loss"].mean())
    assert row["difference"] == pytest.approx(bad["log_loss"].mean() - good["log_loss"].mean())
    assert row["rows"] == 900
    weeks = run.week_tables["bad"]
    weeks = weeks[weeks["product_orders_before"] >= 10]
    error = (weeks["q50"] - weeks["quantity"]).abs().sum() / weeks["quantity"].sum()
    assert row_of(found, "wape_median")["value"] == pytest.approx(error)
    sums = weeks.groupby(["as_of_date", "product_id"])[["expected_quantity", "quantity"]].sum()
    error = (sums["expected_quantity"] - sums["quantity"]).abs().sum() / sums["quantity"].sum()
    assert row_of(found, "wape_horizon")["value"] == pytest.approx(error)
    assert set(found.frame["score"]) == {score.name for score in find_scores(None)}


def test_says_who_wins_on_what(seeded):
    """Of so many pairs the differences are 13 and more of their standard errors."""
    many = {"pairs": 6000, "customers": 1000, "products": 300, "dates": 4}
    run = make_run(np.random.default_rng(seeded(7)), {"good": 0.2, "bad": 0.9}, **many)
    found = compare_versions(run, scores=["log_loss", "poisson_deviance"])
    row = row_of(found, "log_loss")
    shown = [f"{abs(x):.3f}" for x in (row["difference"], row["high"], row["low"])]
    assert row["verdict"] == (
        f"good beats bad on log loss of an order within 28 days by {shown[0]} "
        f"(95 %: {shown[2]} to {shown[1]})"
    )
    assert found.sentences == (
        "good beats bad on log loss of an order within 28 days and Poisson deviance of order "
        "counts.",
    )
    assert [str(leader) for leader in found.leaders] == [
        "log loss of an order within 28 days: good",
        "Poisson deviance of order counts: good",
    ]
    back = compare_versions(run, ["bad", "good"], ["log_loss"])
    assert back.sentences == ("good beats bad on log loss of an order within 28 days.",)
    assert row_of(back, "log_loss")["difference"] == pytest.approx(-row["difference"])


def test_the_same_version_under_another_name_is_level_exactly(run):
    twin = with_table(run, "twin", run.pair_tables["good"], run.week_tables["good"])
    found = compare_versions(twin, ["good", "twin"])
    assert (found.frame[["difference", "low", "high"]] == 0).all(axis=None)
    assert found.frame["verdict"].str.startswith("no difference beyond noise").all()
    assert (found.frame["share_better"] == 0.5).all()
    assert found.leaders[0].level_with == ("twin",)


SEEDS = range(100)
PAIR_SCORES = ["log_loss", "crps_next", "crps_orders"]


@pytest.fixture(scope="module")
def many(seeded):
    """A hundred times: two versions that differ by seed alone, one whose log loss is 5 % worse."""
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng(seeded(seed))
        world = World.make(rng, **SMALL)
        tables = {name: world.pair_table(rng, 0.3) for name in ("one", "other")}
        worse = 1 + 0.05 * rng.gamma(1, 1, len(tables["one"]))  # by 5 %, and not everywhere
        scores = tables["one"][PAIR_SCORES].mul(worse, axis=0)
        tables["worse"] = tables["one"].assign(**scores)
        found.append(
            compare_versions(
                MemoryRun(world.dates, tables, {}), None, PAIR_SCORES, 400, seeded(seed)
            ).frame
        )
    return pd.concat(found)


@pytest.mark.parametrize("score", PAIR_SCORES)
def test_versions_that_differ_by_seed_alone_are_level_at_95_percent(many, score):
    rows = many[(many["score"] == score) & (many["version"] == "other")]
    assert len(rows) == len(SEEDS)
    level = ((rows["low"] <= 0) & (rows["high"] >= 0)).sum()
    assert level >= stats.binom.ppf(p_limit(len(PAIR_SCORES)), len(SEEDS), 0.95)


@pytest.mark.parametrize("score", PAIR_SCORES)
def test_a_version_made_worse_by_5_percent_is_found(many, score):
    rows = many[
        (many["score"] == score) & (many["version"] == "worse") & (many["against"] == "one")
    ]
    assert rows["difference"].mean() == pytest.approx(0.05 * rows["value_against"].mean(), rel=0.1)
    assert (rows["low"] > 0).sum() >= 90  # all of 100 over seeds


def test_forecasts_5_percent_too_high_are_found(seeded):
    """The rates themselves, not the scores, made worse.

    The difference is nine of its standard errors, of which an interval takes two.
    """
    world = World.make(np.random.default_rng(seeded(3)), 30_000, 3000, 700, dates=6)
    exact = world.pair_table(np.random.default_rng(seeded(1)), 0.0)
    more = World(world.customer, world.product, 1.05 * world.rate, world.dates, world.orders)
    tables = {"exact": exact, "more": more.pair_table(np.random.default_rng(seeded(1)), 0.0)}
    row = row_of(
        compare_versions(MemoryRun(world.dates, tables, {}), None, ["poisson_deviance"]),
        "poisson_deviance",
    )
    assert row["low"] > 0


def test_only_rows_that_all_have_scored_count(run):
    fewer = run.pair_tables["good"].iloc[5:].copy()
    fewer.iloc[:7, fewer.columns.get_loc("log_loss")] = np.nan
    found = compare_versions(
        with_table(run, "fewer", fewer), ["bad", "fewer"], ["log_loss", "brier"]
    )
    assert row_of(found, "log_loss")["rows"] == 900 - 12
    assert row_of(found, "brier")["rows"] == 900 - 5
    assert found.notes[-1] == (
        "5 pairs that not every version of bad and fewer scored are left out."
    )


def test_order_of_rows_changes_nothing(run):
    mixed = run.pair_tables["bad"].sample(frac=1, random_state=1)
    one = compare_versions(run, ["good", "bad"], ["log_loss"]).frame
    other = compare_versions(with_table(run, "bad", mixed), ["good", "bad"], ["log_loss"]).frame
    pd.testing.assert_frame_equal(one, other)


def test_a_version_is_compared_on_what_it_says(run):
    """One that knows products alone, and one that says nothing of when."""
    silent = run.pair_tables["good"].assign(crps_next=np.nan)
    wide = with_table(run, "silent", silent)
    weeks_only = MemoryRun(
        wide.dates, wide.pair_tables, wide.week_tables | {"weeks": run.week_tables["good"]}
    )
    frame = compare_versions(weeks_only).frame
    compared = {score: set(rows["version"]) for score, rows in frame.groupby("score")}
    assert "silent" not in compared["crps_next"] | compared["wape_median"]
    assert {"silent"} <= compared["log_loss"]
    assert "weeks" not in compared["log_loss"]
    assert "weeks" in compared["wape_median"]


def test_a_date_that_one_version_failed_is_left_out_for_all(run):
    day = pd.Timestamp(run.dates[1])
    table = run.pair_tables["good"]
    failed = with_table(run, "good", table[table["as_of_date"] != day])
    found = compare_versions(failed, None, ["log_loss"])
    assert row_of(found, "log_loss")["rows"] == 600
    assert any(note.startswith("300 pairs that not every version") for note in found.notes)


def test_says_what_the_intervals_cannot_tell(run, seeded):
    assert compare_versions(run, scores=["log_loss"]).notes == ()
    single = MemoryRun(run.dates[:1], run.pair_tables, run.week_tables)
    assert "ignore variation over time" in compare_versions(single, scores=["log_loss"]).notes[0]
    world = World.make(np.random.default_rng(seeded(1)), 200, 40, 10, dates=6, step_weeks=4)
    tables = {name: world.pair_table(np.random.default_rng(seeded(1)), 0.3) for name in "ab"}
    notes = compare_versions(MemoryRun(world.dates, tables, {}), None, ["log_loss"]).notes
    assert notes == ("Horizons overlap, 3 dates in one: dates count as 2.0 independent ones.",)


def test_is_plain_data_and_repeatable(run):
    first, second = (
        plain(compare_versions(run, resamples=50)),
        plain(compare_versions(run, resamples=50)),
    )
    assert first == second
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert len(first["differences"]) == len(find_scores(None))
    assert plain(compare_versions(run, resamples=50, seed=1)) != first


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"versions": ["good", "new"]}, "no version new; it holds good, bad"),
        ({"versions": ["good"]}, "needs two versions, got good"),
        ({"versions": ["good", "good"]}, "named twice"),
        ({"scores": ["logloss"]}, "no score logloss; there are weighted_quantile_loss"),
        ({"share": 95}, "share"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_refuses_what_makes_no_sense(run, asked, message):
    with pytest.raises(ArgumentError, match=message):
        compare_versions(run, **asked)


def test_a_score_that_is_named_twice_counts_once(run):
    once, twice = (
        compare_versions(run, scores=["log_loss"] * times, resamples=50) for times in (1, 2)
    )
    assert once == twice
