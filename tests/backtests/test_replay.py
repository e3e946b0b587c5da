"""A replay: rules by hand, outcomes against a slow twin, intervals, dates and the command."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import norm
from typer.testing import CliRunner

from backtests.cli.replay import replay as command
from backtests.replay.dates import replay_dates
from backtests.replay.outcomes import outcomes_at
from backtests.replay.replay import _stock_at, run_replay
from backtests.replay.rules import Known, largest, mean_and_deviation, rules_of
from tests.chance import assert_share
from tests.conftest import AS_OF, add_line
from tests.sources.helpers import Line
from tests.sources.helpers import database as order_lines
from toolkit.cli.app import app
from toolkit.errors import ArgumentError
from toolkit.model import find_model
from toolkit.replenishment.levels import ProtectedDemand, service_level_position
from toolkit.replenishment.plan import protected_demand
from toolkit.replenishment.policy import ReplenishmentPolicy
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.sources.sql import as_source

POLICY = ReplenishmentPolicy(10, 7, service_level=0.5)
MODELS = {"pair_conjugate": find_model("pair_conjugate")}
TARGETS = (0.8, 0.95)
DATES = [AS_OF - timedelta(weeks=4 * i) for i in (2, 1, 0)]
MEAN, LARGEST = "mean + z sd, 26 weeks", "max of 26 weeks"


def known(history, days):
    nothing = np.zeros((len(history), 1, 1))
    demand = ProtectedDemand(nothing, nothing, np.ones((len(history), 1)))
    return Known(np.array(history, dtype=float), days, demand)


def test_the_rules_by_hand():
    weeks = known([[0, 2, 4, 6], [5, 5, 5, 5]], 21)
    deviation = np.sqrt(20 / 3)
    assert mean_and_deviation(weeks)(2.0) == pytest.approx([9 + 2 * deviation * 3**0.5, 15])
    assert mean_and_deviation(weeks)(-9.0)[0] == 0
    assert largest(weeks)(1.5) == pytest.approx([18, 22.5])
    assert largest(replace(weeks, days=10.0))(1.0) == pytest.approx([10 * 10 / 14, 10 * 10 / 14])


def test_settings_above_one_are_multiples_of_the_highest_level():
    demand = protected_demand(
        np.arange(1.0, 1000.0).reshape(1, 1, 999), [0], np.array([7]), np.linspace(0, 1, 8)
    )
    levels = rules_of(("m",), (0.9,))[0].levels(Known(np.zeros((1, 26)), 7.0, demand))
    assert [levels(setting)[0] for setting in (0.9, 0.995, 2.0)] == [900, 995, 1990]


def lines_of(conn):
    """Order events as the twin reads them, days from AS_OF."""
    return conn.execute(
        "SELECT ProductID AS product, date_diff('day', $day::DATE, Created::DATE) AS day,"
        " sum(Qty) AS units FROM dbo.OrderItem GROUP BY ALL",
        {"day": AS_OF},
    ).df()


def test_outcomes_are_those_of_a_slow_twin(database):
    rules = rules_of(("pair_conjugate",), TARGETS)
    found = outcomes_at(as_source(database), AS_OF, 0, POLICY, MODELS, rules, 50, 1)
    lines = lines_of(database)
    place = rules[2].knobs.index(float(norm.ppf(0.95)))
    for row, product in enumerate(found.product_id.tolist()):
        own = lines[lines["product"] == product]
        weekly = [
            own["units"][(own["day"] >= -7 * w) & (own["day"] < 7 - 7 * w)].sum()
            for w in range(1, 27)
        ]
        level = np.mean(weekly) * 17 / 7 + norm.ppf(0.95) * np.std(weekly, ddof=1) * (17 / 7) ** 0.5
        until = own["units"][(own["day"] >= 0) & (own["day"] < 10)].sum()
        later = own["units"][(own["day"] >= 0) & (own["day"] < 17)].sum()
        short = max(later - level, 0) - max(until - level, 0)
        assert found.demand[row] == pytest.approx(later - until)
        assert found.in_stock[MEAN][place, row] == (later <= level)
        assert found.served[MEAN][place, row] == pytest.approx(later - until - short)
        held = (max(level - until, 0) + max(level - later, 0)) / 2
        assert found.held[MEAN][place, row] == pytest.approx(held)


def test_what_came_then_moves_outcomes_and_no_level(database):
    rules, source = rules_of(("pair_conjugate",), TARGETS), as_source(database)
    before = outcomes_at(source, AS_OF, 0, POLICY, MODELS, rules, 50, 1)
    for product in before.product_id.tolist():
        add_line(database, product_id=product, customer_id=FIRST_CUSTOMER_ID, day=12, quantity=1e6)
    after = outcomes_at(source, AS_OF, 0, POLICY, MODELS, rules, 50, 1)
    assert all(
        np.array_equal(after.promised[name], before.promised[name]) for name in before.promised
    )
    assert (after.demand == before.demand + 1e6).all()
    assert (after.in_stock[LARGEST] == 0).all()
    assert (before.in_stock[LARGEST][-1] == 1).any()


def test_orders_of_before_do_move_levels(database):
    rules, source = rules_of(("pair_conjugate",), TARGETS), as_source(database)
    before = outcomes_at(source, AS_OF, 0, POLICY, MODELS, rules, 50, 1)
    for product in before.product_id.tolist():
        add_line(database, product_id=product, customer_id=FIRST_CUSTOMER_ID, day=-1, quantity=1e6)
    after = outcomes_at(source, AS_OF, 0, POLICY, MODELS, rules, 50, 1)
    assert (after.in_stock[LARGEST] == 1).all()
    assert (after.held[MEAN] > before.held[MEAN]).all()


def test_draws_of_the_truth_achieve_what_they_promise(seeded):
    """Demand is one more draw, at most the 180th of 199: nine times in ten, not more often."""
    rng = np.random.default_rng(seeded(3))
    paths = rng.gamma(rng.uniform(0.3, 5, 4000)[:, None, None], 20, (4000, 3, 200))
    review = np.full(4000, 7, dtype=np.int64)
    demand = protected_demand(paths[..., 1:], [14] * 4000, review, np.linspace(0, 1, 8))
    level = service_level_position(demand)(np.full(4000, 0.9))
    assert_share(int((paths[..., 0].sum(axis=1) <= level).sum()), 4000, 0.9)


def test_the_stock_for_a_service_lies_between_settings():
    reached = np.array([[0.5], [0.9], [0.88], [1.0]])
    held = np.array([[10.0], [30.0], [40.0], [60.0]])
    assert _stock_at(0.7, reached, held) == pytest.approx([20.0])
    assert _stock_at(0.95, reached, held) == pytest.approx([50.0])
    assert np.isnan(_stock_at(0.4, reached, held)).all()


@pytest.fixture
def report(database):
    return run_replay(as_source(database), DATES, POLICY, MODELS, TARGETS, draws=99)


def test_a_report_has_each_rule_with_its_intervals(report):
    assert [(one.rule, one.target) for one in report.achieved] == [
        *(("pair_conjugate, service level", target) for target in TARGETS),
        *(("pair_conjugate, fill rate", target) for target in TARGETS),
        *((MEAN, target) for target in TARGETS),
        (LARGEST, None),
    ]
    for one in report.achieved:
        assert one.service_level.low < one.service_level.value < one.service_level.high
    low, high = (report.achieved[i] for i in (0, 1))
    assert low.service_level.value <= high.service_level.value
    assert low.stock < high.stock
    assert low.promised_service_level >= 0.8
    base = [one for one in report.equal_service if one.rule == "pair_conjugate, service level"]
    assert all(one.ratio.value == 1 for one in base if not np.isnan(one.stock))
    json.dumps(report.to_dict(), allow_nan=False)
    frame = report.to_frame()
    assert len(frame) == 7
    assert frame["service_level_low"].dtype == float
    text = report.to_card().text()
    assert "3 dates from 2022-04-11 to 2022-06-06" in text
    assert "Stock for the same achieved fill rate" in text


def test_equal_calls_give_equal_reports(database, report):
    again = run_replay(as_source(database), DATES[::-1], POLICY, MODELS, TARGETS[::-1], draws=99)
    assert again.to_dict() == report.to_dict()


def test_targets_that_are_none(database):
    for targets in ((), (0.9, 1.0)):
        with pytest.raises(ArgumentError, match="targets have to be numbers between 0 and 1"):
            run_replay(as_source(database), DATES, POLICY, MODELS, targets)


def test_dates_are_mondays_with_their_weeks_after_them(database):
    source = as_source(database)
    last_day = lines_of(database)["day"].max()
    days = replay_dates(source, 3, 2, 4)
    assert days[1] - days[0] == timedelta(weeks=4)
    assert {day.weekday() for day in days} == {0}
    assert 21 <= (AS_OF - days[1]).days + last_day + 1 < 28
    with pytest.raises(ArgumentError, match="outside the data: 2019-06-10, 2019-07-08, "):
        replay_dates(source, 3, 40, 4, AS_OF)
    with pytest.raises(ArgumentError, match="3 whole weeks after it"):
        replay_dates(source, 3, 1, 4, AS_OF + timedelta(weeks=30))


def test_a_last_order_that_is_cancelled_moves_no_date():
    lines = [Line(1, 101, 1, -200), Line(2, 101, 1, -30), Line(3, 102, 2, -1, 4.0)]
    with order_lines(lines) as conn:
        days = replay_dates(as_source(conn), 3, 2, 4)
    with order_lines([*lines, Line(4, 102, 2, -1, -4.0)]) as conn:
        assert replay_dates(as_source(conn), 3, 2, 4) == days


def test_many_dates_are_not_all_named(database):
    source = as_source(database)
    with pytest.raises(
        ArgumentError, match=r"(\d{4}-\d\d-\d\d, ){4}\d{4}-\d\d-\d\d and \d+ more; "
    ):
        replay_dates(source, 3, 520, 104)
    with pytest.raises(ArgumentError, match="dates has to be a whole number from 1 to 520"):
        replay_dates(source, 3, 10**9, 1)
    with pytest.raises(ArgumentError, match="step_weeks has to be a whole number from 1 to 104"):
        replay_dates(source, 3, 2, 10**9)


def test_the_command_shows_and_writes_the_report(order_file, tmp_path):
    assert command.__doc__
    out = tmp_path / "replay.json"
    asked = ["replay", "--db", str(order_file), "--lead-time", "10", "--dates", "2",
             "--draws", "50", "--target", "0.9", "--out", str(out)]  # fmt: skip
    registered(asked)
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text())["achieved"][0]["target"] == 0.9
    said = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(said.stdout) == json.loads(out.read_text())


def test_everything_wrong_with_the_command_is_told_at_once(order_file):
    registered(["replay"])
    common = ["replay", "--db", str(order_file), "--draws", "0", "--seed", "-1", "--target", "2",
              "--model", "nope", "--model", "rhythm@none"]  # fmt: skip
    numbers = ["--lead-time", "-1", "--review", "0", "--dates", "0", "--step-weeks", "0"]
    common_said = [
        "targets have to be numbers between 0 and 1, got [2.0]",
        "draws has to be a whole number of at least 1, got 0",
        "seed has to be a whole number of at least 0, got -1",
        "unknown model 'nope'",
        "rhythm has not been fitted",
    ]
    for asked, said in (
        (numbers, ["lead_time_days has to be a whole number of at least 0, got -1",
                   "review_days has to be", "dates has to be", "step_weeks has to be"]),
        (["--lead-time", "10", "--dates", "500"], ["dates outside the data: "]),
    ):  # fmt: skip
        refused = CliRunner().invoke(app, [*common, *asked]).exception
        assert isinstance(refused, ArgumentError)
        told = str(refused).splitlines()
        assert len(told) == len(common_said + said)
        for part in common_said + said:
            assert sum(line.startswith(part) for line in told) == 1, part


def registered(asked):
    """The command line has the command, as the entry point adds it."""
    if asked[0] not in {one.name for one in app.registered_commands}:
        app.command("replay")(command)
