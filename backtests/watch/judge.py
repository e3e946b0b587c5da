"""How a version under watch stands: its charts against what its backtest promised."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from backtests.evidence.found import find_evidence
from backtests.run.folder import WEEKS, read_scores
from backtests.scores.weekly import COLUMNS
from backtests.watch.charts import (
    BLOCK,
    FEWEST_WEEKS,
    HELD_AGAINST_REFERENCE,
    OF_A_VERSION,
    REVISION,
    Chart,
    Promise,
    promise_of_weeks,
    sums,
    values_of,
)
from backtests.watch.figure import ChartState
from backtests.watch.folder import WatchFolder
from backtests.watch.report import VersionWatch
from backtests.watch.revisions import Revision, revisions, state_of_revisions
from backtests.watch.versions import Watched
from toolkit.data.tables import Floats, Ints
from toolkit.model import default_model
from toolkit.tracking.logged import artifact_of
from toolkit.tracking.registry import ModelVersionRef
from toolkit.tracking.store import Store


@dataclass(frozen=True, slots=True)
class _Promised:
    """What a backtest, by its name, says: of charts, and revisions between its as-of dates."""

    backtest: str | None = None
    charts: Mapping[str, Promise] = field(default_factory=dict)
    revisions: Sequence[Revision] = ()


def judge(
    store: Store,
    folder: WatchFolder,
    table: pd.DataFrame,
    version: Watched,
    versions: Sequence[Watched],
) -> tuple[VersionWatch, str | None]:
    """How a version stands, and what is missing for that."""
    own = _one_after_the_other(table[table["version"] == version.fit])
    reference = next((one for one in versions if one.is_reference and one != version), None)
    if version.ref is None:
        return _stand(version, own, (), None), None
    promised = _promised(store, version.ref, reference is not None)
    other = table[table["version"] == reference.fit] if reference else None
    values = values_of(own, other)
    moves = revisions(folder.expected(version.fit))
    states = [
        state_of_revisions(moves, promised.revisions)
        if chart == REVISION
        else _of_weeks(chart, own, values, promised.charts.get(chart.name))
        for chart in OF_A_VERSION
    ]
    silent = [
        state.title
        for chart, state in zip(OF_A_VERSION, states, strict=True)
        if state.limit is None and (reference or chart not in HELD_AGAINST_REFERENCE)
    ]
    notice = _silent(version, promised, silent) if silent else None
    return _stand(version, own, states, promised.backtest), notice


def _silent(version: Watched, promised: _Promised, charts: Sequence[str]) -> str:
    """Why these charts sound no alarm."""
    backtest = promised.backtest
    why = (
        f"backtest {backtest} has too few dates of {version.fit}, or of the reference beside it, "
        "or is an earlier toolkit's (run it again)"
    )
    if backtest is None:
        why = f"no backtest of {version.fit} is in the store"
    elif not promised.charts:
        why = (
            f"backtest {backtest} has less than {FEWEST_WEEKS} weeks of {version.fit}, or none by "
            "week (run it again, with more dates)"
        )
    return f"{why}: no alarm can sound of {'; '.join(charts)}"


def _one_after_the_other(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each week what the latest forecast before it said, in their order."""
    rows = rows.sort_values(["as_of_date", "week"], ignore_index=True)
    dates = sorted({*rows["as_of_date"]})
    until = {**dict(pairwise(dates)), **dict.fromkeys(dates[-1:], pd.Timestamp.max)}
    own = [
        begins < until[day] for begins, day in zip(rows["begins"], rows["as_of_date"], strict=True)
    ]
    return rows[np.array(own, dtype=bool)].reset_index(drop=True)


def _promised(store: Store, ref: ModelVersionRef, with_reference: bool) -> _Promised:
    """What the version's backtest says of each chart, and of revisions."""
    evidence = find_evidence(store, ref)
    if evidence is None:
        return _Promised()
    with artifact_of(store, evidence.backtest, WEEKS) as path:
        table = None if path is None else read_scores(path)
    if table is None:
        return _Promised(evidence.backtest.name)
    table = table.reindex(columns=[*COLUMNS])  # an earlier toolkit's has less
    own = table[table["version"] == evidence.candidate.label].sort_values(
        ["as_of_date", "week"], ignore_index=True
    )
    expected = {
        pd.Timestamp(str(day)): rows["expected_units"].to_numpy(dtype=float)
        for day, rows in own.groupby("as_of_date")
    }
    other = evidence.find(default_model().name, None) if with_reference else None
    reference = None if other is None else table[table["version"] == other.label]
    own = _near(own)
    values = values_of(own, reference)
    found = {chart.name: _promise_of(chart, own, values) for chart in OF_A_VERSION}
    known = {name: one for name, one in found.items() if one is not None}
    return _Promised(evidence.backtest.name, known, tuple(revisions(expected)))


def _promise_of(chart: Chart, own: pd.DataFrame, values: pd.DataFrame) -> Promise | None:
    """What the backtest's weeks, rows of ``own`` and ``values``, say of a chart of single weeks."""
    if chart.name not in values:
        return None
    rows = _by_date(own)
    column, controls = values[chart.name].to_numpy(), _controls(chart, values)
    return promise_of_weeks(
        chart, [column[of_date] for of_date in rows], [controls[:, of_date] for of_date in rows]
    )


def _controls(chart: Chart, values: pd.DataFrame) -> Floats:
    """[controls, weeks]."""
    found: Floats = values[[*chart.controls]].to_numpy(dtype=float).T
    return found


def _near(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the first weeks after each date: as few as there have to be, in whole blocks."""
    longest = int(rows["week"].max()) if len(rows) else 0
    for weeks in range(BLOCK, longest, BLOCK):
        near = rows[rows["week"] <= weeks]
        if len(near) >= FEWEST_WEEKS:
            return near.reset_index(drop=True)
    return rows


def _by_date(rows: pd.DataFrame) -> list[Ints]:
    """The rows of each date."""
    codes, dates = pd.factorize(rows["as_of_date"], sort=True)
    return [np.flatnonzero(codes == code) for code in range(len(dates))]


def _of_weeks(
    chart: Chart, own: pd.DataFrame, values: pd.DataFrame, promise: Promise | None
) -> ChartState:
    value = values[chart.name].to_numpy(dtype=float)
    if promise is not None:
        value = promise.steadied(value, [*_controls(chart, values)])
    known = np.isfinite(value)
    days = [day.date() for day in own["begins"]]
    shown = [chart.shown(x) for x in value.tolist()]
    total = None
    if promise is not None:
        total = sums(chart, promise.standardized(value), promise.limit)
    after = [None] * len(days) if total is None else total.tolist()
    rows = zip(days, shown, after, strict=True)
    history = tuple(row for row, there in zip(rows, known, strict=True) if there)
    last = history[-1][1] if history else None
    if promise is None or total is None:
        return ChartState(chart.name, chart.title, len(history), last, history=history)
    above = total > promise.limit
    since = None
    if len(above) and above[-1]:
        since = days[int(np.flatnonzero(~above)[-1]) + 1 if (~above).any() else 0]
    low, high = promise.mean - promise.deviation, promise.mean + promise.deviation
    return ChartState(
        chart.name, chart.title, len(history), last, (chart.shown(low), chart.shown(high)),
        float(total[-1]) if len(total) else 0.0, promise.limit, since, history,
    )  # fmt: skip


def _stand(
    version: Watched, own: pd.DataFrame, charts: Sequence[ChartState], backtest: str | None
) -> VersionWatch:
    def ratio(numerator: str, denominator: str) -> float | None:
        below = float(own[denominator].sum())
        found = float(own[numerator].sum()) / below if below else math.nan
        return found if math.isfinite(found) else None

    bias = ratio("expected_units", "units")
    return VersionWatch(
        version.role, version.fit, backtest, len(own), ratio("loss", "pairs"),
        ratio("crps", "product_weeks"), None if bias is None else bias - 1.0,
        ratio("held", "product_weeks"), tuple(charts),
    )  # fmt: skip
