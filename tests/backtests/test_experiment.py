"""Experiments from TOML: what they mean, and every mistake in one told at once."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

import backtests
from backtests.run.experiment import DateRule, VersionSpec, parse_experiment, read_experiment
from backtests.run.fitting import Fitting
from toolkit.data.calendar import NO_CALENDAR, calendar_of
from toolkit.errors import ArgumentError
from toolkit.validation import plain

SHIPPED = sorted((Path(backtests.__path__[0]).parent / "experiments").glob("*.toml"))


def parsed(**changes):
    content = {
        "name": "e",
        "dates": {"list": [date(2024, 1, 1)]},
        "versions": [{"model": "pair_conjugate"}],
    }
    return parse_experiment(content | changes, "e.toml")


def mistakes(**changes) -> list[str]:
    with pytest.raises(ArgumentError) as caught:
        parsed(**changes)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def test_what_ships_can_be_read():
    assert {"quick", "versions", "peers"} <= {path.stem for path in SHIPPED}
    for path in SHIPPED:
        assert read_experiment(path).name == path.stem


def test_all_is_read(tmp_path):
    path = tmp_path / "e.toml"
    path.write_text("""
        name = "e"
        database = "orders.duckdb"
        horizon_weeks = 6
        draws = 50
        seed = 3
        refit = "refit"
        share_of_products = 0.5

        [dates]
        start = 2024-01-01
        stop = "2024-03-01"
        step_weeks = 3

        [[versions]]
        model = "pooled_gamma"
        pairs = 2000
        draws = 100
        tune = 60
        chains = 2

        [[versions]]
        model = "rhythm@4-abc"
        refit = "frozen"
        seed = 9

        [thresholds]
        min_orders = [1, 3]
        min_confidence = [0, 0.5]

        [slices]
        order_count = [1, 10]
    """)
    e = read_experiment(path)
    assert (e.database, e.horizon_weeks, e.draws, e.seed) == (Path("orders.duckdb"), 6, 50, 3)
    pooled, rhythm = e.versions
    assert (pooled.label, pooled.refit, pooled.seed, pooled.pairs) == (
        "pooled_gamma",
        "refit",
        3,
        2000,
    )
    assert (pooled.draws, pooled.tune, pooled.chains) == (100, 60, 2)
    assert (rhythm.label, rhythm.refit, rhythm.seed, rhythm.pairs) == (
        "rhythm-4-abc",
        "frozen",
        9,
        None,
    )
    assert e.thresholds.min_orders == (1, 3)
    assert e.thresholds.min_confidence == (0, 0.5)
    assert e.slices.order_count == (1, 10)
    assert e.slices.customer_age_days[0] == 0
    dates = e.dates.resolve(date(2025, 1, 1), 6)
    assert dates == (date(2024, 1, 1), date(2024, 1, 22), date(2024, 2, 12))


def test_a_calendar_is_read_with_its_file_and_stays_what_it_was(tmp_path):
    """A run holds the events themselves: the file may change, or be gone."""
    events = tmp_path / "events.csv"
    events.write_text("date,kind\n2024-03-01,fair\n")
    e = parsed(calendar={"countries": ["US-TX"], "events": str(events)})
    assert e.calendar == calendar_of(["US-TX"], events)
    again = parse_experiment(plain(e), "run.json")
    assert again.calendar == e.calendar
    assert parsed().calendar == NO_CALENDAR


def test_all_mistakes_in_a_calendar_are_told(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text("date,kind\nsoon,fair\n")
    calendar = {"countries": ["XX", "US", "US-TX"], "evnts": 3, "events": str(events)}
    told = "\n".join(mistakes(calendar=calendar))
    assert "calendar.events: events.csv breaks 1 rule(s)" in told
    assert "line 2: 'soon'" in told
    assert "calendar.evnts: is unknown; did you mean 'events'?" in told
    countries = "\n".join(mistakes(calendar={"countries": ["XX", "US", "US-TX"]}))
    assert "country 'XX' is unknown" in countries
    assert "US and US-TX overlap" in countries


def test_fits_with_another_calendar_are_others():
    version = VersionSpec(model="rhythm")
    fits = {
        Fitting.of(version, date(2024, 1, 1), calendar_of(countries)).file(Path("fits"))
        for countries in ((), ("US",), ("GB-ENG",))
    }
    assert len(fits) == 3


@pytest.mark.parametrize(
    ("last_date", "newest"),
    [
        (date(2024, 3, 24), date(2024, 1, 1)),  # a Sunday: the last 12 weeks just fit
        (date(2024, 3, 23), date(2023, 12, 25)),
        (date(2024, 3, 30), date(2024, 1, 1)),
    ],
)
def test_the_last_dates_are_mondays_with_a_whole_horizon_after_them(last_date, newest):
    dates = DateRule(last=3, step_weeks=2).resolve(last_date, 12)
    assert dates[-1] == newest
    assert [(b - a).days for a, b in pairwise(dates)] == [14, 14]


def test_unknown_keys_are_all_listed_with_the_nearest_known():
    found = mistakes(
        horizont_weeks=3,
        zzzzzz=1,
        dates={"list": [date(2024, 1, 1)], "stepp_weeks": 1},
        versions=[{"model": "m", "lable": "x"}, {"model": "n", "draw": 5}],
        slices={"order_counts": [1]},
    )
    known = (
        "calendar, database, dates, draws, horizon_weeks, name, pairs_per_shard, refit, seed, "
        "share_of_products, slices, thresholds, versions"
    )
    assert found == [
        "dates.stepp_weeks: is unknown; did you mean 'step_weeks'?",
        "versions[1].lable: is unknown; did you mean 'label'?",
        "versions[2].draw: is unknown; did you mean 'draws'?",
        "slices.order_counts: is unknown; did you mean 'order_count'?",
        "horizont_weeks: is unknown; did you mean 'horizon_weeks'?",
        f"zzzzzz: is unknown; known are {known}",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "name: has to be letters, digits, '_', '-', '.', got ''"),
        ({"name": "../up"}, "name: has to be letters, digits, '_', '-', '.', got '../up'"),
        ({"draws": 0}, "draws: has to be a whole number of at least 1, got 0"),
        ({"draws": True}, "draws: has to be a whole number of at least 1, got True"),
        ({"horizon_weeks": 105}, "horizon_weeks: has to be a whole number from 1 to 104, got 105"),
        (
            {"share_of_products": 0},
            "share_of_products: has to be a number above 0, at most 1, got 0",
        ),
        (
            {"refit": "frosen"},
            "refit: has to be one of 'refit', 'condition', 'frozen', got 'frosen';"
            " did you mean 'frozen'?",
        ),
        ({"versions": []}, "versions: is missing: at least one [[versions]] is needed"),
        ({"versions": [{"model": "m"}] * 2}, "versions: label 'm' occurs 2 times"),
        ({"versions": [{"label": "x"}]}, "versions[1].model: is missing"),
        (
            {"versions": [{"model": "m@1"}]},
            "versions[1].refit: 'm@1' names a fit: this needs refit = \"frozen\"",
        ),
        (
            {"versions": [{"model": "m", "prior": {"shape": "wide"}}]},
            "versions[1].prior: has to be a table of numbers or lists of them,"
            " got {'shape': 'wide'}",
        ),
        (
            {"dates": {}},
            "dates: has to hold list, or start and stop, or last: one of the three",
        ),
        (
            {"dates": {"last": 2, "list": ["2024-01-01"]}},
            "dates: has to hold list, or start and stop, or last: one of the three",
        ),
        (
            {"dates": {"start": date(2024, 1, 1)}},
            "dates: start and stop have to be dates in order, got 2024-01-01 and None",
        ),
        (
            {"dates": {"list": ["yesterday"]}},
            "dates.list: has to be a list of dates as 2019-04-01, got ['yesterday']",
        ),
        (
            {"thresholds": {"min_confidence": [0.5, 0.1]}},
            "thresholds.min_confidence: has to be a list of ascending numbers, at least one,"
            " got [0.5, 0.1]",
        ),
        (
            {"slices": {"order_count": [0, 1]}},
            "slices.order_count[1]: has to be a whole number of at least 1, got 0",
        ),
        (
            {"versions": {"model": "m"}},
            "versions: has to be a list of tables, [[versions]], got {'model': 'm'}",
        ),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(changes, said):
    assert mistakes(**changes) == [said]


def test_a_file_that_is_missing_or_no_toml(tmp_path):
    with pytest.raises(ArgumentError, match=r"none\.toml cannot be read: No such file"):
        read_experiment(tmp_path / "none.toml")
    (tmp_path / "e.toml").write_text("name = ")
    with pytest.raises(ArgumentError, match="is no TOML"):
        read_experiment(tmp_path / "e.toml")


def test_a_model_named_by_its_file_goes_by_the_files_name():
    content = {
        "name": "mine",
        "dates": {"list": [date(2019, 4, 1)]},
        "versions": [{"model": "work/leavers.py:MODEL"}],
    }
    assert parse_experiment(content, "mine").versions[0].label == "leavers"
