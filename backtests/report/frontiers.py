"""The threshold frontier of each version, and what the rule chooses from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtests.run.folder import RunFolder
from backtests.thresholds.choice import ThresholdChoice, choose_thresholds
from backtests.thresholds.frontier import ThresholdGrid, count_listed, frontier
from toolkit.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Frontier:
    """Of one version: ``frame`` as ``thresholds.frontier.frontier`` gives it, of all dates."""

    frame: pd.DataFrame
    choice: ThresholdChoice

    @property
    def version(self) -> str:
        """Whose it is."""
        return self.choice.version

    def envelope(self) -> pd.DataFrame:
        """The thresholds that no others beat on both error and coverage, by rising coverage."""
        frame = self.frame[np.isfinite(self.frame[self.choice.rule.error])]
        falling = frame.sort_values(
            ["demand_coverage", self.choice.rule.error], ascending=[False, True], kind="stable"
        )
        error = falling[self.choice.rule.error]
        best = error < error.cummin().shift(fill_value=np.inf)
        rising: pd.DataFrame = falling[best].iloc[::-1]
        return rising

    def chosen(self) -> pd.DataFrame:
        """The one row of the thresholds that were chosen."""
        overall, frame = self.choice.overall, self.frame
        same = (frame["min_orders"] == overall.min_orders) & np.isclose(
            frame["min_confidence"], overall.min_confidence
        )
        return frame[same]


def frontiers_of(run: RunFolder, choices: Sequence[ThresholdChoice]) -> tuple[Frontier, ...]:
    """Of every version that says something of pairs, on the experiment's grid.

    A version that ``choices`` lacks is given those of the default rule.
    """
    known = {choice.version: choice for choice in choices}
    grid = run.experiment.thresholds
    return tuple(made for v in run.versions for made in _frontier(run, v, grid, known.get(v)))


def _frontier(
    run: RunFolder, version: str, grid: ThresholdGrid, choice: ThresholdChoice | None
) -> Sequence[Frontier]:
    try:
        frame = frontier(count_listed(run, version, grid=grid))
        return [Frontier(frame, choice or choose_thresholds(run, version, grid=grid))]
    except ArgumentError:
        return []
