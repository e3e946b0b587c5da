"""Days of a calendar as columns of weeks."""

from datetime import date, timedelta

import numpy as np
import pytest

from models.parts.special_days import MOST, SpecialDays
from toolkit.data.calendar import Calendar, Event

AS_OF = date(2024, 3, 4)  # a Monday
WEEKDAYS = np.array([day for day in range(-400, 0) if (AS_OF + timedelta(day)).weekday() < 5])


def event(first, kind, group="", last=None, announced=None):
    return Event(first, last or first, kind, group or kind, announced)


def weeks_from(day, count=1):
    return day.toordinal() + 7 * np.arange(count)


@pytest.fixture(scope="module")
def special():
    events = (
        event(date(2024, 3, 13), "fair", "sales"),  # a Wednesday
        event(date(2024, 3, 14), "promotion", "sales"),
        event(date(2024, 3, 18), "inventory", last=date(2024, 3, 24)),  # a whole week
    )
    return SpecialDays.of(Calendar(events=events), WEEKDAYS, AS_OF)


def test_days_of_groups_by_hand(special):
    """Inventory, sales: in the week, in the next one, in the one before; four weeks from the date.

    Of the inventory's seven days five are business days, which count as two.
    """
    assert special.by_group(weeks_from(AS_OF, 4)).tolist() == [
        [0, 0, 0, 2, 0, 0],
        [0, 2, MOST, 0, 0, 0],
        [MOST, 0, 0, 0, 0, 2],
        [0, 0, 0, 0, MOST, 0],
    ]


def test_days_of_kinds_by_hand(special):
    """Fair, inventory and promotion, in the week."""
    in_it = special.by_kind(weeks_from(AS_OF, 4))[:, :3]
    assert in_it.tolist() == [[0, 0, 0], [1, 0, 1], [0, MOST, 0], [0, 0, 0]]


def test_weeks_may_begin_on_any_day(special):
    assert special.by_kind(weeks_from(date(2024, 3, 14)))[0, :3].tolist() == [0, MOST, 1]
    assert special.by_kind(weeks_from(date(2024, 3, 7)))[0, :3].tolist() == [1, 0, 0]


@pytest.mark.parametrize(("day", "rows"), [(date(2024, 3, 15), 1), (date(2024, 3, 16), 0)])
def test_a_day_on_which_nobody_orders_anyway_has_no_row(day, rows):
    """A Friday and a Saturday."""
    calendar = Calendar(events=(event(day, "closed"),))
    assert len(SpecialDays.of(calendar, WEEKDAYS, AS_OF).day) == rows


def test_what_was_announced_on_the_date_or_later_is_not_seen():
    days = [date(2023, 5, 3), date(2024, 5, 1)]
    for announced, rows in ((AS_OF - timedelta(1), 2), (AS_OF, 0), (None, 2)):
        events = tuple(event(day, "strike", announced=announced) for day in days)
        assert len(SpecialDays.of(Calendar(events=events), WEEKDAYS, AS_OF).day) == rows


def test_no_calendar_has_no_columns():
    nothing = SpecialDays.of(Calendar(), WEEKDAYS, AS_OF)
    assert nothing.by_group(weeks_from(AS_OF, 3)).shape == (3, 0)
    assert nothing.by_kind(weeks_from(AS_OF, 3)).shape == (3, 0)


def test_without_any_order_and_on_a_leap_day_it_works():
    assert len(SpecialDays.of(Calendar(("US",)), np.zeros(0, dtype=int), date(2024, 2, 29)).day)


def test_what_is_saved_comes_back(special):
    again = SpecialDays.from_arrays(special.arrays)
    for name in ("day", "kind", "group"):
        assert np.array_equal(getattr(again, name), getattr(special, name))


def test_further_events_leave_other_days_as_they_were():
    """Two fairs overlap, so that one day counts twice; another fair, weeks later, moves none."""
    friday, later = date(2024, 3, 15), date(2024, 4, 24)
    events = (event(friday, "fair"), event(friday, "fair", last=date(2024, 3, 18)))
    special = SpecialDays.of(Calendar(events=events), WEEKDAYS, AS_OF)
    weeks = weeks_from(AS_OF, 5)
    for more in (special.with_events([]), special.with_events([event(later, "fair")])):
        assert more.by_kind(weeks).tolist() == special.by_kind(weeks).tolist()
    assert special.with_events([event(later, "fair")]).by_kind(weeks_from(later))[0, 0] == 1
