"""How stock is reviewed and delivered, and what its level has to reach.

Terms are those of Silver, Pyke & Thomas (2017), *Inventory and Production Management in Supply
Chains*, 4th ed., doi:10.1201/9781315374406, chapters 6 and 9.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toolkit.data.tables import DAYS_PER_WEEK
from toolkit.errors import ArgumentError
from toolkit.stages.arguments import MAX_WEEKS

type LeadTime = int | Mapping[int, float]
"""Days from an order to its delivery; or possible days, each with its probability."""

type Target = Literal["service_level", "fill_rate", "costs"]

MAX_DAYS = DAYS_PER_WEEK * MAX_WEEKS
"""Lead time and review period together: demand is not forecast further ahead."""

SUM_TOLERANCE = 1e-6
"""Probabilities of a lead time may add up to 1 within this."""

_REACHED: dict[Target, str] = {
    "service_level": "service_level",
    "fill_rate": "fill_rate",
    "costs": "shortage_cost with holding_cost",
}


@dataclass(frozen=True, slots=True)
class ReplenishmentPolicy:
    """Periodic review with an order-up-to level, (R, S): what is ordered when, and what for.

    Every ``review_days`` (R, a whole number of days, 1 or more) one may order; what is ordered
    arrives ``lead_time_days`` (L) later, 0 or more: a whole number of days, or a table of them with
    probabilities, ``{10: 0.2, 14: 0.8}``. An order of now has to last until the next one arrives,
    R + L days from now: the protection interval, at most 728 days.

    The target is one of three:

    - ``service_level``: the cycle service level (type 1, P₁): P(no shortage until the next delivery
      after this one), between 0 and 1;
    - ``fill_rate`` (type 2, P₂): share of the demand between this delivery and the next that is
      served from stock at once, between 0 and 1;
    - ``shortage_cost`` of a unit that is short against ``holding_cost`` of a unit that is left when
      the next delivery arrives, both above 0, in any one currency: the newsvendor's ratio,
      shortage / (shortage + holding), is then the cycle service level.

    What is short waits for the next delivery (backorders). Where it is lost instead, levels are
    higher than need be, the more so the longer the lead time: demand that was lost no longer draws
    on later stock (Bijvank & Vis 2011, doi:10.1016/j.ejor.2011.02.004).

    ``ArgumentError`` lists all that is out of range.

    >>> ReplenishmentPolicy(14, 7, shortage_cost=19.0, holding_cost=1.0).level
    0.95
    """

    lead_time_days: LeadTime
    review_days: int = DAYS_PER_WEEK
    service_level: float | None = None
    fill_rate: float | None = None
    shortage_cost: float | None = None
    holding_cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range, all of it at once; plain numbers, whatever they came as."""
        found = [
            *lead_time_mistakes(self.lead_time_days),
            *review_mistakes(self.review_days),
            *self._target_mistakes(),
        ]
        if not found:
            found = span_mistakes(self.lead_time_days, self.review_days)
        if found:
            raise ArgumentError("\n".join(found))
        for name in self.__slots__:
            object.__setattr__(self, name, _plain(getattr(self, name)))

    @property
    def target(self) -> Target:
        """Which of the three targets it has."""
        return self._targets()[0]

    @property
    def level(self) -> float:
        """The cycle service level, or the fill rate, to be reached."""
        if self.shortage_cost is not None and self.holding_cost is not None:
            return self.shortage_cost / (self.shortage_cost + self.holding_cost)
        return self.service_level or self.fill_rate or math.nan

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON: what was given, the target and its level."""
        lead = self.lead_time_days
        given = {
            "lead_time_days": {str(day): p for day, p in sorted(lead.items())}
            if isinstance(lead, Mapping)
            else lead,
            "review_days": self.review_days,
            "service_level": self.service_level,
            "fill_rate": self.fill_rate,
            "shortage_cost": self.shortage_cost,
            "holding_cost": self.holding_cost,
        }
        return {name: value for name, value in given.items() if value is not None}

    def __str__(self) -> str:
        """In a line, as displays show it."""
        reached: dict[Target, str] = {
            "service_level": f"cycle service level {self.level:.4g}",
            "fill_rate": f"fill rate {self.level:.4g}",
            "costs": (
                f"shortage costs {self.shortage_cost or 0:g} and holding {self.holding_cost or 0:g}"
                f" a unit: cycle service level {self.level:.4g}"
            ),
        }
        lead = lead_time_text(self.lead_time_days)
        return f"lead time {lead}, review every {self.review_days} days, {reached[self.target]}"

    def _targets(self) -> list[Target]:
        costs = self.shortage_cost is not None or self.holding_cost is not None
        given: dict[Target, bool] = {
            "service_level": self.service_level is not None,
            "fill_rate": self.fill_rate is not None,
            "costs": costs,
        }
        return [name for name, is_given in given.items() if is_given]

    def _target_mistakes(self) -> list[str]:
        targets = self._targets()
        shares = {"service_level": self.service_level, "fill_rate": self.fill_rate}
        costs = {"shortage_cost": self.shortage_cost, "holding_cost": self.holding_cost}
        found = []
        if len(targets) != 1:
            received = " and ".join(_REACHED[name] for name in targets) or "none"
            found.append(
                f"the target has to be one of {', '.join(_REACHED.values())}, got {received}"
            )
        found += [
            f"{name} has to be a number between 0 and 1, got {value!r}"
            for name, value in shares.items()
            if value is not None and not (_is_number(value) and 0 < value < 1)
        ]
        if "costs" in targets:
            found += [
                f"{name} has to be a number above 0, got {value!r}"
                for name, value in costs.items()
                if not (_is_number(value) and value is not None and value > 0)
            ]
        return found


def parse_lead_time(text: str) -> LeadTime:
    """A lead time as people write it: ``14``, or days with probabilities, ``10:0.2,14:0.8``.

    Raises ``ArgumentError`` that lists all that is wrong with it.

    >>> parse_lead_time("14"), parse_lead_time("10:0.2, 14:0.8")
    (14, {10: 0.2, 14: 0.8})
    """
    try:
        if ":" not in text:
            lead: LeadTime = _whole(text)
        else:
            parts = [part.split(":") for part in text.split(",")]
            lead = {_whole(day): float(p) for day, p in parts}
            if len(lead) != len(parts):
                raise ArgumentError(f"lead_time_days names a number of days twice, got {text!r}")
    except ValueError as exc:
        if isinstance(exc, ArgumentError):
            raise
        raise ArgumentError(
            "lead_time_days has to be a whole number of at least 0, or days with probabilities as "
            f"10:0.2,14:0.8, got {text!r}"
        ) from None
    if found := lead_time_mistakes(lead):
        raise ArgumentError("\n".join(found))
    return lead


def lead_time_text(lead: LeadTime) -> str:
    """A lead time in words.

    >>> lead_time_text(14), lead_time_text({10: 0.2, 14: 0.8})
    ('14 days', '10 days (20 %) or 14 days (80 %)')
    """
    if isinstance(lead, Mapping):
        return " or ".join(f"{day} days ({100 * p:.3g} %)" for day, p in sorted(lead.items()))
    return f"{lead} day{'' if lead == 1 else 's'}"


def possible_days(lead: LeadTime) -> dict[int, float]:
    """The days that a lead time may take, ascending, and the probability of each."""
    if not isinstance(lead, Mapping):
        return {lead: 1.0}
    total = math.fsum(lead.values())
    return {day: lead[day] / total for day in sorted(lead) if lead[day] > 0}


def lead_time_mistakes(lead: object) -> list[str]:
    """What is wrong with a lead time, a sentence each."""
    if not isinstance(lead, Mapping):
        return [] if _is_whole(lead, 0) else [f"lead_time_days {_NOT_WHOLE}, got {lead!r}"]
    found = [f"lead_time_days {_NOT_WHOLE}, got {day!r}" for day in lead if not _is_whole(day, 0)]
    odd = [p for p in lead.values() if not (_is_number(p) and 0 <= p <= 1)]
    found += [f"a probability of lead_time_days has to lie from 0 to 1, got {p!r}" for p in odd]
    if not odd and abs(math.fsum(lead.values()) - 1) > SUM_TOLERANCE:
        total = math.fsum(lead.values())
        found.append(f"probabilities of lead_time_days have to add up to 1, got {total:g}")
    return found


def review_mistakes(days: object) -> list[str]:
    """What is wrong with a review period, a sentence at most."""
    if _is_whole(days, 1):
        return []
    return [f"review_days has to be a whole number of at least 1, got {days!r}"]


def span_mistakes(lead: LeadTime, review_days: int) -> list[str]:
    """Whether the protection interval is longer than forecasts reach, a sentence at most."""
    days = max(possible_days(lead)) + review_days
    if days <= MAX_DAYS:
        return []
    return [
        f"lead_time_days and review_days have to be at most {MAX_DAYS} days together, got {days}"
    ]


_NOT_WHOLE = "has to be a whole number of at least 0"


def _whole(text: str) -> int:
    """A whole number; 14.0 is one."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _is_whole(value: object, low: int) -> bool:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        return False
    return int(value) >= low


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def _plain(value: object) -> object:
    """Numbers of NumPy's as Python has them."""
    if isinstance(value, Mapping):
        return {_plain(day): _plain(p) for day, p in value.items()}
    return value.item() if isinstance(value, np.generic) else value
