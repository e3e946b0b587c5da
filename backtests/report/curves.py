"""PIT histograms: where in the forecast distribution did fall what happened?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtests.run.folder import RunFolder
from backtests.scores.score import NEXT_ORDER, PRODUCT_WEEK, ScoreTable, read_table
from toolkit.data.tables import Floats

BINS = 20
PITS: dict[str, tuple[ScoreTable, str]] = {
    NEXT_ORDER: ("pairs", "pit_next"),
    PRODUCT_WEEK: ("product_weeks", "pit"),
}
"""By level: the table and column that hold its PIT values."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Density of PIT values in ``BINS`` equal classes, 1 where calibrated, and its span by date."""

    density: Floats  # [bins]
    lowest: Floats  # [bins], the least of any date
    highest: Floats  # [bins]
    rows: int


def version_histograms(run: RunFolder, version: str) -> dict[str, Histogram]:
    """By level, of those that the version speaks about; product-weeks are the headline's."""
    found = {
        level: histogram(read_table(run, table, version, None, (column,)), column)
        for level, (table, column) in PITS.items()
    }
    return {level: made for level, made in found.items() if made is not None}


def histogram(frame: pd.DataFrame, column: str) -> Histogram | None:
    """The histogram of a column of PIT values, and how far single dates are from it."""
    known = frame if frame.empty else frame[np.isfinite(frame[column])]
    if known.empty:
        return None
    values, dates = known[column].to_numpy(np.float64), known["as_of_date"].to_numpy()
    by_date = np.stack([_density(values[dates == day]) for day in np.unique(dates)])
    return Histogram(_density(values), by_date.min(axis=0), by_date.max(axis=0), len(values))


def _density(values: Floats) -> Floats:
    count = np.histogram(values, BINS, (0.0, 1.0))[0]
    density: Floats = count * (BINS / max(len(values), 1))
    return density
