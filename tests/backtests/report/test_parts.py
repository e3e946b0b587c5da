"""What the page is made of, by numbers worked out by hand."""

import base64
import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from backtests.compare import comparison
from backtests.compare.comparison import Comparison, Difference, Leader
from backtests.report import curves, figures, palette, products, tables
from backtests.report.frontiers import Frontier
from backtests.report.health import ReportedFit, failures_of
from backtests.report.names import HISTORY_WEEKS, look_up, weekly
from backtests.report.page import embedded
from backtests.report.palette import style
from backtests.report.population import population_figure, scalars
from backtests.run.records import TaskRecord, TaskRows
from backtests.scores.registry import HEADLINE, SCORES, SLICED, score_of
from backtests.scores.score import NEXT_ORDER, PAIR, PRODUCT_WEEK
from backtests.thresholds.choice import Quality, ThresholdChoice, ThresholdRule
from tests.conftest import AS_OF
from toolkit.data.tables import QUANTILE_NAMES, OrderEvents
from toolkit.stages.listing import Thresholds

DAYS = pd.to_datetime(["2024-01-01", "2024-02-01"])


def test_a_histogram_is_one_where_uniform_and_spans_its_dates():
    pit = [0.01, 0.06, 0.06, 0.99, np.nan]
    days = [DAYS[0], DAYS[0], DAYS[1], DAYS[1], DAYS[1]]
    made = curves.histogram(pd.DataFrame({"pit": pit, "as_of_date": days}), "pit")
    assert made.rows == 4
    np.testing.assert_allclose(made.density[[0, 1, 2, 19]], [5, 10, 0, 5])
    np.testing.assert_allclose(made.lowest[[0, 1, 19]], [0, 10, 0])
    np.testing.assert_allclose(made.highest[[0, 1, 19]], [10, 10, 10])
    assert made.density.mean() == pytest.approx(1)


def test_a_version_without_the_table_has_no_histogram():
    assert curves.histogram(pd.DataFrame(), "pit") is None
    nothing = pd.DataFrame({"pit": [np.nan], "as_of_date": DAYS[:1]})
    assert curves.histogram(nothing, "pit") is None


def test_differences_are_told_from_the_best():
    nan = float("nan")
    rows = (
        difference("b", "a", 5.0, 7.0, -3.0, -0.5),
        difference("c", "a", 8.0, 7.0, 0.5, 2.0),
        difference("c", "b", 8.0, 5.0, nan, nan),
    )
    leader = Leader("s", "S", best="b", level_with=())
    compared = Comparison(tuple("abc"), (AS_OF,), 0.95, 9, 1, rows, (leader,), (), ())
    best, *others = compared.gaps("s")
    assert (best.version, best.value, best.difference, best.low, best.high) == ("b", 5, 0, 0, 0)
    a, c = others
    assert (a.version, a.value, a.difference, a.low, a.high) == ("a", 7, 2, 0.5, 3)
    assert (c.version, c.value, c.difference, c.better) == ("c", 8, 3, None)
    assert np.isnan(c.low)
    assert compared.gaps("other") == ()
    assert figures.gap_figure(SCORES[0], compared.gaps("s"), dict.fromkeys("abc", style(0)))


def difference(version, against, value, value_against, low, high):
    gap = value - value_against
    return Difference(
        "l", "s", "S", version, against, value, value_against, gap, low, high, 0, 9, ""
    )


def test_slices_are_drawn_as_distance_to_their_best():
    rows = pd.DataFrame(
        {
            "version": ["a", "a", "b", "b"],
            "value_of_slice": ["1", "2+", "1", "2+"],
            "value": [2.0, 1.0, 1.0, 1.25],
            "rows": 7,
        }
    )
    styles = {"a": palette.style(0), "b": palette.style(1)}
    drawn = figures.slice_figure(rows, "orders", styles)["data"]
    behind = {trace["meta"]: _numbers(trace["y"]) for trace in drawn}
    assert behind == {"a": [100, 0], "b": [0, 25]}


def test_names_are_no_markup_to_plotly():
    assert figures.literal("<a href='x'>&") == "&lt;a href='x'&gt;&amp;"


def test_json_ends_no_script_element():
    value = {"name": "</script><!--&'", "x": np.array([1.5, np.nan])}
    text = str(embedded(value))
    assert not set("<>&'") & set(text)
    assert json.loads(text)["name"] == value["name"]


def test_styles_differ_and_go_round_late():
    styles = [palette.style(place) for place in range(21)]
    assert len(set(styles)) == 21


def test_digits_show_two_of_the_interval():
    assert [tables.difference_digits(0, width) for width in (0.0123, 0.5, 20, 0)] == [3, 2, 0, 4]


def test_a_level_cell_says_how_far_and_a_winner_that_it_is():
    score = score_of(PAIR, "log_loss")
    best = tables._gap_cell(score, difference("a", "a", 0.3, 0.3, 0, 0), False)
    assert (best.text, best.below, best.mark) == ("0.3000", ("★ best",), "best")
    gap = difference("b", "a", 0.304, 0.3, -0.001, 0.0093)
    level = tables._gap_cell(score, gap, True)
    assert level.below == ("≈ +0.004", "−0.001 to 0.009")
    assert level.mark == "level"


def test_numbers_are_written_with_their_unit_and_sign():
    share = score_of(NEXT_ORDER, "coverage_80")
    assert (share.format(0.7964), share.hint, share.arrow) == ("79.6 %", "best: 80.0 %", "◎")
    assert score_of(PRODUCT_WEEK, "bias_quantity").format(-0.0004) == "0.0 %"
    assert score_of(PAIR, "poisson_deviance").format(-0.25, sign=True) == "−0.250"
    assert score_of(PAIR, "auc").hint == "larger is better"
    assert score_of(PAIR, "unheard_of").title == "unheard of"
    assert score_of(PAIR, "log_loss").format(float("nan")) == "–"


def test_every_score_there_is_stands_once_in_one_list():
    assert len({(one.level, one.name) for one in SCORES}) == len(SCORES)
    assert {*HEADLINE, *SLICED} <= {*SCORES}
    assert all(one.parts is not None for one in (*HEADLINE, *SLICED))
    assert all(np.isfinite(one.target) == (one.better == "target") for one in SCORES)


def test_sentences_say_first_what_is_beyond_noise():
    leaders = [
        Leader("", title="x", best="a", level_with=("b",)),
        Leader("", title="y", best="a", level_with=()),
        Leader("", title="z", best="b", level_with=()),
        Leader("", title="w", best="a", level_with=()),
    ]
    assert list(comparison.verdicts(leaders, ("a", "b", "c"))) == [
        ("a", "beats every other version beyond noise on y and w."),
        ("a", "is ahead on x, but level with b."),
        ("b", "beats every other version beyond noise on z."),
    ]
    assert next(comparison.verdicts(leaders[2:3], ("a", "b")))[1].startswith("beats a beyond")
    assert comparison.few("abcdefg") == ["a", "b", "c", "d", "3 others"]
    assert comparison.few("abcde") == "abcde"


def _numbers(held):
    """An array as Plotly packs it."""
    return np.frombuffer(base64.b64decode(held["bdata"]), held["dtype"]).tolist()


def week_table(demand, said, orders):
    """Products 0, 1, … with one week each, all quantiles the same."""
    ids = np.arange(len(demand))
    return pd.DataFrame(
        {
            "as_of_date": DAYS[0],
            "product_id": ids,
            "week": 1,
            "quantity": np.asarray(demand, float),
            "expected_quantity": np.asarray(said, float),
            "product_orders_before": orders,
            **dict.fromkeys(QUANTILE_NAMES, np.asarray(said, float)),
        }
    )


def test_loss_of_products_is_over_their_demand():
    losses = products.product_losses({"a": week_table([10, 4, 0], [5, 6, 1], [1, 1, 1])})["a"]
    assert losses[0] == pytest.approx(0.5)  # at the mean level ½, twice pinball is |error|
    assert losses[1] == pytest.approx(0.5)
    assert np.isnan(losses[2])


def test_the_busiest_come_first_then_the_disputed_then_the_missed():
    count = 80
    orders = np.arange(count, 0, -1)
    said, other = np.full(count, 10.0), np.full(count, 10.0)
    other[25] = 40  # disputed
    said[30] = other[30] = 25  # missed by both
    said[60] = other[60] = 90  # worse, but of the quieter half
    tables_ = {
        "a": week_table([10] * count, said, orders),
        "b": week_table([10] * count, other, orders),
    }
    chosen = products.choose(tables_)
    found = {why: [c.product_id for c in chosen if c.why == why] for why in products.WHY}
    assert found["busiest"] == list(range(20))
    assert found["disputed"][0] == 25
    assert found["missed"][0] == 30
    assert len({c.product_id for c in chosen}) == len(chosen) == 40
    assert products.choose({}) == ()


def test_a_product_is_held_by_date_and_version():
    made = products.series({"a": week_table([10, 4], [5, 6.12345], [1, 1])}, 1)
    assert made["actual"] == {"2024-01-01": [4]}
    assert made["fans"]["a"]["2024-01-01"] == [[6.12]] * 8
    assert products.rounded(pd.Series([12345.6, 0.123456, 3.0])) == [12346, 0.123, 3]


def test_weeks_before_a_date_end_with_the_day_before_it():
    events = OrderEvents(
        as_of_date=AS_OF,
        customer_id=np.ones(5, dtype=np.int64),
        product_id=np.array([1, 1, 1, 1, 2]),
        day=np.array([-8, -7, -1, -7 * HISTORY_WEEKS - 1, -1]),
        quantity=np.array([2.0, 3.0, 4.0, 99.0, 50.0]),
    )
    assert weekly(events, 1, 0)[-2:].tolist() == [2, 7]
    assert weekly(events, 1, 0).sum() == 9
    assert weekly(events, 1, 7)[-1] == 2  # a week earlier, the last known day is -8


def test_a_database_that_is_gone_leaves_names_out(tmp_path):
    known = look_up(tmp_path / "none.duckdb", [1], [AS_OF])
    assert "there is no database" in known.problem
    assert not known.names


def test_failures_are_counted_by_version_and_error():
    task = TaskRecord(
        run="run", as_of_date=date(2024, 1, 1), version="a", model="a", model_version=None,
        shard=0, shards=1, status="failed", error="boom", seconds=0.0, warnings=(),
        diagnostics={}, observed_weeks=12, horizon_weeks=12, rows=TaskRows(0, 0), failed_rows=0,
        failures=(),
        digests={},
    )  # fmt: skip
    left = replace(task, status="done", failed_rows=3, failures=("pair 1", "pair 2"))
    found = failures_of([task, replace(task, as_of_date=date(2024, 2, 1)), left])
    assert [(one.what, one.count, one.unit) for one in found] == [
        ("boom", 2, "tasks"),
        ("pair 1; pair 2", 3, "rows"),
    ]
    assert found[0].dates == ("2024-01-01", "2024-02-01")


def test_the_envelope_keeps_what_nothing_beats():
    frame = pd.DataFrame(
        {
            "min_orders": [1, 1, 2, 2],
            "min_confidence": [0.0, 0.3, 0.0, 0.3],
            "demand_coverage": [1.0, 0.7, 0.8, 0.4],
            "pairs": [9, 5, 6, 2],
            "miss": [0.5, 0.45, 0.4, 0.1],
        }
    )
    quality = Quality(0.8, 0.4, 6)
    choice = ThresholdChoice(
        "a", ThresholdRule(), Thresholds(2, 0.0), {}, (date(2024, 1, 1),), (), date(2024, 4, 1),
        True, quality, None, None,
    )  # fmt: skip
    one = Frontier(frame, choice)
    assert one.envelope()["demand_coverage"].tolist() == [0.4, 0.8, 1.0]
    assert one.chosen()["miss"].tolist() == [0.4]
    row = tables.thresholds_table([one]).rows[0]
    assert [cell.text for cell in row] == [
        "a", "2", "0.00", "2024-01-01", "80.0 %", "40.0 %", "no later dates", "–", "–", "0", "–",
    ]  # fmt: skip


def test_what_a_fit_holds_besides_its_draws_is_not_drawn(tmp_path):
    draws = {
        "scale": (("chain", "draw"), np.ones((1, 60), np.float32)),
        "effects": (("chain", "draw", "effect"), np.zeros((1, 60, 3), np.float32)),
    }
    constants = xr.Dataset({"season": ("season_0", np.zeros(52))})
    held = {"posterior": xr.Dataset(draws), "constant_data": constants}
    xr.DataTree.from_dict(held).to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    drawn = scalars(tmp_path / "posterior.nc")
    assert {name: dict(drawn[name].sizes) for name in drawn} == {"scale": {"chain": 1, "draw": 60}}


@pytest.mark.filterwarnings("error:In a future version of xarray:FutureWarning")
def test_fits_with_different_numbers_of_draws_stand_in_one_figure(tmp_path):
    fits, rng = [], np.random.default_rng(1)
    for i, (chains, draws) in enumerate(((4, 30), (2, 50), (1, 200))):
        folder = tmp_path / "rhythm" / f"4-{i}"
        folder.mkdir(parents=True)
        held = {"scale": (("chain", "draw"), rng.normal(size=(chains, draws)).astype(np.float32))}
        xr.DataTree.from_dict({"posterior": xr.Dataset(held)}).to_netcdf(
            folder / "posterior.nc", engine="h5netcdf"
        )
        fits.append(ReportedFit("a", "rhythm", f"4-{i}", (), date(2024, 1, 1 + i), None, {}, ()))
    figure = population_figure(fits, tmp_path, ["#111111", "#222222", "#333333"])
    numbers = [x for trace in figure["data"] for x in trace["x"] if isinstance(x, float)]
    assert len(figure["data"]) >= 3
    assert np.isfinite(numbers).all()
