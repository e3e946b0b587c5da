"""A watch on disk: forecasts that were kept, and the scores of their weeks.

=====================================  ==================================================
``forecasts/AS_OF/FIT/``               a forecast that was kept, see ``kept.py``
``weeks.parquet``                      scores of weeks that are over, see ``scores/weekly.py``
=====================================  ==================================================

A week is scored once, when it is over. When all of a forecast's weeks are, its tables are deleted;
what it expected in all stays in ``forecast.json``.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from backtests.run.folder import only_one, read_scores, write_table
from backtests.scores.actuals import events_after
from backtests.scores.weekly import COLUMNS, KEYS, keyed
from backtests.watch.kept import PAIRS, PRODUCTS, RECORD, KeptForecast, KeptRecord, read_record
from toolkit.data.tables import DAYS_PER_WEEK, Floats, observed_weeks
from toolkit.errors import ArgumentError
from toolkit.sources.base import OrderSource

FORECASTS, WEEKS = "forecasts", "weeks.parquet"


@dataclass(frozen=True, slots=True)
class WatchFolder:
    """Reads and writes what a watch holds."""

    path: Path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other watch is at work in it; ``ToolkitError`` where one is."""
        with only_one(self.path):
            yield

    def place(self, as_of_date: date, fit: str) -> Path:
        """Where a forecast belongs."""
        return self.path / FORECASTS / as_of_date.isoformat() / fit

    def records(self) -> dict[Path, KeptRecord]:
        """What was kept, by folder, in the order of dates and fits."""
        found = sorted(self.path.glob(f"{FORECASTS}/*/*/{RECORD}"))
        return {file.parent: read_record(file.parent) for file in found}

    def expected(self, fit: str) -> dict[pd.Timestamp, Floats]:
        """What a fit expected of all products together, by as-of date, [weeks]."""
        return {
            pd.Timestamp(record.as_of_date): np.array(record.expected_units)
            for record in self.records().values()
            if record.fit == fit
        }

    def weeks(self) -> pd.DataFrame:
        """The weeks that were scored; empty where none was. ``ArgumentError`` if damaged."""
        file = self.path / WEEKS
        remedy = f"restore it, or remove {self.path}, and the watch begins anew"
        if not file.exists():
            return pd.DataFrame(columns=[*COLUMNS])
        table = read_scores(file, remedy)
        if not {*KEYS, "begins", "units"} <= {*table}:
            raise ArgumentError(f"{file} holds no scores of weeks; {remedy}")
        return table.reindex(columns=[*COLUMNS])  # an earlier toolkit's has less

    def score(self, source: OrderSource, last_date: date) -> int:
        """Score the weeks that are over by ``last_date`` and were not yet; returns how many."""
        known = self.weeks()
        parts = [known] if len(known) else []
        done = Counter(zip(known["version"], known["as_of_date"], strict=True))
        for folder, record in self.records().items():
            seen = observed_weeks(record.as_of_date, last_date, record.weeks)
            day = pd.Timestamp(record.as_of_date)
            scored = done[record.fit, day]
            if seen > scored:
                events = events_after(source, record.as_of_date, seen)
                rows = keyed(KeptForecast.read(folder).scores(events, seen), record.fit, day)
                parts.append(rows[rows["week"] > scored])
        fresh = sum(map(len, parts)) - len(known)
        if fresh:
            table = pd.concat(parts, ignore_index=True)
            write_table(self.path / WEEKS, table.sort_values([*KEYS], ignore_index=True))
        self._clean(last_date)
        return fresh

    def _clean(self, last_date: date) -> None:
        """Delete the tables of forecasts of which every week was scored."""
        for folder, record in self.records().items():
            if observed_weeks(record.as_of_date, last_date, record.weeks) == record.weeks:
                for name in (PAIRS, PRODUCTS):
                    (folder / name).unlink(missing_ok=True)


def due(kept: list[date], today: date) -> date:
    """The as-of date of the forecast to keep by ``today``: whole weeks after the latest one.

    >>> due([date(2024, 1, 1), date(2024, 1, 8)], date(2024, 1, 18))
    datetime.date(2024, 1, 15)
    """
    if not kept:
        return today
    return today - timedelta((today - max(kept)).days % DAYS_PER_WEEK)
