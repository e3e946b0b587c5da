"""Experiments: what a backtest is to do, read from TOML, every mistake told at once.

.. code-block:: toml

    name = "versions"            # names the run folder
    database = "orders.duckdb"   # an address that `--db` overrides
    horizon_weeks = 12
    draws = 200                  # predictive draws per pair
    seed = 20251111
    refit = "condition"          # or "refit", "frozen"; a version may say otherwise
    share_of_products = 1.0      # predict a random part of them, for a first look
    pairs_per_shard = 8000       # bounds the memory; changes no result

    [dates]                      # list = [2019-04-01], or start, stop and step_weeks, or:
    last = 12                    # the last so many Mondays with a whole horizon after them,
    step_weeks = 4               # so many weeks apart

    [[versions]]
    model = "pooled_gamma"       # frozen: "pooled_gamma@VERSION", a fit in `--fits`
    label = "pooled"             # the model, if not given
    pairs = 20000                # fit settings: pairs, draws, tune, chains, method, seed
    prior.shape = [0.0, 0.5]     # in place of the default prior of a parameter

    [calendar]                   # days on which business is not as usual
    countries = ["US-TX"]        # whose public holidays count
    events = "events.csv"        # others, see toolkit.data.calendar.read_events

    [thresholds]
    min_orders = [1, 2, 3]
    min_confidence = [0.0, 0.3]

    [slices]                     # lower bounds of the classes of pairs
    order_count = [1, 2, 4]
    customer_age_days = [0, 90]
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path, PurePath
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from backtests.scores.summaries import Slices
from backtests.thresholds.frontier import ThresholdGrid
from toolkit.data.calendar import NO_CALENDAR, Calendar, read_events, wrong_countries
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.errors import ToolkitError
from toolkit.model import Method
from toolkit.stages.arguments import MAX_WEEKS
from toolkit.validation import CLOSED, Json, has_to_be, parse, read_toml

type Policy = Literal["refit", "condition", "frozen"]
type Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"),
    has_to_be("letters, digits, '_', '-', '.'"),
]
type Count = Annotated[int, Field(ge=1)]
type Seed = Annotated[int, Field(ge=0)]
type Dates = Annotated[tuple[date, ...], has_to_be("a list of dates as 2019-04-01")]
type Numbers = Annotated[
    tuple[float, ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else (value,)),
    Field(min_length=1),
]
type Prior = Annotated[Mapping[str, Numbers], has_to_be("a table of numbers or lists of them")]

POLICIES: tuple[Policy, ...] = get_args(Policy.__value__)
POLICY: Policy = "condition"


def _label(version: Json) -> str:
    """What a version goes by: its model's name, or that of the file it is in."""
    model = str(version.get("model", ""))
    return PurePath(model.partition(":")[0]).stem if ":" in model else model.replace("@", "-")


@dataclass(frozen=True, slots=True, config=CLOSED)
class VersionSpec:
    """A version under test: a model, how it is fitted, and the label it goes by.

    ``pairs``, ``draws``, ``tune``, ``chains``, ``method`` are its fit's; None leaves them to the
    model.
    """

    model: Annotated[str, Field(min_length=1)]
    label: Name = Field(default_factory=_label)
    refit: Policy = POLICY
    seed: Seed = SEED
    pairs: Count | None = None
    draws: Annotated[int, Field(ge=4)] | None = None
    tune: Annotated[int, Field(ge=50)] | None = None
    chains: Annotated[int, Field(ge=2)] | None = None
    method: Method | None = None
    prior: Prior = Field(default_factory=dict)

    @field_validator("refit")
    @classmethod
    def _fits_are_frozen(cls, refit: Policy, known: ValidationInfo) -> Policy:
        model = known.data.get("model", "")
        if "@" in model and refit != "frozen":
            raise ValueError(f'{model!r} names a fit: this needs refit = "frozen"')
        return refit


@dataclass(frozen=True, slots=True, config=CLOSED)
class DateRule:
    """As-of dates: a list, or from ``start`` to ``stop``, or the ``last`` with a whole horizon."""

    list: Dates = ()
    start: date | None = None
    stop: date | None = None
    last: Count | None = None
    step_weeks: Count = 4

    def __post_init__(self) -> None:
        """One of the three."""
        span = self.start is not None or self.stop is not None
        if sum((bool(self.list), span, self.last is not None)) != 1:
            raise ValueError("has to hold list, or start and stop, or last: one of the three")
        if span and (self.start is None or self.stop is None or self.stop < self.start):
            said = f"got {self.start} and {self.stop}"
            raise ValueError(f"start and stop have to be dates in order, {said}")

    def resolve(self, last_date: date, horizon_weeks: int) -> tuple[date, ...]:
        """The dates, ascending; ``last_date`` is the last day of the data."""
        step = timedelta(weeks=self.step_weeks)
        if self.last is not None:
            newest = last_date + timedelta(1) - timedelta(weeks=horizon_weeks)
            newest -= timedelta(newest.weekday())  # weeks begin on Mondays
            return tuple(newest - step * i for i in reversed(range(self.last)))
        if self.start is None or self.stop is None:
            return tuple(sorted(set(self.list)))
        count = (self.stop - self.start) // step + 1
        return tuple(self.start + step * i for i in range(count))


@dataclass(frozen=True, slots=True, config=CLOSED)
class Experiment:
    """What a backtest is to do; see the module's docstring."""

    name: Name
    dates: DateRule
    versions: tuple[VersionSpec, ...]
    database: Path | None = None
    horizon_weeks: Annotated[int, Field(ge=1, le=MAX_WEEKS)] = WEEKS
    draws: Count = DRAWS
    seed: Seed = SEED
    refit: Policy = POLICY
    share_of_products: Annotated[float, Field(gt=0, le=1)] = 1.0
    pairs_per_shard: Count = 8000
    thresholds: ThresholdGrid = Field(default_factory=ThresholdGrid)
    slices: Slices = Field(default_factory=Slices)
    calendar: Calendar = NO_CALENDAR

    @field_validator("calendar")
    @classmethod
    def _countries_are_known(cls, calendar: Calendar) -> Calendar:
        wrong = wrong_countries(calendar.countries)
        if wrong:
            raise ValueError("; ".join(wrong))
        return calendar

    @field_validator("versions")
    @classmethod
    def _labels_differ(cls, versions: tuple[VersionSpec, ...]) -> tuple[VersionSpec, ...]:
        labels = [version.label for version in versions]
        twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
        if not versions:
            raise ValueError("is missing: at least one [[versions]] is needed")
        if twice:
            told = (f"label {label!r} occurs {labels.count(label)} times" for label in twice)
            raise ValueError("; ".join(told))
        return versions

    def at(self, dates: Sequence[date]) -> "Experiment":
        """The same with its dates listed."""
        return replace(self, dates=DateRule(list=tuple(dates)))


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file.

    Raises ``ArgumentError`` with every mistake in it: unknown keys and the nearest known, values
    of the wrong kind or out of range, labels that occur twice.
    """
    return parse_experiment(read_toml(path), str(path))


def parse_experiment(content: Mapping[str, object], where: str) -> Experiment:
    """As ``read_experiment``, from what the file holds; ``where`` names it in messages."""
    known = {**content, "versions": _versions(content)}
    calendar, wrong = content.get("calendar"), []
    if isinstance(calendar, dict) and isinstance(calendar.get("events"), str):
        try:
            events = [asdict(event) for event in read_events(Path(calendar["events"]))]
        except ToolkitError as exc:
            events, wrong = [], [f"calendar.events: {exc}"]
        known["calendar"] = {**calendar, "events": events}
    return parse(Experiment, known, where, more=wrong)


def _versions(content: Mapping[str, object]) -> object:
    """The versions; those that name no ``refit`` or ``seed`` have the experiment's."""
    refit, seed = content.get("refit"), content.get("seed")
    usual = {
        "refit": refit if refit in POLICIES else POLICY,
        "seed": seed if type(seed) is int and seed >= 0 else SEED,
    }
    versions = content.get("versions", [])
    if not isinstance(versions, list):
        return versions
    return [usual | one if isinstance(one, dict) else one for one in versions]
