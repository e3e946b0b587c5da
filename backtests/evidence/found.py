"""The backtest that speaks for a version, or against it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backtests.compare.comparison import Comparison, Difference, kept_comparison
from backtests.run.folder import COMPARISON
from toolkit.tracking.logged import (
    Backtested,
    StoredBacktest,
    artifact_of,
    formulas_of,
    stored_backtests,
)
from toolkit.tracking.registry import ModelVersionRef
from toolkit.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Evidence:
    """A backtest, and the candidate's part in it.

    ``exact``: it tried this very fit at all of its dates; else other fits of the same model and
    formulas.
    """

    backtest: StoredBacktest
    candidate: Backtested
    exact: bool
    comparison: Comparison | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The candidate's over all dates, by ``LEVEL/SCORE``."""
        return self.backtest.scores(self.candidate.label)

    def find(self, model: str, version: str | None) -> Backtested | None:
        """Who stands for a model of these formulas (None: any), the very fit before others."""
        others = [one for one in self.backtest.tried if one != self.candidate]
        return _best((self.candidate, *others), model, version)

    def difference(self, score: str, against: str) -> Difference | None:
        """The candidate's ``score`` less that of the label ``against``; None if not compared."""
        label = self.candidate.label
        for one in self.comparison.differences if self.comparison else ():
            if one.score == score and {one.version, one.against} == {label, against}:
                return one.of(label)
        return None

    @property
    def share(self) -> float:
        """What the intervals of the differences hold; NaN where nothing was compared."""
        return self.comparison.share if self.comparison else math.nan

    @property
    def compared(self) -> tuple[str, ...]:
        """The scores that were compared."""
        differences = self.comparison.differences if self.comparison else ()
        return tuple(dict.fromkeys(one.score for one in differences))


def find_evidence(store: Store, ref: ModelVersionRef) -> Evidence | None:
    """The latest complete backtest of this very fit, else of its model and formulas; else None.

    Raises ``TrackingError`` where the store cannot be read.
    """
    found = [
        Evidence(backtest, candidate, exact=candidate.fits == {ref.version})
        for backtest in stored_backtests(store, ref.model)
        if (candidate := _best(backtest.tried, ref.model, ref.version)) is not None
    ]
    chosen = max(found, key=lambda one: (one.exact, one.backtest.started), default=None)
    if chosen is None:
        return None
    with artifact_of(store, chosen.backtest, COMPARISON) as path:
        return replace(chosen, comparison=None if path is None else kept_comparison(path))


def _best(among: Sequence[Backtested], model: str, version: str | None) -> Backtested | None:
    """Of a model's labels that with the very fit, else that named as the model, else the first."""
    fitting = [
        one
        for one in among
        if one.model == model and (version is None or one.formulas == {formulas_of(version)})
    ]
    return min(fitting, key=lambda one: (one.fits != {version}, one.label != model), default=None)
