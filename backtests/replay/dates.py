"""Past dates at which a replay is possible."""

from datetime import date, timedelta

from toolkit.data.tables import observed_weeks
from toolkit.errors import ArgumentError
from toolkit.sources.base import OrderSource
from toolkit.sources.sql import last_order_day
from toolkit.stages.arguments import check_whole

MOST_DATES, MOST_WEEKS = 520, 104
"""So many dates at most, so many weeks apart: ten years of weeks, and dates of Python's."""

_END = date(9999, 12, 31)
_NAMED = 5


def replay_dates(
    source: OrderSource, weeks: int, count: int, step_weeks: int, last: date | None = None
) -> tuple[date, ...]:
    """``count`` dates, ``step_weeks`` apart, up to ``last``: by default the last Monday that has
    ``weeks`` whole weeks of orders after it.

    Raises ``ArgumentError`` where there are more than ``MOST_DATES``, or they are more than
    ``MOST_WEEKS`` apart, and of those that have no order before them, or too few weeks after.
    """
    count = check_whole("dates", count, 1, MOST_DATES)
    step_weeks = check_whole("step_weeks", step_weeks, 1, MOST_WEEKS)
    events, last_day = source.order_events(_END), last_order_day(source)
    if not len(events) or last_day is None:
        raise ArgumentError("the database holds no orders to replay")
    first_day = _END + timedelta(int(events.day.min()))
    newest = last or _monday_before(last_day + timedelta(1) - timedelta(weeks=weeks))
    dates = [newest - timedelta(weeks=step_weeks * i) for i in reversed(range(count))]
    outside = [
        str(day)
        for day in dates
        if day <= first_day or observed_weeks(day, last_day, weeks) < weeks
    ]
    if outside:
        more = f" and {len(outside) - _NAMED:,} more" if len(outside) > _NAMED else ""
        raise ArgumentError(
            f"dates outside the data: {', '.join(outside[:_NAMED])}{more}; orders run "
            f"from {first_day} to {last_day}, and a date needs orders before it and "
            f"{weeks} whole weeks after it"
        )
    return tuple(dates)


def _monday_before(day: date) -> date:
    return day - timedelta(day.weekday())
