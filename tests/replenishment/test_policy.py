"""What a policy may be, and all that is wrong with one."""

import json

import numpy as np
import pytest

from toolkit.errors import ArgumentError
from toolkit.replenishment.policy import ReplenishmentPolicy, parse_lead_time, possible_days


def test_costs_stand_for_the_newsvendors_ratio():
    policy = ReplenishmentPolicy(14, shortage_cost=3.0, holding_cost=1.0)
    assert (policy.target, policy.level) == ("costs", 0.75)
    assert "cycle service level 0.75" in str(policy)


def test_a_table_of_lead_times_is_kept_and_sorted():
    policy = ReplenishmentPolicy({21: 0.2, 14: 0.8}, fill_rate=0.98)
    assert possible_days(policy.lead_time_days) == {14: 0.8, 21: 0.2}
    assert policy.to_dict() == {
        "lead_time_days": {"14": 0.8, "21": 0.2}, "review_days": 7, "fill_rate": 0.98,
    }  # fmt: skip


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ArgumentError) as caught:
        ReplenishmentPolicy(-3, 0, service_level=1.5, shortage_cost=-1.0)
    said = str(caught.value).splitlines()
    for part in (
        "lead_time_days has to be a whole number of at least 0, got -3",
        "review_days has to be a whole number of at least 1, got 0",
        "the target has to be one of",
        "service_level has to be a number between 0 and 1, got 1.5",
        "shortage_cost has to be a number above 0, got -1.0",
        "holding_cost has to be a number above 0, got None",
    ):
        assert any(part in line for line in said), part
    assert len(said) == 6


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"lead_time_days": 14}, "got none"),
        ({"lead_time_days": 700, "review_days": 60, "fill_rate": 0.9}, "at most 728 days together"),
        ({"lead_time_days": {3: 0.5, 4: 0.4}, "fill_rate": 0.9}, "have to add up to 1, got 0.9"),
        ({"lead_time_days": {3: 1.5, 4: -0.5}, "fill_rate": 0.9}, "has to lie from 0 to 1"),
        ({"lead_time_days": {}, "fill_rate": 0.9}, "have to add up to 1, got 0"),
        ({"lead_time_days": 2.5, "fill_rate": 0.9}, "a whole number of at least 0, got 2.5"),
        ({"lead_time_days": 2, "fill_rate": True}, "between 0 and 1, got True"),
    ],
)
def test_what_is_out_of_range_is_refused(policy, message):
    with pytest.raises(ArgumentError, match=message):
        ReplenishmentPolicy(**policy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1", "of at least 0, got -1"),
        ("soon", "as 10:0.2,14:0.8, got 'soon'"),
        ("inf", "got 'inf'"),
        ("1.5", "got '1.5'"),
        ("10:0.2,14", "got '10:0.2,14'"),
        ("10:0.5,10:0.5", "twice"),
        ("10:0.5,14:0.6", "add up to 1, got 1.1"),
    ],
)
def test_lead_times_that_are_none(text, message):
    with pytest.raises(ArgumentError, match=message):
        parse_lead_time(text)


def test_numbers_of_numpy_are_numbers():
    """And come out as Python's own, ready for JSON."""
    of_numpy = ReplenishmentPolicy(
        {np.int64(3): np.float32(0.5), np.int32(4): np.float64(0.5)}, np.int64(7),
        shortage_cost=np.int64(3), holding_cost=np.float32(1.0),
    )  # fmt: skip
    plain = ReplenishmentPolicy({3: 0.5, 4: 0.5}, 7, shortage_cost=3, holding_cost=1.0)
    assert of_numpy == plain
    assert json.dumps(of_numpy.to_dict()) == json.dumps(plain.to_dict())
    assert ReplenishmentPolicy(np.int64(14), fill_rate=0.9).lead_time_days == 14
    with pytest.raises(ArgumentError, match="of at least 0, got .*-1"):  # noqa: RUF043
        ReplenishmentPolicy(np.int64(-1), fill_rate=0.9)
    with pytest.raises(ArgumentError, match="of at least 1, got .*True"):  # noqa: RUF043
        ReplenishmentPolicy(14, np.bool_(True), fill_rate=0.9)
