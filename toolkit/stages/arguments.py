"""What callers may ask for: each check says what was received and what is allowed."""

from collections.abc import Iterable
from datetime import date, datetime

import numpy as np

from toolkit.data.tables import MAX_AMOUNT
from toolkit.errors import ArgumentError
from toolkit.sources.base import OrderSource, today_of

MAX_WEEKS = 104
LATEST = date(9990, 1, 1)
"""As-of dates are before it, so that what follows one is a date of Python's, too."""


def as_of_day(value: str | date | None, source: OrderSource) -> date:
    """The as-of date as ``parse_date`` takes it; None is today in the time zone of the orders."""
    return today_of(source) if value is None else parse_date(value)


def parse_date(value: str | date) -> date:
    """An ISO date (YYYY-MM-DD) or a date.

    Raises ``ArgumentError`` on anything else, and from ``LATEST`` on.

    >>> parse_date("2025-11-11")
    datetime.date(2025, 11, 11)
    """
    day = _date_of(value)
    if day is None:
        raise ArgumentError(f"as_of_date has to be a date as YYYY-MM-DD, got {value!r}")
    if day >= LATEST:
        raise ArgumentError(f"as_of_date has to be before {LATEST}, got {day}")
    return day


def _date_of(value: str | date) -> date | None:
    try:
        if isinstance(value, date):
            return date(value.year, value.month, value.day)
        if len(value) == len("2025-11-11"):
            return datetime.strptime(value, "%Y-%m-%d").date()
    except (TypeError, ValueError):
        pass
    return None


def check_whole(name: str, value: int, low: int, high: int | None = None) -> int:
    """``value`` if it is a whole number from ``low`` to ``high``; else ArgumentError."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if whole and value >= low and (high is None or value <= high):
        return int(value)
    allowed = f"from {low} to {high}" if high is not None else f"of at least {low}"
    raise ArgumentError(f"{name} has to be a whole number {allowed}, got {value!r}")


def check_share(name: str, value: float) -> float:
    """``value`` as a float if it lies from 0 to 1; else ArgumentError."""
    if (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and 0 <= value <= 1
    ):
        return float(value)
    raise ArgumentError(f"{name} has to be a number from 0 to 1, got {value!r}")


def check_price(name: str, value: float | None) -> float | None:
    """``value`` as a float if it is a price: above 0, up to ``MAX_AMOUNT``; None stays None.

    Raises ``ArgumentError`` for anything else.
    """
    if value is None:
        return None
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and 0 < value <= MAX_AMOUNT:
        return float(value)
    raise ArgumentError(f"{name} has to be a number above 0, up to {MAX_AMOUNT:g}, got {value!r}")


def _number_of(name: str, value: object) -> str:
    """The way from a text to the number it stands for."""
    kind = name.removesuffix("_id")
    if not isinstance(value, str) or kind == name:
        return ""
    return f"; toolkit.sources.codes.Codes.of(conn).number({kind!r}, {value!r}) tells its number"


def check_ids(name: str, values: Iterable[int]) -> list[int]:
    """The ids as plain integers; ArgumentError if one is none (text, a float, a boolean)."""
    if not isinstance(values, Iterable):
        raise ArgumentError(f"several {name}s have to be given as a list, got {values!r}")
    listed = list(values)
    for value in listed:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise ArgumentError(
                f"{name} has to be a whole number, got {value!r}{_number_of(name, value)}"
            )
    return [int(value) for value in listed]
