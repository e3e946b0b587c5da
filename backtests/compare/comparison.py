"""Is one version better than another, on what, by how much, and is that more than noise?"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from backtests.compare.bootstrap import DATES, interval, resample
from backtests.compare.paired import Paired, pair_up
from backtests.scores.registry import find_scores
from backtests.scores.score import ScoredRun, check_versions
from toolkit.card import Card, CardCell, Grid, Shown, Strong, counted
from toolkit.data.defaults import INTERVAL_SHARE, RESAMPLES, SEED
from toolkit.errors import ArgumentError
from toolkit.stages.arguments import check_share
from toolkit.validation import load

type Measured = Annotated[
    float, BeforeValidator(lambda value: math.nan if value is None else value)
]
"""NaN where it is not known, for which JSON has null."""

MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of ``version`` less that of ``against``: negative, ``version`` is better.

    ``low`` and ``high`` are its interval's, NaN where nothing can be said of noise;
    ``share_better`` is the share of the resamples where ``version`` is better.
    """

    level: str
    score: str
    title: str
    version: str
    against: str
    value: Measured
    value_against: Measured
    difference: Measured
    low: Measured
    high: Measured
    share_better: Measured
    rows: int
    verdict: str

    @property
    def better(self) -> str | None:
        """Which of the two is better beyond noise; None where noise could do it."""
        if self.high < 0:
            return self.version
        return self.against if self.low > 0 else None

    def of(self, version: str) -> "Difference":
        """The same, told of ``version``: turned round if that is the other one."""
        if version == self.version:
            return self
        return replace(
            self,
            version=self.against,
            against=self.version,
            value=self.value_against,
            value_against=self.value,
            difference=self.value_against - self.value,
            low=-self.high,
            high=-self.low,
            share_better=1 - self.share_better,
        )

    def numbers(self, *numbers: float) -> list[str]:
        """Numbers to two digits of the width of the interval."""
        width = self.high - self.low
        digits = 4 if not width > 0 else max(0, 1 - math.floor(math.log10(width)))
        return [f"{round(number, digits) + 0.0:.{digits}f}" for number in numbers]


@dataclass(frozen=True, slots=True)
class Leader:
    """The best version on one score, and those it does not beat beyond noise."""

    score: str
    title: str
    best: str
    level_with: tuple[str, ...]

    def __str__(self) -> str:
        """``log loss: B, level with A``."""
        others = f", level with {listed(self.level_with)}" if self.level_with else ""
        return f"{self.title}: {self.best}{others}"


@dataclass(frozen=True, slots=True)
class Comparison(Shown):
    """Versions compared by pairs on the rows that both scored; of every score, smaller is better.

    Of ``resamples`` by ``seed``, intervals hold ``share``.
    """

    versions: tuple[str, ...]
    dates: tuple[date, ...]
    share: float
    resamples: int
    seed: int
    differences: tuple[Difference, ...]
    leaders: tuple[Leader, ...]
    sentences: tuple[str, ...]  # which version wins on what, one for each pair of versions
    notes: tuple[str, ...]  # what the intervals cannot say, and what was left out

    def __str__(self) -> str:
        """Who leads on which score, a line each, and who wins on what."""
        return "\n".join([*map(str, self.leaders), *self.sentences])

    def __repr__(self) -> str:
        """Which versions at how many dates; not all differences."""
        return f"<Comparison of {listed(self.versions)} at {len(self.dates)} dates>"

    @property
    def frame(self) -> pd.DataFrame:
        """The differences as a table: a row for each, a column for each of their fields."""
        names = [field.name for field in fields(Difference)]
        return pd.DataFrame(list(map(asdict, self.differences)), columns=names)

    def leader(self, score: str) -> Leader | None:
        """The best on a score; None if that was not compared."""
        return next((leader for leader in self.leaders if leader.score == score), None)

    def gaps(self, score: str) -> tuple[Difference, ...]:
        """Each version's difference to the best, the best's own first; none if not compared."""
        leader = self.leader(score)
        gaps = [
            one.of(one.against if one.version == leader.best else one.version)
            for one in self.differences
            if leader and one.score == score and leader.best in (one.version, one.against)
        ]
        if not gaps:
            return ()
        own = replace(
            gaps[0], version=gaps[0].against, value=gaps[0].value_against,
            difference=0.0, low=0.0, high=0.0,
        )  # fmt: skip
        return own, *gaps

    def between(self, version: str, against: str) -> list[Difference]:
        """The differences as they were told, ``version`` less ``against``."""
        return [d for d in self.differences if (d.version, d.against) == (version, against)]

    def to_card(self) -> Card:
        """Who leads on each score, each difference with its interval, and who wins on what."""
        dates = f"{counted(len(self.dates), 'date')} from {self.dates[0]} to {self.dates[-1]}"
        pairs = dict.fromkeys((d.version, d.against) for d in self.differences)
        return Card(
            title=listed(self.versions),
            subtitle=f"{dates}; smaller is better for every score",
            grids=[_leaders(self), *(_difference_grid(self, *pair) for pair in pairs)],
            sentences=[*self.sentences, *(f"Note: {note}" for note in self.notes)],
        )


def kept_comparison(path: Path) -> Comparison:
    """The comparison in a file; ``ArgumentError`` if it holds none."""
    remedy = "`toolkit compare RUN` makes it anew"
    return load(Comparison, path, "the comparison of a run", remedy=remedy)


def compare_versions(
    run: ScoredRun,
    versions: Sequence[str] | None = None,
    scores: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    share: float = INTERVAL_SHARE,
) -> Comparison:
    """Compare ``versions`` of a run, each with each, on ``scores`` (names; None: all).

    Intervals hold ``share`` of ``resamples``; the same seed gives the same intervals. Raises
    ``ArgumentError`` for unknown names, for fewer than two versions and if there is nothing
    that two of them have scored.
    """
    labels = check_versions(run, run.versions if versions is None else versions)
    if len(labels) < 2:
        raise ArgumentError(f"a comparison needs two versions, got {listed(labels) or 'none'}")
    share = check_share("share", share)
    paired = list(pair_up(run, labels, find_scores(scores), run.horizon_weeks))
    if not paired:
        raise ArgumentError(f"no score is known of two of the versions {listed(labels)}")
    differences = [d for one in paired for d in _differences(one, resamples, seed, share)]
    return Comparison(
        versions=labels,
        dates=tuple(run.dates),
        share=share,
        resamples=resamples,
        seed=seed,
        differences=tuple(differences),
        leaders=tuple(_leader(one, differences) for one in paired),
        sentences=tuple(_sentences(differences, labels)),
        notes=tuple(dict.fromkeys(note for one in paired for note in _notes(one))),
    )


def _differences(paired: Paired, resamples: int, seed: int, share: float) -> Iterator[Difference]:
    """The later of each pair of versions against the earlier."""
    resampled = resample(paired.ways, resamples, seed)
    for other, one in itertools.combinations(range(len(paired.versions)), 2):
        draws = resampled.difference(one, other, seed)
        low, high = interval(draws, share)
        untold = Difference(
            level=paired.score.level,
            score=paired.score.name,
            title=paired.score.title,
            version=paired.versions[one],
            against=paired.versions[other],
            value=float(resampled.score[one]),
            value_against=float(resampled.score[other]),
            difference=float(resampled.score[one] - resampled.score[other]),
            low=low,
            high=high,
            share_better=float((draws < 0).mean() + (draws == 0).mean() / 2),
            rows=paired.rows,
            verdict="",
        )
        yield replace(untold, verdict=_verdict(untold, f" {paired.score.unit}".rstrip(), share))


def _verdict(difference: Difference, unit: str, share: float) -> str:
    """``B beats A on log loss by 0.012 (95 %: 0.010 to 0.015)``, or that noise could do it."""
    name, against, title = difference.version, difference.against, difference.title
    low, high = difference.low, difference.high
    if math.isnan(low):
        return f"{title}: too few blocks to tell {name} from {against}"
    winner = difference.better
    if winner is None:
        bounds = difference.numbers(low, high)
        return (
            f"no difference beyond noise between {name} and {against} on {title} "
            f"({_percent(share)} of {name} − {against}: {bounds[0]} to {bounds[1]}{unit})"
        )
    loser = against if winner == name else name
    gain, ends = abs(difference.difference), sorted((abs(low), abs(high)))
    shown = difference.numbers(gain, *ends)
    return (
        f"{winner} beats {loser} on {title} by {shown[0]}{unit} "
        f"({_percent(share)}: {shown[1]} to {shown[2]})"
    )


def _leader(paired: Paired, differences: Sequence[Difference]) -> Leader:
    told = [d for d in differences if d.score == paired.score.name]
    value = {d.version: d.value for d in told} | {d.against: d.value_against for d in told}
    best = min(paired.versions, key=lambda version: value[version])
    level = [
        d.against if d.version == best else d.version
        for d in told
        if best in (d.version, d.against) and d.better is None
    ]
    return Leader(paired.score.name, paired.score.title, best, tuple(level))


def _sentences(differences: Sequence[Difference], versions: Sequence[str]) -> Iterator[str]:
    """For each pair of versions, who wins on what."""
    for other, one in itertools.combinations(versions, 2):
        titles: dict[str | None, list[str]] = {one: [], other: [], None: []}
        for difference in differences:
            if (difference.version, difference.against) == (one, other):
                titles[difference.better].append(difference.title)
        parts = [
            f"{winner} beats {loser} on {listed(titles[winner])}"
            for winner, loser in ((one, other), (other, one))
            if titles[winner]
        ]
        if titles[None]:
            parts.append(f"no difference beyond noise on {listed(titles[None])}")
        if parts:
            text = "; ".join(parts)
            yield f"{text}." if titles[one] or titles[other] else f"{one} and {other}: {text}."


def _notes(paired: Paired) -> Iterator[str]:
    sums = paired.ways[DATES]
    if sums.used().independent < 2:
        yield (
            "Too few dates: the intervals ignore variation over time. They say what other "
            "customers and products would give at these dates."
        )
    elif sums.overlap > 1:
        yield (
            f"Horizons overlap, {sums.overlap} dates in one: dates count as "
            f"{sums.used().independent:.1f} independent ones."
        )
    if paired.missing:
        what = "pairs" if paired.score.table == "pairs" else "product-weeks"
        yield (
            f"{paired.missing:,} {what} that not every version of "
            f"{listed(paired.versions)} scored are left out."
        )


def _leaders(comparison: Comparison) -> Grid:
    versions = comparison.versions
    rows: list[Sequence[CardCell]] = []
    for leader in comparison.leaders:
        values = ((version, _value(comparison, leader, version)) for version in versions)
        shown = (Strong(text) if version == leader.best else text for version, text in values)
        rows.append((leader.title, *shown, leader.best, listed(leader.level_with)))
    heads = ("score", *versions, "best", "no worse beyond noise")
    return Grid("Best of each score", heads, rows, frozenset(versions))


def _value(comparison: Comparison, leader: Leader, version: str) -> str:
    """A version's score; a dash where it has none."""
    gaps = comparison.gaps(leader.score)
    return next((f"{gap.value:.4f}" for gap in gaps if gap.version == version), "–")


def _difference_grid(comparison: Comparison, one: str, other: str) -> Grid:
    """Each score of ``one`` minus that of ``other``, and which is better beyond noise."""
    rows: list[Sequence[CardCell]] = []
    for d in comparison.between(one, other):
        shown = d.numbers(d.difference, d.low, d.high)
        relative = 100 * d.difference / abs(d.value_against or math.nan)
        winner = "" if d.better is None else Strong(d.better)
        bounds = f"{shown[1]} to {shown[2]}"
        rows.append((d.title, shown[0], bounds, f"{relative:+.1f}", winner))
    share = _percent(comparison.share)
    heads = ("score", "difference", f"{share} interval", "in %", "better")
    return Grid(f"{one} − {other} (negative: {one} better)", heads, rows, frozenset(heads[1:4]))


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def listed(names: Sequence[str]) -> str:
    """``A, B and C``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def few(names: Sequence[str]) -> Sequence[str]:
    """The names, or the first and how many others."""
    rest = len(names) - MOST_NAMES
    return names if rest < 2 else [*names[:MOST_NAMES], f"{rest} others"]


def verdicts(leaders: Sequence[Leader], versions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Who is best on something, and the rest of the sentence: first what is beyond noise."""
    by_best: dict[str, list[Leader]] = {}
    for leader in leaders:
        by_best.setdefault(leader.best, []).append(leader)
    for best, led in sorted(by_best.items(), key=lambda item: -len(item[1])):
        alone = [leader.title for leader in led if not leader.level_with]
        if alone:
            others = [version for version in versions if version != best]
            whom = others[0] if len(others) == 1 else "every other version"
            yield best, f"beats {whom} beyond noise on {listed(alone)}."
        for near, titles in _level(led).items():
            yield best, f"is ahead on {listed(titles)}, but level with {listed(few(near))}."


def _level(led: Sequence[Leader]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for leader in led:
        if leader.level_with:
            found.setdefault(leader.level_with, []).append(leader.title)
    return found
