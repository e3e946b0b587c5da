"""Time zones by the names of the IANA database (``Europe/Berlin``), and what day it is in one."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

EASTERNMOST = "Pacific/Kiritimati"
"""Where each day begins first: no place on Earth has a later date."""

_FIRST_YEAR, _YEARS_AHEAD = 1990, 3
_NO_PLACES = {"localtime", "Factory", "posixrules"}
_NEAREST = 3
_MINUTE = timedelta(minutes=1)


def known_zone(name: str) -> str:
    """The name, if a zone is called so; else ``ValueError`` with the nearest names.

    >>> known_zone("Europe/Berlin")
    'Europe/Berlin'
    """
    known = available_timezones() - _NO_PLACES
    if name in known:
        return name
    nearest = ", ".join(_nearest(name, sorted(known)))
    near = f"; the nearest names are {nearest}" if nearest else ""
    raise ValueError(f"has to be a time zone like Europe/Berlin, got {name!r}{near}")


def today_in(zone: str | None, now: datetime | None = None) -> date:
    """The date in a zone, at an instant or now; without a zone, this machine's.

    >>> today_in("Pacific/Auckland", datetime(2024, 4, 6, 20, tzinfo=UTC))
    datetime.date(2024, 4, 7)
    """
    now = now or datetime.now(UTC)
    return now.astimezone(None if zone is None else ZoneInfo(zone)).date()


def offsets(zone: str) -> list[tuple[datetime, int]]:
    """From when on (UTC, without a zone) clocks there are how many minutes ahead of UTC.

    The latest comes first; the last entry is that of 1990, and of before.

    >>> [(str(since), minutes) for since, minutes in offsets("Asia/Tokyo")]
    [('1990-01-01 00:00:00', 540)]
    """
    return [*_changes(ZoneInfo(zone))][::-1]


def _changes(zone: ZoneInfo) -> Iterator[tuple[datetime, int]]:
    """Days are gone through, and the minute is looked for in those that change anything."""
    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(datetime.now(UTC).year + _YEARS_AHEAD, 1, 1, tzinfo=UTC)
    minutes = _minutes(zone, moment)
    yield moment.replace(tzinfo=None), minutes
    while moment < end:
        after = moment + timedelta(1)
        if _minutes(zone, after) != minutes:
            steps = range(int(timedelta(1) / _MINUTE) + 1)
            since = moment + _MINUTE * bisect_right(
                steps, False, key=lambda n: _minutes(zone, moment + _MINUTE * n) != minutes
            )
            minutes = _minutes(zone, since)
            yield since.replace(tzinfo=None), minutes
        moment = after


def _minutes(zone: ZoneInfo, moment: datetime) -> int:
    ahead = moment.astimezone(zone).utcoffset() or timedelta()
    return round(ahead / timedelta(minutes=1))


def _nearest(name: str, known: list[str]) -> list[str]:
    """Names like it, or of a city like it."""
    spoken = {zone.lower(): zone for zone in known}
    cities = {zone.lower().rpartition("/")[2]: zone for zone in reversed(known)}
    text = name.strip().lower().replace(" ", "_")
    found = [spoken[zone] for zone in get_close_matches(text, spoken, _NEAREST, 0.7)]
    found += [cities[city] for city in get_close_matches(text, cities, _NEAREST, 0.7)]
    return list(dict.fromkeys(found))[:_NEAREST]
