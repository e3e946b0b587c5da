"""Scores of several versions on the very same rows, summed by block for the bootstrap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from backtests.compare.bootstrap import DATES, BlockSums, block_sums, overlapping
from backtests.scores.score import Score, ScoredRun, ScoreTable, read_table
from toolkit.data.tables import Floats

KEYS: dict[ScoreTable, tuple[str, ...]] = {
    "pairs": ("product_id", "customer_id"),
    "product_weeks": ("product_id", "week"),
}
WAYS: dict[ScoreTable, dict[str, str]] = {
    "pairs": {"customers": "customer_id", "products": "product_id"},
    "product_weeks": {"products": "product_id"},
}
"""In which ways rows depend on each other, besides dates, and the column that names the block."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One score of several versions on the rows that all of them scored."""

    score: Score
    versions: tuple[str, ...]
    ways: dict[str, BlockSums]
    rows: int
    missing: int  # rows that some version scored and another did not


@dataclass(slots=True)
class _Gathered:
    """Sums of one score as they come in, a date at a time."""

    blocks: dict[str, list[tuple[Floats, Floats]]]  # by way: ids and their sums
    by_date: list[Floats] = field(default_factory=list)
    rows: int = 0
    missing: int = 0


def pair_up(
    run: ScoredRun, versions: Sequence[str], scores: Sequence[Score], horizon_weeks: int
) -> Iterator[Paired]:
    """Each of ``scores`` for those of ``versions`` that have it; one date is read at a time.

    A score that fewer than two versions have is left out.
    """
    having: dict[tuple[ScoreTable, tuple[str, ...]], list[Score]] = {}
    offered = {
        (version, table): _offered(run, version, [s for s in scores if s.table == table])
        for version in versions
        for table in KEYS
    }
    for score in scores:
        able = tuple(v for v in versions if score.name in offered[v, score.table])
        if len(able) > 1:
            having.setdefault((score.table, able), []).append(score)
    for (table, able), group in having.items():
        yield from _pair_group(run, table, able, group, overlapping(run.dates, horizon_weeks))


def _pair_group(
    run: ScoredRun,
    table: ScoreTable,
    versions: tuple[str, ...],
    scores: Sequence[Score],
    overlap: int,
) -> Iterator[Paired]:
    gathered = {score.name: _Gathered({way: [] for way in WAYS[table]}) for score in scores}
    for day in run.dates:
        frames, missing = _same_rows(run, table, versions, scores, day)
        for score in scores:
            _add_date(gathered[score.name], score, frames, missing)
    for score in scores:
        found = gathered[score.name]
        if found.rows:
            yield Paired(score, versions, _block_sums(found, overlap), found.rows, found.missing)


def _same_rows(
    run: ScoredRun, table: ScoreTable, versions: Sequence[str], scores: Sequence[Score], day: date
) -> tuple[list[pd.DataFrame], int]:
    """Each version's rows of a date, in the same order, and how many not all of them have."""
    keys = list(KEYS[table])
    columns = [*keys, *(name for score in scores for name in score.columns)]
    frames = [read_table(run, table, version, day, columns) for version in versions]
    if any(frame.empty for frame in frames):
        return [], max(map(len, frames))
    frames = [frame.sort_values(keys, ignore_index=True) for frame in frames]
    if all(frame[keys].equals(frames[0][keys]) for frame in frames[1:]):
        return frames, 0
    common = frames[0][keys]
    for frame in frames[1:]:
        common = common.merge(frame[keys], on=keys)
    return [common.merge(frame, on=keys) for frame in frames], max(map(len, frames)) - len(common)


def _add_date(
    gathered: _Gathered, score: Score, frames: Sequence[pd.DataFrame], missing: int
) -> None:
    """Add one date's sums; rows count for which every version's score is a number."""
    gathered.missing += missing
    if not frames:
        gathered.by_date.append(np.zeros(0))
        return
    parts = [score.sums(frame) for frame in frames]
    values = np.stack([*(part[0] for part in parts), parts[0][1]], axis=1)  # [rows, versions + 1]
    known = np.isfinite(values).all(axis=1)
    for way, collected in gathered.blocks.items():
        ids = frames[0][WAYS[score.table][way]].to_numpy()[known]
        names, block = np.unique(ids, return_inverse=True)
        collected.append((names, block_sums(block, len(names), values[known])))
    gathered.by_date.append(values[known].sum(axis=0))
    gathered.rows += int(known.sum())


def _block_sums(gathered: _Gathered, overlap: int) -> dict[str, BlockSums]:
    """Blocks over all dates; dates without rows stay in their order where dates overlap."""
    ways = {}
    for way, collected in gathered.blocks.items():
        ids = np.concatenate([ids for ids, _ in collected])
        names, block = np.unique(ids, return_inverse=True)
        sums = np.concatenate([sums for _, sums in collected])
        ways[way] = BlockSums(block_sums(block, len(names), sums))
    width = max(map(len, gathered.by_date))
    dates = np.stack([np.zeros(width) if not len(d) else d for d in gathered.by_date])
    return {**ways, DATES: BlockSums(dates, overlap)}


def _offered(run: ScoredRun, version: str, scores: Sequence[Score]) -> set[str]:
    """Which scores a version has for at least one row of one date."""
    found: set[str] = set()
    for day in run.dates if scores else ():
        open_scores = [score for score in scores if score.name not in found]
        if not open_scores:
            break
        columns = [
            *KEYS[open_scores[0].table],
            *(name for score in open_scores for name in score.columns),
        ]
        frame = read_table(run, open_scores[0].table, version, day, columns)
        if not frame.empty:
            found |= {s.name for s in open_scores if np.isfinite(s.sums(frame)[0]).any()}
    return found
