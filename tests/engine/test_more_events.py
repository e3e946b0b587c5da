"""What if the calendar of the weeks to come had one more event: the same draws, moved by it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from models.parts.rhythm.season import Season
from models.parts.special_days import SpecialDays
from tests.conftest import AS_OF, NOON
from tests.engine.conftest import EVENTS
from toolkit.data.calendar import Calendar, Event
from toolkit.data.scenario import Change, Scenario
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError
from toolkit.model import find_model
from toolkit.sources.generator import FIRST_CUSTOMER_ID

MEASURES = ("orders", "quantity", "revenue")
FIRST = AS_OF + timedelta(23)  # of the fourth week
PROMOTION = Change("event", event="promotion", start_date=FIRST, end_date=FIRST + timedelta(1))
MORE = Event(FIRST, FIRST + timedelta(1), "promotion", "sales")


@pytest.fixture
def engine(database, rhythm_with_events):
    return ForecastEngine(database, model=rhythm_with_events, draws=60, clock=lambda: NOON)


def compare(engine, *scenarios, products=None):
    return engine.compare_scenarios(scenarios, products, AS_OF).scenarios


def under(engine, *changes, products=None):
    (scenario,) = compare(engine, Scenario("one", changes), products=products)
    return scenario


def rows_of(scenario):
    return [scenario["total"], *scenario["weekly"], *scenario["products"]]


@pytest.mark.parametrize("first", [FIRST, AS_OF + timedelta(7), AS_OF + timedelta(80)])
def test_the_season_is_that_of_a_calendar_which_had_it(all_patterns, first):
    """To the last bit, where it does not reach into weeks before the date."""
    more = Event(first, first + timedelta(1), "promotion", "sales")
    with_it, without = (
        Season.of(
            all_patterns.events.day,
            AS_OF,
            SpecialDays.of_patterns(Calendar(events=events), all_patterns),
        )
        for events in ((*EVENTS, more), EVENTS)
    )
    moved = without.with_events([more], AS_OF)
    assert not np.array_equal(moved.special, without.special)
    for name, array in with_it.arrays.items():
        if "day" not in name:
            assert np.array_equal(moved.arrays[name], array), name


def test_weeks_before_the_date_stay_as_they_were_observed(all_patterns):
    special = SpecialDays.of_patterns(Calendar(events=EVENTS), all_patterns)
    season = Season.of(all_patterns.events.day, AS_OF, special)
    today = replace(MORE, first=AS_OF, last=AS_OF + timedelta(1))
    moved = season.with_events([today], AS_OF)
    days = np.arange(-200, 0)
    assert np.array_equal(moved.log_level(AS_OF, days), season.log_level(AS_OF, days))
    assert not np.array_equal(moved.week_levels(AS_OF, 2), season.week_levels(AS_OF, 2))


def test_what_is_saved_comes_back_and_knows_the_kinds(rhythm_with_events, tmp_path):
    fitted = rhythm_with_events
    fitted.save(tmp_path)
    loaded = find_model("rhythm").load(tmp_path)
    assert (loaded.version, loaded.event_days) == (fitted.version, fitted.event_days)
    assert set(fitted.event_days) == {"fair", "promotion"}  # nothing is learnt of an opening
    assert AS_OF + timedelta(50) in fitted.event_days["fair"]
    season, again = fitted.predictor.season, loaded.predictor.season
    moved = [one.with_events([MORE], AS_OF).special for one in (season, again)]
    assert np.array_equal(*moved)


def test_it_is_near_the_forecast_of_a_fit_whose_calendar_had_it(
    engine, fit_with, rhythm_with_events
):
    """Whose paths are drawn anew: expectations agree to their noise, weeks of it to a few %."""
    fitted, there = rhythm_with_events, fit_with(*EVENTS, MORE)
    for name, array in fitted.arrays.items():  # but for the event, the fits are the same
        if not name.startswith("season"):
            assert np.array_equal(there.arrays[name], array), name
    changed = under(engine, PROMOTION)
    engines = [
        ForecastEngine(engine.conn, model=one, draws=2000, clock=lambda: NOON)
        for one in (fitted, there)
    ]
    weeks = [one.forecast_portfolio(None, AS_OF).weekly_forecasts for one in engines]
    for i, week in enumerate(changed["weekly"]):
        ratio = week["expected_quantity"] / week["baseline_quantity"]
        drawn = weeks[1][i]["expected_quantity"] / weeks[0][i]["expected_quantity"]
        assert ratio == pytest.approx(drawn, rel=0.02), i
    of_event = changed["weekly"][3]
    assert abs(of_event["expected_quantity"] / of_event["baseline_quantity"] - 1.0) > 0.002


def test_a_difference_is_of_the_same_draws(engine):
    """Weeks before those that the event reaches change by nothing at all, in no draw."""
    neutral, changed = compare(engine, Scenario("as it is"), Scenario("event", (PROMOTION,)))
    for week in changed["weekly"][:2]:
        for measure in MEASURES:
            assert week[f"difference_{measure}"] == 0.0
            assert set(week[f"difference_{measure}_quantiles"].values()) == {0.0}
    of_event = changed["weekly"][3]
    spread = of_event["difference_quantity_quantiles"]
    assert spread["q05"] < spread["q95"]
    width = of_event["quantity_quantiles"]["q95"] - of_event["quantity_quantiles"]["q05"]
    assert spread["q95"] - spread["q05"] < width / 3
    for row, plain in zip(rows_of(changed), rows_of(neutral), strict=True):
        for measure in MEASURES:
            assert row[f"baseline_{measure}"] == plain[f"baseline_{measure}"]
    for product in changed["products"][:3]:
        alone = under(engine, PROMOTION, products=[product["product_id"]])
        assert alone["products"] == [product]


def test_other_changes_compose_with_it(engine):
    """Demand, products that are replaced, and customers who are won see it too."""
    more = Change("demand", percent=20.0)
    plain, raised = under(engine, PROMOTION), under(engine, PROMOTION, more)
    for row, before in zip(rows_of(raised), rows_of(plain), strict=True):
        expected = 1.2 * before["expected_quantity"]
        assert row["expected_quantity"] == pytest.approx(expected, rel=1e-9)
    gone = Change("product_replaced", products=(2,), replaced_by=3)
    products = {p["product_id"]: p for p in under(engine, PROMOTION, gone)["products"]}
    own = {p["product_id"]: p["expected_quantity"] for p in plain["products"]}
    assert products[3]["expected_quantity"] == pytest.approx(own[2] + own[3], rel=1e-9)
    like = FIRST_CUSTOMER_ID + 3
    lost = Change("customer_lost", customers=(like,))
    both = under(engine, PROMOTION, Change("customer_won", like=like), lost)
    for row, before in zip(rows_of(both), rows_of(plain), strict=True):
        assert row["expected_quantity"] == pytest.approx(before["expected_quantity"], rel=1e-9)
    other = replace(PROMOTION, event="fair", start_date=FIRST + timedelta(14), end_date=None)
    two = under(engine, PROMOTION, other)["weekly"]
    assert two[3]["expected_quantity"] != two[3]["baseline_quantity"]
    assert two[5]["expected_quantity"] != two[5]["baseline_quantity"]
    order = Change("order_received", customers=(like,), products=(2,), quantity=40.0)
    told, event = compare(engine, Scenario("a", (order,)), Scenario("b", (order, PROMOTION)))
    assert told["total"]["expected_quantity"] != event["total"]["expected_quantity"]


def test_all_that_is_wrong_is_told_at_once(engine):
    fair = AS_OF + timedelta(50)
    changes = (
        Change("event", event="promotoin", start_date=FIRST),
        Change("event", event="opening", start_date=FIRST),
        Change("event", event="fair", start_date=fair - timedelta(1), end_date=fair),
        Change("event", event="fair", start_date=AS_OF + timedelta(84)),
        PROMOTION,
        replace(PROMOTION, start_date=FIRST + timedelta(1), end_date=None),
    )
    with pytest.raises(ArgumentError) as caught:
        under(engine, *changes)
    called = f"rhythm@{engine.predictor.model.version}"
    for part in (
        f"change 1: {called} has learnt of no event 'promotoin'; the nearest are 'promotion', ",
        f"change 2: {called} has learnt of no event 'opening'; ",
        f"change 3: 'fair' is in the calendar of {called} on {fair} already",
        "change 4: start_date has to be a date from 2022-06-06 to 2022-08-28",
        "changes 5 and 6 put 'promotion' on the same days",
    ):
        assert part in str(caught.value)


def test_a_model_that_knows_no_events_says_so(database, rhythm):
    with pytest.raises(ArgumentError, match="pair_conjugate looks at no dates, and no event"):
        under(ForecastEngine(database), PROMOTION)
    with pytest.raises(ArgumentError, match=r"rhythm@\S+ has learnt nothing of any event: fit it"):
        under(ForecastEngine(database, model=rhythm), PROMOTION)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"event": "x"}, "needs start_date"),
        ({"start_date": AS_OF}, "needs event"),
        ({"event": "x", "start_date": AS_OF, "products": (1,)}, "takes no products"),
    ],
)
def test_it_says_what_it_takes(fields, message):
    with pytest.raises(ArgumentError, match=message):
        Change("event", **fields)


def test_the_card_says_which_event(engine):
    one_day = replace(PROMOTION, end_date=None)
    scenarios = [Scenario("a", (one_day,)), Scenario("b", (PROMOTION,))]
    result = engine.compare_scenarios(scenarios, [2], AS_OF)
    shown = result.to_card().text(width=2000)
    assert f"a: 'promotion' in the calendar on {FIRST}." in shown
    assert f"b: 'promotion' in the calendar from {FIRST} to {FIRST + timedelta(1)}." in shown
