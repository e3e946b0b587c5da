"""Is one version better than another, on what, by how much, and is that more than noise?"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from backtests.compare.bootstrap import DATES, interval, resample
from backtests.compare.paired import Paired, pair_up
from backtests.scores.registry import ScoredRun, check_versions, find_scores
from toolkit.card import Card, CardCell, Grid, Shown, Strong, counted
from toolkit.data.defaults import INTERVAL_SHARE, RESAMPLES, SEED
from toolkit.errors import ArgumentError
from toolkit.stages.arguments import check_share


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


@dataclass(frozen=True)
class Comparison(Shown):
    """Versions compared by pairs on the rows that both scored; of every score, smaller is better.

    ``frame`` has a row per score and pair of versions: ``level``, ``score``, ``title``,
    ``version``, ``against``, ``value``, ``value_against``, ``difference`` = value −
    value_against (negative: ``version`` is better), ``low``, ``high`` (its interval),
    ``share_better`` of the resamples, ``rows``, ``verdict``.
    """

    versions: tuple[str, ...]
    dates: tuple[date, ...]
    frame: pd.DataFrame
    leaders: tuple[Leader, ...]
    sentences: tuple[str, ...]  # which version wins on what, one for each pair of versions
    notes: tuple[str, ...]  # what the intervals cannot say, and what was left out
    resamples: int
    seed: int
    share: float

    def __str__(self) -> str:
        """Who leads on which score, a line each, and who wins on what."""
        return "\n".join([*map(str, self.leaders), *self.sentences])

    def __repr__(self) -> str:
        """Which versions at how many dates; not all differences."""
        return f"<Comparison of {listed(self.versions)} at {len(self.dates)} dates>"

    def to_card(self) -> Card:
        """Who leads on each score, each difference with its interval, and who wins on what."""
        dates = f"{counted(len(self.dates), 'date')} from {self.dates[0]} to {self.dates[-1]}"
        known = set(zip(self.frame["version"], self.frame["against"], strict=True))
        return Card(
            title=listed(self.versions),
            subtitle=f"{dates}; smaller is better for every score",
            grids=[
                _leaders(self),
                *(
                    _difference_grid(self, one, other)
                    for other in self.versions
                    for one in self.versions
                    if (one, other) in known
                ),
            ],
            sentences=[*self.sentences, *(f"Note: {note}" for note in self.notes)],
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; None where a number is not finite."""
        rows = _records(self.frame)
        return {
            "versions": list(self.versions),
            "dates": [day.isoformat() for day in self.dates],
            "share": self.share,
            "resamples": self.resamples,
            "seed": self.seed,
            "differences": [{name: _plain(value) for name, value in row.items()} for row in rows],
            "leaders": [
                {
                    "score": leader.score,
                    "title": leader.title,
                    "best": leader.best,
                    "level_with": list(leader.level_with),
                }
                for leader in self.leaders
            ],
            "sentences": list(self.sentences),
            "notes": list(self.notes),
        }


COLUMNS = (
    "level", "score", "title", "version", "against", "value", "value_against", "difference",
    "low", "high", "share_better", "rows", "verdict",
)  # fmt: skip


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
    horizon = int(run.meta["experiment"]["horizon_weeks"])
    paired = list(pair_up(run, labels, find_scores(scores), horizon))
    if not paired:
        raise ArgumentError(f"no score is known of two of the versions {listed(labels)}")
    rows = [row for one in paired for row in _differences(one, resamples, seed, share)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return Comparison(
        versions=labels,
        dates=tuple(run.dates),
        frame=frame,
        leaders=tuple(_leader(one, frame) for one in paired),
        sentences=tuple(_sentences(frame, labels)),
        notes=tuple(dict.fromkeys(note for one in paired for note in _notes(one))),
        resamples=resamples,
        seed=seed,
        share=share,
    )


def _differences(
    paired: Paired, resamples: int, seed: int, share: float
) -> Iterator[Mapping[str, Any]]:
    """A row of the comparison for each pair of versions, the later against the earlier."""
    resampled = resample(paired.ways, resamples, seed)
    for other, one in itertools.combinations(range(len(paired.versions)), 2):
        draws = resampled.difference(one, other, seed)
        low, high = interval(draws, share)
        row: dict[str, Any] = {
            "level": paired.score.level,
            "score": paired.score.name,
            "title": paired.score.title,
            "version": paired.versions[one],
            "against": paired.versions[other],
            "value": float(resampled.score[one]),
            "value_against": float(resampled.score[other]),
            "difference": float(resampled.score[one] - resampled.score[other]),
            "low": low,
            "high": high,
            "share_better": float((draws < 0).mean() + (draws == 0).mean() / 2),
            "rows": paired.rows,
        }
        yield {**row, "verdict": _verdict(row, f" {paired.score.unit}".rstrip(), share)}


def _verdict(row: Mapping[str, Any], unit: str, share: float) -> str:
    """``B beats A on log loss by 0.012 (95 %: 0.010 to 0.015)``, or that noise could do it."""
    name, against, title = row["version"], row["against"], row["title"]
    if math.isnan(row["low"]):
        return f"{title}: too few blocks to tell {name} from {against}"
    better = beats(row)
    if better is None:
        bounds = numbers(row, row["low"], row["high"])
        return (
            f"no difference beyond noise between {name} and {against} on {title} "
            f"({_percent(share)} of {name} − {against}: {bounds[0]} to {bounds[1]}{unit})"
        )
    winner, loser = (name, against) if better else (against, name)
    gain, ends = abs(row["difference"]), sorted((abs(row["low"]), abs(row["high"])))
    shown = numbers(row, gain, *ends)
    return (
        f"{winner} beats {loser} on {title} by {shown[0]}{unit} "
        f"({_percent(share)}: {shown[1]} to {shown[2]})"
    )


def beats(row: Mapping[str, Any]) -> bool | None:
    """True if ``version`` is better beyond noise, False if ``against`` is, else None."""
    if row["high"] < 0:
        return True
    return False if row["low"] > 0 else None


def _leader(paired: Paired, frame: pd.DataFrame) -> Leader:
    rows = _records(frame[frame["score"] == paired.score.name])
    value = {row["version"]: row["value"] for row in rows}
    value |= {row["against"]: row["value_against"] for row in rows}
    best = min(paired.versions, key=lambda version: value[version])
    level = [
        row["against"] if row["version"] == best else row["version"]
        for row in rows
        if best in (row["version"], row["against"]) and beats(row) is None
    ]
    return Leader(paired.score.name, paired.score.title, best, tuple(level))


def _sentences(frame: pd.DataFrame, versions: Sequence[str]) -> Iterator[str]:
    """For each pair of versions, who wins on what."""
    for other, one in itertools.combinations(versions, 2):
        chosen = frame[(frame["version"] == one) & (frame["against"] == other)]
        titles: dict[bool | None, list[str]] = {True: [], False: [], None: []}
        for row in _records(chosen):
            titles[beats(row)].append(row["title"])
        parts = [
            f"{winner} beats {loser} on {listed(titles[better])}"
            for winner, loser, better in ((one, other, True), (other, one, False))
            if titles[better]
        ]
        if titles[None]:
            parts.append(f"no difference beyond noise on {listed(titles[None])}")
        if parts:
            text = "; ".join(parts)
            yield f"{text}." if titles[True] or titles[False] else f"{one} and {other}: {text}."


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
    frame = comparison.frame[comparison.frame["score"] == leader.score]
    for name, value in (("version", "value"), ("against", "value_against")):
        rows = frame[frame[name] == version]
        if len(rows):
            return f"{rows[value].iloc[0]:.4f}"
    return "–"


def _difference_grid(comparison: Comparison, one: str, other: str) -> Grid:
    """Each score of ``one`` minus that of ``other``, and which is better beyond noise."""
    frame = comparison.frame
    rows: list[Sequence[CardCell]] = []
    for row in _records(frame[(frame["version"] == one) & (frame["against"] == other)]):
        shown = numbers(row, row["difference"], row["low"], row["high"])
        relative = 100 * row["difference"] / abs(row["value_against"] or math.nan)
        better = beats(row)
        winner = "" if better is None else Strong(one if better else other)
        bounds = f"{shown[1]} to {shown[2]}"
        rows.append((row["title"], shown[0], bounds, f"{relative:+.1f}", winner))
    share = _percent(comparison.share)
    heads = ("score", "difference", f"{share} interval", "in %", "better")
    return Grid(f"{one} − {other} (negative: {one} better)", heads, rows, frozenset(heads[1:4]))


def numbers(row: Mapping[str, Any], *numbers: float) -> list[str]:
    """Numbers to two digits of the width of the row's interval."""
    width = row["high"] - row["low"]
    digits = 4 if not width > 0 else max(0, 1 - math.floor(math.log10(width)))
    return [f"{round(number, digits) + 0.0:.{digits}f}" for number in numbers]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict(orient="records")]


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def listed(names: Sequence[str]) -> str:
    """``A, B and C``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
