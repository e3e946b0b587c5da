"""All scores in one tidy table, against the same sums by hand."""

import numpy as np
import pandas as pd
import pytest

from backtests.scores import calibration, metrics
from backtests.scores.summaries import COLUMNS, Slices, band_labels, reliability_tables, summarize
from tests.backtests.helpers import MemoryRun, make_run

SMALL = {"pairs": 240, "customers": 50, "products": 10, "dates": 2}
LEVELS = {"next_order", "pair", "product_week", "confidence"}


def closed_intervals(table):
    """What the world's tables of pairs lack."""
    inside = (table["pit_next"] > 0.1).where(table["pit_next"] < 0.9)
    return table.assign(**{f"cover{level}": inside.astype(float) for level in (50, 80, 90)})


@pytest.fixture(scope="module")
def run(seeded):
    made = make_run(np.random.default_rng(seeded(5)), {"one": 0.2, "other": 0.5}, **SMALL)
    pairs = {name: closed_intervals(table) for name, table in made.pair_tables.items()}
    return MemoryRun(made.dates, pairs, made.week_tables)


@pytest.fixture(scope="module")
def scores(run):
    return summarize(run)


def value_of(scores, score, version="one", as_of=None, cut="all", label="all"):
    rows = scores[
        (scores["version"] == version)
        & (scores["score"] == score)
        & (scores["slice"] == cut)
        & (scores["value_of_slice"] == label)
        & (scores["as_of_date"].isna() if as_of is None else scores["as_of_date"] == as_of)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def test_is_tidy(run, scores):
    assert tuple(scores.columns) == COLUMNS
    keys = ["version", "as_of_date", "slice", "value_of_slice", "level", "score"]
    assert not scores.duplicated(keys).any()
    assert set(scores["level"]) == LEVELS
    assert scores["value"].notna().all()
    assert (scores["rows"] > 0).all()
    assert set(scores["slice"]) == {"all", "order_count", "customer_age_days", "product_class"}


PLAIN = {
    "log_loss": lambda t: t["log_loss"].mean(),
    "brier": lambda t: t["brier"].mean(),
    "crps_next": lambda t: t["crps_next"].mean(),
    "crps_orders": lambda t: t["crps_orders"].mean(),
    "absolute_error": lambda t: t["absolute_error"].mean(),
    "bias_orders": lambda t: t["expected_orders"].sum() / t["orders"].sum() - 1,
    "auc": lambda t: calibration.auc(t["p_order_28d"], t["ordered_28d"]),
    "calibration_error": lambda t: calibration.expected_calibration_error(
        t["p_order_28d"], t["ordered_28d"]
    ),
    "calibration_error_confidence": lambda t: calibration.expected_calibration_error(
        t["confidence"], t["hit"]
    ),
    "brier_confidence": lambda t: ((t["confidence"] - t["hit"]) ** 2).mean(),
    "hit_rate": lambda t: t["hit"].mean(),
    "coverage_80": lambda t: t["pit_next"].between(0.1, 0.9).mean(),
}


@pytest.mark.parametrize("score", PLAIN)
def test_pair_scores_are_those_of_the_table(run, scores, score):
    table = run.pair_tables["other"]
    scores = scores[scores["level"] != "product_week"]
    day = pd.Timestamp(run.dates[1])
    found = value_of(scores, score, "other")
    assert found["value"] == pytest.approx(PLAIN[score](table))
    assert found["rows"] == 480
    at = value_of(scores, score, "other", day)
    assert at["value"] == pytest.approx(PLAIN[score](table[table["as_of_date"] == day]))


def test_product_weeks_count_from_ten_order_events(run, scores):
    table = run.week_tables["one"]
    kept = table[table["product_orders_before"] >= 10]
    assert len(kept) < len(table)
    found = value_of(scores, "wape_median")
    assert found["rows"] == len(kept)
    assert found["value"] == pytest.approx(metrics.wape(kept["q50"], kept["quantity"]))
    names = ["q05", "q10", "q25", "q50", "q75", "q90", "q95"]
    loss = metrics.weighted_quantile_loss(
        kept[names], (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95), kept["quantity"]
    )
    assert value_of(scores, "weighted_quantile_loss")["value"] == pytest.approx(loss)
    inside = ((kept["q10"] <= kept["quantity"]) & (kept["quantity"] <= kept["q90"])).mean()
    weeks = scores[scores["level"] == "product_week"]
    assert value_of(weeks, "interval_80")["value"] == pytest.approx(inside)
    pit = kept["pit"].between(0.1, 0.9).mean()
    assert value_of(weeks, "coverage_80")["value"] == pytest.approx(pit)


def test_slices_part_the_rows(run, scores):
    table = run.pair_tables["one"]
    for cut in ("order_count", "customer_age_days", "product_class"):
        rows = scores[(scores["slice"] == cut) & (scores["score"] == "log_loss")]
        assert rows[rows["version"] == "one"]["rows"].sum() == len(table)
    few = table[table["order_count"].between(4, 7)]["log_loss"].mean()
    assert value_of(scores, "log_loss", cut="order_count", label="4-7")["value"] == pytest.approx(
        few
    )
    old = table[table["customer_age_days"] >= 730]["log_loss"].mean()
    found = value_of(scores, "log_loss", cut="customer_age_days", label="730+")
    assert found["value"] == pytest.approx(old)
    lumpy = table[table["product_class"] == "lumpy"]["log_loss"].mean()
    found = value_of(scores, "log_loss", cut="product_class", label="lumpy")
    assert found["value"] == pytest.approx(lumpy)


def test_bounds_of_slices_are_asked_for(run):
    found = summarize(run, ["one"], slices=Slices((1, 4), (0, 365)))
    labels = set(found[found["slice"] == "order_count"]["value_of_slice"])
    assert labels == {"1-3", "4+"}
    with pytest.raises(ValueError, match="has to be a list of ascending numbers"):
        Slices(order_count=(4, 1))


def test_a_version_without_pairs_has_no_rows_of_pairs(run):
    weeks_only = MemoryRun(run.dates, {}, run.week_tables)
    assert set(summarize(weeks_only)["level"]) == {"product_week"}
    assert reliability_tables(weeks_only).empty
    silent = {"one": run.pair_tables["one"].assign(crps_orders=np.nan)}
    found = summarize(MemoryRun(run.dates, silent, {}))
    assert "crps_orders" not in set(found["score"])


def test_rows_that_are_not_decided_do_not_count(run):
    table = run.pair_tables["one"].copy()
    table.loc[:99, "hit"] = np.nan
    found = summarize(MemoryRun(run.dates, {"one": table}, {}))
    assert value_of(found, "hit_rate")["rows"] == 380
    assert value_of(found, "mean_confidence")["value"] == pytest.approx(
        table["confidence"][100:].mean()
    )


def test_reliability_by_version(run):
    table = reliability_tables(run)
    rows = table[(table["version"] == "other") & (table["of"] == "order_28d")]
    assert rows["rows"].sum() == 480
    of = run.pair_tables["other"]
    np.testing.assert_allclose(
        rows["mean_p"], calibration.reliability(of["p_order_28d"], of["ordered_28d"])["mean_p"]
    )


def test_names_of_bands():
    assert band_labels((1, 2, 3, 6, 11)) == ("1", "2", "3-5", "6-10", "11+")
    assert band_labels((0,)) == ("0+",)
