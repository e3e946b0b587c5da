"""All scores of a run as one tidy table: by version, by as-of date, and by slice.

Slices are told by what was known at the as-of date alone. A version that says nothing at a level
has no rows there. Tables are read a few columns at a
time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, get_args

import numpy as np
import pandas as pd
import pydantic
from numpy.typing import NDArray
from pydantic import Field

from backtests.scores import calibration
from backtests.scores.registry import SCORES
from backtests.scores.score import Score, ScoredRun, ScoreTable, check_versions, read_table
from toolkit.data.grouping import no_category
from toolkit.validation import CLOSED, Rising

type SliceCodes = NDArray[np.int64]

COLUMNS = (
    "version", "as_of_date", "slice", "value_of_slice", "level", "score", "value", "rows",
)  # fmt: skip
ALL = "all"
TABLES: tuple[ScoreTable, ...] = get_args(ScoreTable.__value__)


@pydantic.dataclasses.dataclass(frozen=True, slots=True, config=CLOSED)
class Slices:
    """Lower bounds of the classes by which pairs are told apart, ascending."""

    order_count: Rising[Annotated[int, Field(ge=1)]] = (1, 2, 4, 8, 16)
    customer_age_days: Rising[Annotated[int, Field(ge=0)]] = (0, 91, 182, 365, 730)


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to part rows: the name of the slice, what its parts are called, each row's part."""

    name: str
    labels: tuple[str, ...]
    codes: SliceCodes  # [rows], −1: in none


def summarize(
    run: ScoredRun,
    versions: Sequence[str] | None = None,
    slices: Slices | None = None,
) -> pd.DataFrame:
    """The scores of ``versions`` (None: all): a row per version, date or slice, and score.

    ``as_of_date`` is NaT for all dates together; the slices "order_count", "customer_age_days",
    "product_class" and "category" are of all dates, ``slice`` is "all" where nothing is sliced.
    ``slices`` are the lower bounds of the first two. ``rows`` counts the rows that were scored.
    Coverage: ``coverage_80`` by PIT, ``interval_80`` of the closed interval, which for what comes
    in whole units holds more.
    """
    labels = check_versions(run, run.versions if versions is None else versions)
    bounds = asdict(slices or Slices())
    rows = [
        {"version": label, **row}
        for label in labels
        for table in TABLES
        for row in _version_rows(run, label, table, bounds)
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype({"as_of_date": "datetime64[ns]", "value": float, "rows": int})


def reliability_tables(run: ScoredRun, versions: Sequence[str] | None = None) -> pd.DataFrame:
    """What was said against what happened, all dates together.

    A row per version, ``of`` ("confidence", "order_28d") and class of ``calibration.reliability``.
    """
    labels = check_versions(run, run.versions if versions is None else versions)
    asked = {"confidence": ("confidence", "hit"), "order_28d": ("p_order_28d", "ordered_28d")}
    tables = []
    for label in labels:
        for name, (p, y) in asked.items():
            frame = run.pairs(label, None, (p, y))
            if not frame.empty:
                known = frame.dropna(subset=[p, y])
                table = calibration.reliability(known[p], known[y])
                tables.append(table.assign(version=label, of=name))
    columns = ["version", "of", "low", "high", "mean_p", "share", "rows"]
    return (
        pd.concat(tables, ignore_index=True)[columns]
        if tables
        else pd.DataFrame([], columns=columns)
    )


def band_labels(bounds: Sequence[int]) -> tuple[str, ...]:
    """Names of the classes between lower bounds.

    >>> band_labels((1, 2, 3, 6))
    ('1', '2', '3-5', '6+')
    """
    upper = [high - 1 for high in bounds[1:]]
    closed = [
        str(low) if low == high else f"{low}-{high}"
        for low, high in zip(bounds[:-1], upper, strict=True)
    ]
    return (*closed, f"{bounds[-1]}+")


def _version_rows(
    run: ScoredRun, version: str, table: ScoreTable, bounds: dict[str, Sequence[int]]
) -> Iterator[dict[str, object]]:
    frame = read_table(run, table, version, None, _known_before(table, bounds))
    if frame.empty:
        return
    whole = Cut(ALL, (ALL,), np.zeros(len(frame), dtype=np.int64))
    cuts = [whole, _date_cut(frame), *_cuts(frame, bounds)]
    for level in dict.fromkeys(score.level for score in SCORES if score.table == table):
        yield from _level_rows(run, version, table, level, cuts)


def _known_before(table: ScoreTable, bounds: dict[str, Sequence[int]]) -> list[str]:
    """The columns that rows are parted by."""
    if table in ("totals", "categories"):
        return ["category"] if table == "categories" else []
    return ["product_class", *(bounds if table == "pairs" else ())]


def _level_rows(
    run: ScoredRun, version: str, table: ScoreTable, level: str, cuts: Sequence[Cut]
) -> Iterator[dict[str, object]]:
    """The scores of one level, whose columns are read together."""
    scores = [m for m in SCORES if m.level == level and m.table == table]
    columns = [name for score in scores for name in score.columns]
    frame = read_table(run, table, version, None, columns)
    for cut in cuts:
        for code, label in enumerate(cut.labels):
            part = frame[cut.codes == code]
            for score in scores:
                scored = part[list(score.columns)].notna().all(axis=1).to_numpy()
                if scored.any():
                    yield _row(score, part[scored], cut.name, label)


def _row(score: Score, frame: pd.DataFrame, cut: str, label: str) -> dict[str, object]:
    by_date = cut == "as_of_date"
    return {
        "as_of_date": pd.Timestamp(label) if by_date else pd.NaT,
        "slice": ALL if by_date else cut,
        "value_of_slice": ALL if by_date else label,
        "level": score.level,
        "score": score.name,
        "value": score.value(frame),
        "rows": len(frame),
    }


def _cuts(frame: pd.DataFrame, bounds: dict[str, Sequence[int]]) -> Iterator[Cut]:
    for name, lower in bounds.items():
        if name in frame:
            codes = np.searchsorted(np.asarray(lower), frame[name].to_numpy(), side="right") - 1
            yield Cut(name, band_labels(lower), codes.astype(np.int64))
    if "category" in frame:
        without = no_category({*frame["category"].dropna()})
        codes, categories = pd.factorize(frame["category"].fillna(without), sort=True)
        yield Cut("category", tuple(map(str, categories)), codes.astype(np.int64))
    if "product_class" not in frame:
        return
    classes = frame["product_class"].astype("category").cat
    names = tuple(map(str, classes.categories))
    yield Cut("product_class", names, classes.codes.to_numpy().astype(np.int64))


def _date_cut(frame: pd.DataFrame) -> Cut:
    codes, days = pd.factorize(frame["as_of_date"], sort=True)
    return Cut("as_of_date", tuple(str(day.date()) for day in days), codes.astype(np.int64))
