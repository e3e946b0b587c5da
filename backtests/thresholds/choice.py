"""``min_orders`` and ``min_confidence`` from evidence, chosen without looking ahead.

**Rule.** The least error among thresholds whose listed pairs hold at least ``min_coverage`` of the
orders of known pairs; of equal errors, the one that covers more. A product gets thresholds of its
own if it has enough history, and if the overall ones cover too little of it or do worse, either
by more than ``margin`` standard errors: the best of sixty looks good by chance alone.

**Dates.** The last dates verify. Others choose only if their horizon had ended by the first of
these, as what happened in it would otherwise be in both. Where that leaves none, all dates choose
and nothing is verified. ``known_before`` is the day from which on a choice may be used.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pydantic

from backtests.scores.score import ScoredRun
from backtests.thresholds.frontier import ERRORS, Counts, ThresholdGrid, count_listed
from toolkit.card import Card, Figure, Grid, Shown
from toolkit.data.defaults import MIN_COVERAGE
from toolkit.data.tables import Floats
from toolkit.errors import ArgumentError
from toolkit.stages.arguments import check_share, check_whole
from toolkit.stages.listing import OwnThresholds, Thresholds
from toolkit.validation import Json, load, plain


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """How thresholds are chosen; see the module's docstring and ``thresholds.frontier``."""

    error: str = "miss"
    min_coverage: float = MIN_COVERAGE
    min_rows: int = 400  # scored rows of a product's list, and of any list at all
    margin: float = 2.0  # standard errors

    def __post_init__(self) -> None:
        """``ArgumentError`` for what makes no sense."""
        if self.error not in ERRORS:
            raise ArgumentError(f"error has to be one of {', '.join(ERRORS)}, got {self.error!r}")
        check_share("min_coverage", self.min_coverage)
        check_whole("min_rows", self.min_rows, 1)
        if not self.margin >= 0:
            raise ArgumentError(f"margin has to be 0 or more, got {self.margin!r}")

    def least_coverage(self, pairs: float) -> float:
        """Coverage of a product of ``pairs`` that is below ``min_coverage`` beyond noise."""
        spread = self.min_coverage * (1 - self.min_coverage) / max(pairs, 1.0)
        return self.min_coverage - self.margin * math.sqrt(spread)


@dataclass(frozen=True, slots=True)
class Quality:
    """What thresholds brought at some dates; ``error`` is the rule's, None where nothing counts."""

    demand_coverage: float | None
    error: float | None
    pairs: int


@pydantic.dataclasses.dataclass(frozen=True, slots=True)
class ThresholdChoice(Shown):
    """Thresholds for a version, and what speaks for them.

    ``by_product`` holds the products whose thresholds are not the overall ones. ``chosen``,
    ``verified`` are the overall thresholds at the dates that chose and that verify,
    ``verified_by_product`` is with each product's own; None where no date verifies.
    """

    version: str
    rule: ThresholdRule
    overall: Thresholds
    by_product: Mapping[int, OwnThresholds]
    chosen_on: tuple[date, ...]
    verified_on: tuple[date, ...]
    known_before: date
    feasible: bool  # some thresholds reached the coverage; else those that cover most
    chosen: Quality
    verified: Quality | None
    verified_by_product: Quality | None

    def of(self, product_id: int) -> Thresholds:
        """The thresholds of a product."""
        return self.by_product.get(product_id, self.overall)

    def __str__(self) -> str:
        """A sentence or two: what was chosen, and on what it was verified."""
        text = (
            f"{self.version}: min_orders {self.overall.min_orders} and min_confidence "
            f"{self.overall.min_confidence:g}, chosen on {_dates(self.chosen_on)}"
        )
        if not self.feasible:
            covered = f"{100 * self.rule.min_coverage:.0f} %"
            text += f", which list most: none reaches {covered} of orders"
        if self.by_product:
            own = len(self.by_product)
            text += f"; {own:,} product{'s have' if own > 1 else ' has'} thresholds of their own"
        if self.verified is None:
            return f"{text}. Not verified: no date's horizon ended before a later date began."
        return f"{text}, verified on {_dates(self.verified_on)}."

    def __repr__(self) -> str:
        """What was chosen; not every product's own."""
        return (
            f"<ThresholdChoice for {self.version}: min_orders {self.overall.min_orders}, "
            f"min_confidence {self.overall.min_confidence:g}, "
            f"{len(self.by_product):,} products with their own>"
        )

    def to_card(self) -> Card:
        """What was chosen, and what it brings on the dates that chose and on later ones."""
        heads = ("on", "orders covered", ERRORS[self.rule.error])
        found = {"the dates that chose": self.chosen, "later dates": self.verified}
        if self.by_product:
            found["later dates, each product's own thresholds"] = self.verified_by_product
        rows = [(name, *quality_texts(quality)) for name, quality in found.items()]
        return Card(
            title=f"Thresholds for {self.version}",
            subtitle=f"known before {self.known_before}",
            figures=[
                Figure("min_orders", f"{self.overall.min_orders}"),
                Figure("min_confidence", f"{self.overall.min_confidence:g}"),
                Figure("products with their own", f"{len(self.by_product):,}"),
            ],
            grids=[Grid("What they bring", heads, rows, frozenset(heads[1:])), *_own_grid(self)],
            sentences=[str(self)],
        )

    def to_dict(self) -> Json:
        """Plain data for JSON."""
        return plain(self)


@pydantic.dataclasses.dataclass(frozen=True, slots=True)
class KeptChoices:
    """The choices for the versions of a run, as its folder keeps them."""

    choices: tuple[ThresholdChoice, ...]


def kept_choices(path: Path) -> KeptChoices:
    """The choices in a file; ``ArgumentError`` if it holds none."""
    remedy = "`toolkit thresholds RUN` makes them anew"
    return load(KeptChoices, path, "the thresholds of a run", remedy=remedy)


def choose_thresholds(
    run: ScoredRun,
    version: str,
    rule: ThresholdRule | None = None,
    verify_dates: int | None = None,
    grid: ThresholdGrid | None = None,
) -> ThresholdChoice:
    """Choose thresholds for a version on earlier dates, and verify them on later ones.

    ``verify_dates``: how many of the last dates verify; None: a third, rounded up; 0: none.
    Raises ``ArgumentError`` for an unknown version, one that says nothing of pairs, and more
    verifying dates than there are.
    """
    asked, tried = rule or ThresholdRule(), grid or ThresholdGrid()
    horizon = timedelta(weeks=run.horizon_weeks)
    earlier, later = split_dates(run.dates, horizon, verify_dates)
    counts = count_listed(run, version, earlier, tried)
    best, feasible = _Seen.of(counts.total(), asked).best(0, asked)
    own = _own_cells(counts, best, asked)
    verified = count_listed(run, version, later, tried) if later else None
    return ThresholdChoice(
        version=version,
        rule=asked,
        overall=_thresholds(tried, best),
        by_product={product: _thresholds(tried, cell) for product, cell in own.items()},
        chosen_on=earlier,
        verified_on=later,
        known_before=max(earlier) + horizon,
        feasible=feasible,
        chosen=_quality(counts, best, {}, asked),
        verified=_quality(verified, best, {}, asked) if verified else None,
        verified_by_product=_quality(verified, best, own, asked) if verified else None,
    )


def choose_for_all(
    run: ScoredRun,
    versions: Sequence[str] | None = None,
    rule: ThresholdRule | None = None,
    verify_dates: int | None = None,
    grid: ThresholdGrid | None = None,
) -> tuple[ThresholdChoice, ...]:
    """As ``choose_thresholds``, for ``versions``, or for all that say something of pairs.

    ``ArgumentError`` if none does.
    """
    labels = versions or [
        version
        for version in run.versions
        if any(not run.pairs(version, day, ["confidence"]).dropna().empty for day in run.dates)
    ]
    if not labels:
        raise ArgumentError("no version of the run says anything of pairs")
    return tuple(choose_thresholds(run, label, rule, verify_dates, grid) for label in labels)


def split_dates(
    dates: Sequence[date], horizon: timedelta, verify_dates: int | None = None
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Dates that choose and dates that verify, none of which the choosing ones' horizon reaches.

    >>> days = [date(2024, 1, 1), date(2024, 2, 1), date(2024, 5, 1)]
    >>> split_dates(days, timedelta(weeks=12), 1)[0]
    (datetime.date(2024, 1, 1), datetime.date(2024, 2, 1))
    """
    count = math.ceil(len(dates) / 3) if verify_dates is None else verify_dates
    check_whole("verify_dates", count, 0, len(dates) - (verify_dates is not None))
    later = tuple(dates[len(dates) - count :])
    earlier = tuple(day for day in dates if later and day + horizon <= later[0])
    return (earlier, later) if earlier else (tuple(dates), ())


type GridCell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the rule looks at, [products, orders, confidence]."""

    coverage: Floats
    error: Floats
    rows: Floats

    @classmethod
    def of(cls, counts: Counts, rule: ThresholdRule) -> "_Seen":
        """Of every product."""
        return cls(counts.coverage(), counts.error(rule.error), counts.denominator[rule.error])

    def best(self, row: int, rule: ThresholdRule) -> tuple[GridCell, bool]:
        """The cell of a row that the rule picks, and whether any reaches the coverage."""
        coverage, error = np.nan_to_num(self.coverage[row], nan=-1.0), self.error[row]
        enough = self.rows[row] >= rule.min_rows
        allowed = (coverage >= rule.min_coverage) & enough & np.isfinite(error)
        if not allowed.any():
            return _argmin(-coverage, self.rows[row]), False
        return _argmin(np.where(allowed, error, np.inf), coverage), True


def _own_cells(counts: Counts, best: GridCell, rule: ThresholdRule) -> dict[int, GridCell]:
    """Products that are better off with thresholds of their own."""
    cells, seen = {}, _Seen.of(counts, rule)
    for row in np.flatnonzero(seen.rows.max(axis=(1, 2)) >= rule.min_rows).tolist():
        own, feasible = seen.best(row, rule)
        if not feasible or own == best:
            continue
        gain = seen.error[(row, *best)] - seen.error[(row, *own)]
        too_little = seen.coverage[(row, *best)] < rule.least_coverage(counts.pairs[row].max())
        if too_little or gain > rule.margin * _standard_error(counts, rule.error, (row, *own)):
            cells[int(counts.product_id[row])] = own
    return cells


def _standard_error(counts: Counts, name: str, at: tuple[int, int, int]) -> float:
    total, square = counts.numerator[name][at], counts.square[name][at]
    spread = max(float(square - total**2 / max(counts.pairs[at], 1.0)), 0.0)
    return math.sqrt(spread) / float(counts.denominator[name][at])


def _quality(
    counts: Counts, best: GridCell, own: Mapping[int, GridCell], rule: ThresholdRule
) -> Quality:
    """What thresholds brought over all products, each with its own or the overall ones."""
    cells = [own.get(int(product), best) for product in counts.product_id]
    row, orders, confidence = np.arange(len(cells)), *np.array(cells).T

    def total(part: Floats) -> float:
        return float(part[row, orders, confidence].sum())

    rows, demand = total(counts.denominator[rule.error]), float(counts.total_ordered.sum())
    return Quality(
        demand_coverage=total(counts.ordered) / demand if demand else None,
        error=total(counts.numerator[rule.error]) / rows if rows else None,
        pairs=int(total(counts.pairs)),
    )


def _argmin(values: Floats, larger: Floats) -> GridCell:
    """The cell of the least value; of equals that with the largest of ``larger``."""
    least = values == values.min()
    orders, confidence = np.unravel_index(
        np.where(least, np.nan_to_num(larger, nan=-1.0), -np.inf).argmax(), values.shape
    )
    return int(orders), int(confidence)


def _thresholds(grid: ThresholdGrid, cell: GridCell) -> Thresholds:
    return Thresholds(grid.min_orders[cell[0]], grid.min_confidence[cell[1]])


def quality_texts(quality: Quality | None) -> tuple[str, str]:
    """Coverage and error as text; dashes where they are not known."""
    coverage = None if quality is None else quality.demand_coverage
    error = None if quality is None else quality.error
    return (
        "–" if coverage is None else f"{100 * coverage:.0f} %",
        "–" if error is None else f"{error:.3f}",
    )


def _own_grid(choice: ThresholdChoice) -> list[Grid]:
    """The first of the products that have thresholds of their own."""
    heads = ("product", "min_orders", "min_confidence")
    rows = [
        (f"{product}", f"{own.min_orders}", f"{own.min_confidence:g}")
        for product, own in choice.by_product.items()
    ]
    return [Grid("Products with their own", heads, rows, frozenset(heads)).first()] if rows else []


def _dates(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} dates from {days[0]} to {days[-1]}"
