"""Boosted trees on pairs: how pairs were on earlier days, and what they did in the weeks after."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.parts.pair_features import pair_features
from models.parts.trees import TreeText, grow, some_of
from toolkit.data.tables import Floats, Patterns, by_week

ROWS = 150_000
ROUNDS = 150
SETTINGS: Mapping[str, Any] = {"feature_fraction": 0.5}

type ColumnsAt = Callable[[Patterns], Floats]
"""What is known of pairs at a mark, [pairs, columns]."""


@dataclass(frozen=True, slots=True)
class HistoryRows:
    """Training rows: columns at a mark, orders in each of the weeks from it on."""

    columns: Floats  # [rows, columns]
    orders: Floats  # [rows, weeks]

    @classmethod
    def of(
        cls,
        patterns: Patterns,
        mark_days: Sequence[int],
        weeks: int,
        most: int,
        seed: int,
        columns_at: ColumnsAt | None = None,
    ) -> "HistoryRows":
        """Pairs from marks so many days before, and their next ``weeks`` weeks, over by now.

        At most ``most`` rows, drawn at random. Columns are ``columns_of``, or others.
        """
        made = columns_at or columns_of
        parts = [_at_mark(patterns, days, weeks, made) for days in mark_days]
        columns = np.concatenate([part.columns for part in parts])
        orders = np.concatenate([part.orders for part in parts])
        kept = some_of(len(columns), most, seed)
        return cls(columns[kept], orders[kept])


def _at_mark(patterns: Patterns, days: int, weeks: int, columns_at: ColumnsAt) -> HistoryRows:
    """Pairs as they were ``days`` days before, and what they did in the ``weeks`` weeks after."""
    events, first = patterns.events, patterns.event_offset[:-1]
    known = events.day[first] < -days  # the pairs of the earlier table, in its order
    pair = np.repeat(np.arange(len(patterns)), patterns.order_count)
    orders = by_week(pair, events.day + days, np.ones(len(events)), len(patterns), weeks)
    return HistoryRows(columns_at(patterns.earlier(days)), orders[known])


def columns_of(patterns: Patterns) -> Floats:
    """The features of every pair, [pairs, columns]."""
    return np.column_stack(list(pair_features(patterns).values()))


def grow_by_week(rows: HistoryRows, weeks: int, seed: int) -> TreeText:
    """Trees for an order within so many weeks."""
    ordered = (rows.orders[:, :weeks].sum(axis=1) > 0).astype(float)
    return grow(rows.columns, ordered, {**SETTINGS, "objective": "binary"}, ROUNDS, seed)
