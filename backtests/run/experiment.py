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
    pairs = 20000                # fit settings: pairs, draws, tune, chains, seed
    prior.shape = [0.0, 0.5]     # in place of the default prior of a parameter

    [thresholds]
    min_orders = [1, 2, 3]
    min_confidence = [0.0, 0.3]

    [slices]                     # lower bounds of the classes of pairs
    order_count = [1, 2, 4]
    customer_age_days = [0, 90]
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path, PurePath
from typing import Any, Literal

from backtests.run.toml_table import Problems, TomlTable
from backtests.thresholds.frontier import ThresholdGrid
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.errors import ArgumentError
from toolkit.stages.arguments import MAX_WEEKS

type Policy = Literal["refit", "condition", "frozen"]

POLICIES: tuple[Policy, ...] = ("refit", "condition", "frozen")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """A version under test: a model, how it is fitted, and the label it goes by.

    ``pairs``, ``draws``, ``tune``, ``chains`` are its fit's; None leaves them to the model.
    """

    label: str
    model: str
    refit: Policy
    seed: int
    pairs: int | None = None
    draws: int | None = None
    tune: int | None = None
    chains: int | None = None
    prior: tuple[tuple[str, tuple[float, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class DateRule:
    """As-of dates: a list, or from ``start`` to ``stop``, or the ``last`` with a whole horizon."""

    listed: tuple[date, ...] = ()
    start: date | None = None
    stop: date | None = None
    last: int | None = None
    step_weeks: int = 4

    def resolve(self, last_date: date, horizon_weeks: int) -> tuple[date, ...]:
        """The dates, ascending; ``last_date`` is the last day of the data."""
        if self.listed:
            return tuple(sorted(set(self.listed)))
        step = timedelta(weeks=self.step_weeks)
        if self.last is not None:
            newest = last_date + timedelta(1) - timedelta(weeks=horizon_weeks)
            newest -= timedelta(newest.weekday())  # weeks begin on Mondays
            return tuple(newest - step * i for i in reversed(range(self.last)))
        if self.start is None or self.stop is None:
            raise ArgumentError("dates need a list, or start and stop, or last")
        count = (self.stop - self.start) // step + 1
        return tuple(self.start + step * i for i in range(count))


@dataclass(frozen=True, slots=True)
class Slices:
    """Lower bounds of the classes by which pairs are told apart, ascending."""

    order_count: tuple[int, ...] = (1, 2, 4, 8, 16)
    customer_age_days: tuple[int, ...] = (0, 91, 182, 365, 730)


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a backtest is to do; see the module's docstring."""

    name: str
    database: Path | None
    dates: DateRule
    versions: tuple[VersionSpec, ...]
    horizon_weeks: int = WEEKS
    draws: int = DRAWS
    seed: int = SEED
    share_of_products: float = 1.0
    pairs_per_shard: int = 8000
    thresholds: ThresholdGrid = field(default_factory=ThresholdGrid)
    slices: Slices = field(default_factory=Slices)

    def at(self, dates: Sequence[date]) -> "Experiment":
        """The same with its dates listed."""
        return replace(self, dates=DateRule(listed=tuple(dates)))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; ``database`` is left out: the data's content counts, not its place."""
        content = asdict(self)
        del content["database"]
        dates = content.pop("dates")
        given = {k: v for k, v in dates.items() if v not in (None, ())}
        content["dates"] = [d.isoformat() for d in self.dates.listed] or {
            k: v.isoformat() if isinstance(v, date) else v for k, v in given.items()
        }
        return content


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file.

    Raises ``ArgumentError`` with every mistake in it: unknown keys and the nearest known, values
    of the wrong kind or out of range, labels that occur twice.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ArgumentError(f"there is no experiment {path}: {exc}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ArgumentError(f"{path} is no TOML: {exc}") from exc
    return parse_experiment(content, str(path))


def parse_experiment(content: dict[str, Any], where: str) -> Experiment:
    """As ``read_experiment``, from what the file holds; ``where`` names it in messages."""
    problems = Problems()
    top = TomlTable(content, "", problems)
    name, database = top.text("name"), top.text("database", "")
    horizon = top.whole("horizon_weeks", WEEKS, 1, MAX_WEEKS)
    draws, seed = top.whole("draws", DRAWS, 1), top.whole("seed", SEED, 0)
    policy = top.choice("refit", POLICIES, "condition")
    share = top.share("share_of_products", 1.0)
    shard = top.whole("pairs_per_shard", 8000, 1)
    dates = _dates(top.table("dates", required=True), problems)
    versions = tuple(_version(table, seed, policy) for table in top.tables("versions"))
    thresholds = _thresholds(top.table("thresholds"))
    slices = _slices(top.table("slices"))
    top.finish()
    if name and not _NAME.fullmatch(name):
        problems.add("name", f"has to be letters, digits, '_', '-', '.', got {name!r}")
    _check_labels(versions, problems)
    problems.raise_if_any(where)
    return Experiment(
        name=name,
        database=Path(database) if database else None,
        dates=dates,
        versions=versions,
        horizon_weeks=horizon,
        draws=draws,
        seed=seed,
        share_of_products=share,
        pairs_per_shard=shard,
        thresholds=thresholds,
        slices=slices,
    )


def _dates(table: TomlTable, problems: Problems) -> DateRule:
    listed = table.days("list")
    start, stop = table.day("start"), table.day("stop")
    last = table.optional_whole("last", 1)
    step = table.whole("step_weeks", 4, 1)
    table.finish()
    ways = ["list" in table.content, start is not None or stop is not None, last is not None]
    if sum(ways) != 1 and table.content:
        problems.add("dates", "has to hold list, or start and stop, or last: one of the three")
    elif ways[1] and (start is None or stop is None or stop < start):
        problems.add("dates", f"start and stop have to be dates in order, got {start} and {stop}")
    return DateRule(listed, start, stop, last, step)


def _version(table: TomlTable, seed: int, policy: Policy) -> VersionSpec:
    model = table.text("model")
    version = VersionSpec(
        label=table.text("label", _label(model)),
        model=model,
        refit=table.choice("refit", POLICIES, policy),
        seed=table.whole("seed", seed, 0),
        pairs=table.optional_whole("pairs", 1),
        draws=table.optional_whole("draws", 4),
        tune=table.optional_whole("tune", 50),
        chains=table.optional_whole("chains", 2),
        prior=table.numbers("prior"),
    )
    if version.label and not _NAME.fullmatch(version.label):
        table.problem("label", f"has to be letters, digits, '_', '-', '.', got {version.label!r}")
    if "@" in model and version.refit != "frozen":
        table.problem("model", f'{model!r} names a fit: this needs refit = "frozen"')
    table.finish()
    return version


def _label(model: str) -> str:
    """What a version goes by: its model's name, or that of the file it is in."""
    return PurePath(model.partition(":")[0]).stem if ":" in model else model.replace("@", "-")


def _check_labels(versions: Sequence[VersionSpec], problems: Problems) -> None:
    if not versions:
        problems.add("versions", "is missing: at least one [[versions]] is needed")
    labels = [version.label for version in versions]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        problems.add("versions", f"label {label!r} occurs {labels.count(label)} times")


def _thresholds(table: TomlTable) -> ThresholdGrid:
    default = ThresholdGrid()
    grid = ThresholdGrid(
        table.wholes("min_orders", default.min_orders, 1),
        table.shares("min_confidence", default.min_confidence),
    )
    table.finish()
    return grid


def _slices(table: TomlTable) -> Slices:
    default = Slices()
    slices = Slices(
        table.wholes("order_count", default.order_count, 1),
        table.wholes("customer_age_days", default.customer_age_days, 0),
    )
    table.finish()
    return slices
