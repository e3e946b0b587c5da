"""A fingerprint is of what was ordered, not of the date it is told from."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from toolkit.data import fingerprint
from toolkit.data.fingerprint import Fingerprint
from toolkit.data.tables import OrderEvents
from toolkit.errors import ArgumentError
from toolkit.validation import plain

EVENTS = OrderEvents(
    date(2024, 1, 1),
    np.array([1, 1, 2]),
    np.array([7, 8, 7]),
    np.array([-30, -1, -5]),
    np.array([1.0, 2.5, 4.0]),
)

LATER = EVENTS.as_of_date + timedelta(9)


def test_it_says_how_much_of_what_and_when():
    found = plain(Fingerprint.of(EVENTS))
    assert len(str(found.pop("sha256"))) == 64
    assert found == {
        "rows": 3,
        "customers": 2,
        "products": 2,
        "first_date": "2023-12-02",
        "last_date": "2023-12-31",
    }


def test_the_same_orders_have_the_same_from_another_date():
    later = replace(EVENTS, as_of_date=EVENTS.as_of_date + timedelta(9), day=EVENTS.day - 9)
    assert Fingerprint.of(later) == Fingerprint.of(EVENTS)


@pytest.mark.parametrize("column", ["product_id", "customer_id", "day", "quantity"])
def test_any_other_number_makes_another_digest(column):
    changed = getattr(EVENTS, column) - np.array([0, 1, 0])
    other = Fingerprint.of(replace(EVENTS, **{column: changed}))
    assert other.sha256 != Fingerprint.of(EVENTS).sha256


def test_no_orders_have_none():
    with pytest.raises(ArgumentError, match="no orders before 2024-01-01"):
        Fingerprint.of(EVENTS.where(np.zeros(3, dtype=bool)))


@pytest.mark.parametrize("cuts", [[2], [0, 2, 3]])
def test_of_parts_it_is_that_of_the_whole(cuts, monkeypatch):
    monkeypatch.setattr(fingerprint, "SPOOLED_BYTES", 5)
    rows = np.arange(3)
    first, *others = (np.isin(rows, part) for part in np.split(rows, cuts))
    parts = [EVENTS.where(first), *(replace(EVENTS.where(o), as_of_date=LATER) for o in others)]
    parts[1:] = [replace(part, day=part.day - 9) for part in parts[1:]]
    assert Fingerprint.of_parts(parts) == Fingerprint.of(EVENTS)


def test_of_no_parts_there_is_none():
    with pytest.raises(ArgumentError, match="there are no orders"):
        Fingerprint.of_parts([])
