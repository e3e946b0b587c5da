"""Rows of pairs in windows as the likelihood takes them: in blocks of lanes, side by side."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats, Ints

LANES = 32

type Weeks = NDArray[np.int8]


class Outcomes(NamedTuple):
    """What the rows did, in the blocks of ``Rows``."""

    ordered: Floats  # [blocks, weeks, LANES], 0 or 1
    order_week: Weeks  # [blocks, weeks, LANES], the order weeks, first those there are
    order_weeks: Floats  # [blocks, LANES], how many there are
    extra: Floats  # [blocks, LANES], orders beyond the first of each order week


class Rows(NamedTuple):
    """What was known of the rows beforehand, in blocks of ``LANES`` of one window each.

    A block that has fewer rows is filled with copies of its last, which do not count.
    """

    design: Floats  # [blocks, columns, LANES], those of η, log δ, log τ, logit p and log ε
    of_predictor: Ints  # [6], where the columns of each begin, and where they end
    elapsed: Floats  # [blocks, LANES], weeks since the last order
    clock: Floats  # [blocks, LANES], own rate per week
    group: Ints  # [blocks, LANES], whose shock a row has
    filled: Ints  # [blocks], rows that count
    window: Ints  # [blocks]
    log_season: Floats  # [windows, weeks]


class Layout(NamedTuple):
    """Which row stands where in the blocks."""

    row: Ints  # [blocks, LANES]
    filled: Ints  # [blocks], rows that count; further lanes repeat the last of them

    @classmethod
    def of(cls, window: Ints, order_weeks: Ints) -> Self:
        """Blocks of rows of one window each, from few order weeks to many."""
        order = np.lexsort((order_weeks, window))
        filled = np.concatenate([_filled(int(rows)) for rows in np.bincount(window)])
        first = np.cumsum(filled) - filled
        lane = np.minimum(np.arange(LANES), filled[:, None] - 1)
        return cls(order[first[:, None] + lane], filled)

    def rows(
        self, design: Floats, of_predictor: Ints, elapsed: Floats, clock: Floats, group: Ints,
        window: Ints, log_season: Floats,
    ) -> Rows:  # fmt: skip
        """What was known, by row: ``design`` is [rows, columns], see ``Rows``."""
        return Rows(
            design=_lanes_last(design[self.row]),
            of_predictor=of_predictor,
            elapsed=elapsed[self.row],
            clock=clock[self.row],
            group=group[self.row],
            filled=self.filled,
            window=window[self.row[:, 0]],
            log_season=log_season,
        )

    def outcomes(self, ordered: NDArray[np.bool_], extra: Floats) -> Outcomes:
        """Weeks with an order [rows, weeks] and further orders [rows], in blocks."""
        order_week = np.argsort(~ordered, axis=1, kind="stable").astype(np.int8)
        return Outcomes(
            ordered=_lanes_last(ordered[self.row].astype(float)),
            order_week=_lanes_last(order_week[self.row]),
            order_weeks=ordered.sum(axis=1)[self.row].astype(float),
            extra=extra[self.row],
        )


def _filled(rows: int) -> Ints:
    """How many of ``rows`` are in each block, [blocks]."""
    return np.minimum(LANES, rows - np.arange(0, rows, LANES))


def _lanes_last[T: np.generic](values: NDArray[T]) -> NDArray[T]:
    return np.ascontiguousarray(np.swapaxes(values, 1, 2))
