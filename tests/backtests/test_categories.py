"""Categories in backtests: sums of the same draws, scored as totals are, where there are any."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from backtests.report.page import write_report
from backtests.run.folder import RunFolder
from backtests.run.tracked import tracked_backtest
from backtests.scores.metrics import bias, pinball
from tests.backtests.conftest import EARLIER, backtest, experiment
from tests.conftest import AS_OF
from toolkit.data.tables import QUANTILE_NAMES, QUANTILES
from toolkit.sources.embedded.database import add_category

LEVEL = [
    "weighted_quantile_loss", "wape_median", "bias_quantity", "coverage_50", "coverage_80",
    "coverage_90", "pit_ks",
]  # fmt: skip
DATES = (EARLIER, AS_OF)


@pytest.fixture(scope="module")
def grouped_file(order_file, tmp_path_factory):
    """Three products of twelve are in no category; one category is in the last shard alone."""
    path = tmp_path_factory.mktemp("grouped") / "orders.duckdb"
    path.write_bytes(order_file.read_bytes())
    with duckdb.connect(str(path)) as conn:
        add_category(conn)
        conn.execute(
            "UPDATE dbo.Product SET Category = CASE WHEN ID > 10 THEN 'Last' WHEN ID % 4 = 0"
            " THEN NULL ELSE 'Class ' || ID % 4 END"
        )
    return path


@pytest.fixture(scope="module")
def grouped(grouped_file, tmp_path_factory) -> RunFolder:
    runs = tmp_path_factory.mktemp("runs")
    report = backtest(experiment("pair_conjugate", dates=DATES), grouped_file, runs)
    assert not report.failed
    return RunFolder(report.folder)


def rows(run, level):
    scores = pd.read_parquet(run.path / "scores.parquet")
    return scores[scores.level == level]


def test_categories_sum_to_all_products(grouped, run):
    """As draws they are those of a run without categories."""
    sums = grouped._table("totals.parquet", "pair_conjugate", None, None)
    plain = run._table("totals.parquet", "pair_conjugate", None, None)
    assert "category" not in plain
    keys, draws = ["as_of_date", "week"], [name for name in plain if name.startswith("draw_")]
    one, other = (frame.groupby(keys)[draws].sum() for frame in (sums, plain))
    np.testing.assert_allclose(one, other, rtol=1e-12)
    totals, expected = grouped.totals("pair_conjugate"), run.totals("pair_conjugate")
    pd.testing.assert_frame_equal(totals, expected, check_exact=False, rtol=1e-12)
    categories = grouped.categories("pair_conjugate")
    units = categories.groupby(keys)["quantity"].sum().to_numpy()
    assert units == pytest.approx(totals["quantity"].to_numpy())


def test_a_category_is_scored_as_its_products_together(grouped, run):
    categories = grouped.categories("pair_conjugate", AS_OF)
    names = categories["category"].drop_duplicates()
    assert names.dropna().tolist() == ["Class 1", "Class 2", "Class 3", "Last"]
    assert names.isna().sum() == 1
    assert len(categories) == 5 * 12
    weeks = run.product_weeks("pair_conjugate", AS_OF)
    last = weeks[weeks.product_id > 10].groupby("week")[["quantity", "expected_quantity"]].sum()
    found = categories[categories.category == "Last"].set_index("week")
    for name in last:
        assert found[name].to_numpy() == pytest.approx(last[name].to_numpy(), rel=1e-5)


def test_scores_are_of_all_categories_by_date_and_by_category(grouped):
    scores = rows(grouped, "category")
    overall = scores[scores.as_of_date.isna() & (scores["slice"] == "all")].set_index("score")
    assert sorted(overall.index) == sorted(LEVEL)
    assert set(overall.rows) == {2 * 5 * 12}
    table = grouped.categories("pair_conjugate")
    quantiles, units = table[list(QUANTILE_NAMES)].to_numpy(), table["quantity"].to_numpy()
    loss = 2 * pinball(quantiles, QUANTILES, units).mean(axis=1).sum() / units.sum()
    assert overall.value["weighted_quantile_loss"] == pytest.approx(loss)
    assert overall.value["bias_quantity"] == pytest.approx(bias(table["expected_quantity"], units))
    inside = table["pit"].between(0.1, 0.9).mean()
    assert overall.value["coverage_80"] == pytest.approx(inside)
    by_category = scores[scores["slice"] == "category"]
    labels = {"Class 1", "Class 2", "Class 3", "Last", "no category"}
    assert set(by_category.value_of_slice) == labels
    assert set(by_category.rows) == {2 * 12}
    assert scores[scores.as_of_date.notna()].as_of_date.nunique() == 2


def test_a_category_may_be_called_as_what_has_none_is_shown(grouped_file, tmp_path):
    named = tmp_path / "named.duckdb"
    named.write_bytes(grouped_file.read_bytes())
    with duckdb.connect(str(named)) as conn:
        conn.execute("UPDATE dbo.Product SET Category = 'no category' WHERE Category = 'Last'")
    asked = experiment("pair_conjugate", dates=DATES)
    scores = rows(RunFolder(backtest(asked, named, tmp_path).folder), "category")
    by_category = scores[scores["slice"] == "category"]
    assert {"no category", "(no category)"} <= set(by_category.value_of_slice)
    assert set(by_category.rows) == {2 * 12}


def test_they_are_logged_and_reported_where_there_are_any(grouped, run):
    metrics = tracked_backtest(grouped).metrics
    assert {f"pair_conjugate/category/{name}" for name in LEVEL} <= metrics.keys()
    title = "Units of a category in a week"
    assert title in write_report(grouped.path).path.read_text(encoding="utf-8")
    assert rows(run, "category").empty
    assert run.categories("other").empty
    assert not any("/category/" in name for name in tracked_backtest(run).metrics)
    assert title not in write_report(run.path).path.read_text(encoding="utf-8")


def test_shards_change_nothing_and_other_categories_make_another_run(
    grouped, grouped_file, tmp_path
):
    asked = experiment("pair_conjugate", dates=DATES, pairs_per_shard=10_000)
    whole = RunFolder(backtest(asked, grouped_file, tmp_path).folder)
    one, other = (one.categories("pair_conjugate") for one in (whole, grouped))
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-12)
    changed = tmp_path / "changed.duckdb"
    changed.write_bytes(grouped_file.read_bytes())
    with duckdb.connect(str(changed)) as conn:
        conn.execute("UPDATE dbo.Product SET Category = 'Last' WHERE ID = 1")
    again = RunFolder(backtest(asked, changed, tmp_path).folder)
    assert again.path != whole.path
    assert len(again.categories("pair_conjugate")) == len(one)
