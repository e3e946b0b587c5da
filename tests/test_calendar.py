"""Calendars: holidays of countries, and files of events with all their mistakes told at once."""

from datetime import date

import pytest

from toolkit.data.calendar import HOLIDAYS, Calendar, Event, calendar_of, read_events
from toolkit.errors import ArgumentError, DataError

AS_OF = date(2018, 7, 1)


def found(calendar, first, last, as_of_date=AS_OF):
    return [(e.first, e.kind) for e in calendar.between(first, last, as_of_date)]


@pytest.fixture
def file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "events.csv"
        path.write_text(text, encoding)
        return path

    return write


def test_holidays_of_a_country_with_names_that_are_the_same_each_year():
    july = date(2020, 7, 1), date(2021, 7, 31)
    assert found(calendar_of(["US"]), *july)[:2] == [
        (date(2020, 7, 3), "US Independence Day"),  # observed
        (date(2020, 7, 4), "US Independence Day"),
    ]
    assert {e.group for e in calendar_of(["US"]).between(*july, AS_OF)} == {HOLIDAYS}


def test_holidays_of_two_countries_on_one_day_are_two():
    christmas = (date(2018, 12, 25),) * 2
    assert [kind for _, kind in found(calendar_of(["GB-ENG", "US"]), *christmas)] == [
        "GB-ENG Christmas Day", "US Christmas Day",
    ]  # fmt: skip


def test_countries_that_are_unknown_or_overlap_are_all_told():
    with pytest.raises(ArgumentError) as error:
        calendar_of(["XX", "US", "US-TX", "DE-ZZ"])
    told = str(error.value).splitlines()
    assert told[0].startswith("country 'XX' is unknown: ISO 3166 codes are known")
    assert told[1].startswith("DE has no part 'ZZ'; known parts: BB, BE, BW")
    assert told[2] == "countries US and US-TX overlap: name one of them"
    assert len(told) == 3


def test_events_of_a_file(file):
    path = file(
        "date;kind;last_date;group;announced\n"
        "2018-03-01;fair;2018-03-03;;\n\n"
        "2018-05-02;strike;;trouble;2018-04-30\n",
        "utf-8-sig",
    )
    assert read_events(path) == (
        Event(date(2018, 3, 1), date(2018, 3, 3), "fair", "fair"),
        Event(date(2018, 5, 2), date(2018, 5, 2), "strike", "trouble", date(2018, 4, 30)),
    )
    assert read_events(file("date,kind\n")) == ()


def test_events_between_days_and_known_by_then(file):
    lines = "2018-03-01,fair,2018-03-03,\n2018-05-02,strike,,2018-04-30\n"
    calendar = calendar_of((), file("date,kind,last_date,announced\n" + lines))
    march = date(2018, 3, 3), date(2018, 3, 9)
    assert found(calendar, *march) == [(date(2018, 3, 1), "fair")]
    assert found(calendar, date(2018, 3, 4), date(2018, 3, 9)) == []
    may = date(2018, 5, 1), date(2018, 5, 31)
    assert found(calendar, *may, date(2018, 5, 1)) == [(date(2018, 5, 2), "strike")]
    assert found(calendar, *may, date(2018, 4, 30)) == []


def test_all_mistakes_in_a_file_are_told_at_once(file):
    path = file(
        "date,kind,last_date,group,announced\n"
        "2018-13-01,fair,,,\n"
        ",fair,,,\n"
        "2018-03-01,,,,\n"
        "2018-03-01,fair,2018-02-01,,\n"
        "2018-03-01,fair,2020-02-01,,\n"
        "2018-03-01,fair,,sales,soon\n"
        "2018-04-01,sale,,a,\n"
        "2018-04-01,sale,,a,2018-01-01\n"
        "2018-05-01,sale,,b,\n"
        '2018-06-01,"trade\nfair",,,\n'
    )
    with pytest.raises(DataError) as error:
        read_events(path)
    assert [str(finding) for finding in error.value.findings] == [
        "events.csv: date has to be a date as 2019-04-01 (1 row; e.g. line 2: '2018-13-01')",
        "events.csv: date is empty (1 row; e.g. line 3)",
        "events.csv: kind is empty (1 row; e.g. line 4)",
        "events.csv: last_date has to be on or after date, and within 366 days "
        "(2 rows; e.g. line 5: 2018-03-01 to 2018-02-01, line 6: 2018-03-01 to 2020-02-01)",
        "events.csv: announced has to be a date as 2019-04-01 (1 row; e.g. line 7: 'soon')",
        "events.csv: kind has to be one line (1 row; e.g. line 12: 'trade\\nfair')",
        "events.csv: an event appears more than once (1 row; e.g. line 9: 'sale')",
        "events.csv: a kind has two groups (1 row; e.g. line 10: 'sale')",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "column date is missing"),
        ("date,kind,knd\n", "column 'knd' is unknown; did you mean 'kind'?"),
        ("date,kind,kind\n", "column kind appears twice"),
        ("date,kind\n2018-01-01\n", "a line has not the 2 fields of the first one"),
    ],
)
def test_a_file_of_another_form(file, text, said):
    with pytest.raises(DataError, match=f"events.csv: {said}".replace("?", r"\?")):
        read_events(file(text))


def test_a_file_that_is_not_there_or_no_text(tmp_path, file):
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_events(tmp_path / "none.csv")
    with pytest.raises(ArgumentError, match="is no CSV file in UTF-8"):
        read_events(file("date,kind\n2018-01-01,Café\n", "latin-1"))


def test_equal_calendars_are_called_the_same(file):
    path = file("date,kind\n2018-03-01,fair\n")
    one = calendar_of(["US-TX", "US-TX"], path)
    assert str(one) == str(calendar_of(["US-TX"], path)) == "US-TX; 1 event, " + str(one)[-8:]
    other = calendar_of(["US-TX"], file("date,kind\n2018-03-02,fair\n"))
    assert str(other) != str(one)
    assert str(Calendar()) == "none"
