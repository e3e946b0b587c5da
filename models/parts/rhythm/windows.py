"""What ``rhythm`` is fitted to: pairs in windows before the as-of date, some standing for all.

Windows of twelve weeks do not overlap and end at the as-of date at the latest: what a pair did in
one is its outcome, what it did before is what the columns are made of. Those of each product end
some weeks before the date, how many is drawn for it: all weeks of the year are seen that way, and
what comes with the season or the length of the history is not taken for what comes with a column.
Some pairs of some products, drawn at random, stand for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.kernels.weekly import HORIZON_WEEKS
from models.parts.kernels.weekly_rows import Layout, Outcomes, Rows
from models.parts.rhythm.activity import (
    BLOCKS,
    BOOSTED_BLOCKS,
    Activity,
    BaseRates,
    Blocks,
    activity,
)
from models.parts.rhythm.boosting import BOOSTED_KNOWN_DAYS, BOOSTED_OFFSETS, ForwardChain
from models.parts.rhythm.coordinates import Columns
from models.parts.rhythm.newcomers import Newcomers
from models.parts.rhythm.season import Season
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns

WINDOWS = 4
WINDOW_DAYS = DAYS_PER_WEEK * HORIZON_WEEKS
OFFSETS = (0, 14, 28, 42, 56, 70)
"""So many days before the as-of date the last window of a product may end."""
KNOWN_DAYS = 56
"""A window needs so many days of history before it."""
PRODUCT_ROWS = 30
"""A large product is stood for by pairs with so many rows."""
NEWCOMER_ROWS = 4000
"""So many products in windows tell how new customers come."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that the history of ``patterns`` has room for, with so many days before each."""

    patterns: Patterns
    known_days: int = KNOWN_DAYS

    def count(self, offset: int = 0) -> int:
        """How many end ``offset`` days before the as-of date or earlier."""
        history = int(-self.patterns.events.day.min(initial=0))
        return max(0, min(WINDOWS, (history - self.known_days - offset) // WINDOW_DAYS))

    def backs(self, offset: int) -> list[int]:
        """How many days before the date they begin."""
        return [WINDOW_DAYS * (w + 1) + offset for w in range(self.count(offset))]

    def of_pairs(self, offset: int) -> Ints:
        """How many of them know each pair, [pairs]."""
        of_pair = (-_first_day(self.patterns) - 1 - offset) // WINDOW_DAYS
        return np.clip(of_pair, 0, self.count(offset))


@dataclass(frozen=True, slots=True)
class WindowData:
    """What the model is fitted to: a row per pair and window, and of newcomers, per product."""

    ordered: NDArray[np.bool_]  # [rows, weeks]
    extra: Floats  # [rows], order events beyond the first of each order week
    elapsed: Floats  # [rows]
    clock: Floats  # [rows]
    log_season: Floats  # [windows, weeks]
    values: Floats  # [rows, COLUMNS], and ``BOOSTED`` if ``blocks`` have it
    window: Ints  # [rows]
    product_window: Ints  # [rows], row of its product and window
    newcomers: Newcomers
    blocks: Blocks = field(default_factory=lambda: BLOCKS)

    def columns(self) -> dict[str, Columns]:
        """The columns of each block."""
        return {block: Columns.of(self.values, block, self.blocks) for block in self.blocks}

    def order_weeks(self) -> tuple[Ints, Floats]:
        """The row of each week with orders, and clocked weeks since its last order before it."""
        since, passed = self.elapsed + 0.5, np.empty(self.ordered.shape)
        for week, happened in enumerate(self.ordered.T):
            passed[:, week] = since * self.clock
            since = np.where(happened, 1.0, since + 1.0)
        return np.nonzero(self.ordered)[0], passed[self.ordered]

    def layout(self) -> Layout:
        """Where each row stands in what ``weekly_likelihood`` takes."""
        return Layout.of(self.window, self.ordered.sum(axis=1))

    def outcomes(self, layout: Layout) -> Outcomes:
        """What the rows did, as ``weekly_likelihood`` takes it."""
        return layout.outcomes(self.ordered, self.extra)

    def rows(self, layout: Layout, columns: dict[str, Columns]) -> Rows:
        """What was known of the rows before, as ``weekly_likelihood`` takes it."""
        designs = [columns[block].design for block in BLOCKS]
        ends = np.cumsum([0, *(design.shape[1] for design in designs)])
        return layout.rows(
            np.hstack(designs), ends, self.elapsed, self.clock, self.product_window, self.window,
            self.log_season,
        )  # fmt: skip

    @classmethod
    def of(
        cls,
        patterns: Patterns,
        season: Season,
        base: BaseRates,
        rows: int,
        seed: int,
        offsets: Sequence[int] = OFFSETS,
        chain: ForwardChain | None = None,
    ) -> "WindowData":
        """About ``rows`` rows of pairs drawn at random; columns know all pairs of their product.

        With a ``chain``, ``BOOSTED`` is one of them.
        """
        windows, blocks = Windows(patterns), BLOCKS
        if chain is not None:
            windows, blocks = Windows(patterns, BOOSTED_KNOWN_DAYS), BOOSTED_BLOCKS
            offsets = BOOSTED_OFFSETS
        rng = np.random.default_rng(seed)
        offset = draw_offsets(windows, offsets, rng)
        product, pair = Chance.of(windows, rows, offset).draw(rng)
        parts: list[list[NDArray[Any]]] = []
        log_season: list[Floats] = []
        for days in offsets:
            group = product & (offset == days)
            chosen, drawn = patterns.select(group), pair[group]
            for back in windows.backs(days):
                start = patterns.as_of_date - timedelta(days=back)
                earlier, is_known = chosen.earlier(back), _first_day(chosen) < -back
                if len(earlier):
                    known = activity(earlier, season, base)
                    if chain is not None:
                        known = chain.boosted(known, back)
                    columns = _window_columns(len(log_season), -back, chosen, earlier, known)
                    parts.append([column[drawn[is_known]] for column in columns])
                log_season.append(np.log(season.week_levels(start, HORIZON_WEEKS)))
        ordered, extra, elapsed, clock, values, window_of, in_product = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        _, product_window = np.unique(
            np.stack([window_of, in_product]), axis=1, return_inverse=True
        )
        whole = [(back, WINDOW_DAYS) for back in windows.backs(0)]
        newcomers = Newcomers.of(patterns, whole, season, base.newcomers)
        return cls(
            ordered, extra, elapsed, clock, np.array(log_season), values, window_of,
            product_window, newcomers.select(NEWCOMER_ROWS, seed), blocks,
        )  # fmt: skip


def draw_offsets(windows: Windows, offsets: Sequence[int], rng: np.random.Generator) -> Ints:
    """An offset for each product under which a window knows one of its pairs, if any; [pairs]."""
    _, start = windows.patterns.product_offsets()
    known = np.array([
        np.maximum.reduceat(windows.of_pairs(days), start[:-1]) > 0 for days in offsets
    ])  # fmt: skip
    first = rng.integers(len(offsets), size=(known.shape[1],))
    tried = (first + np.arange(len(offsets))[:, None]) % len(offsets)
    at = np.argmax(np.take_along_axis(known, tried, axis=0), axis=0)
    drawn = np.array(offsets)[tried[at, np.arange(len(first))]]
    return np.repeat(drawn, np.diff(start))


def _first_day(patterns: Patterns) -> Ints:
    days: Ints = patterns.events.day[patterns.event_offset[:-1]]
    return days


@dataclass(frozen=True, slots=True)
class Chance:
    """The chance of each product to be drawn, and of its pairs if it is.

    Together every pair has the same one (two stages, the first proportional to size: Cochran 1977,
    Sampling Techniques, chapter 11). Many products with a few pairs each tell more of what products
    share, and of how they differ, than a few products with all their pairs. Products are gone
    through in equal steps, from few orders per pair to many, so that rarely and often ordered ones
    have their share in every sample (systematic sampling, the same book, chapter 8). Pairs are not:
    their orders would vary less than independent ones, and the shocks of products seem small.
    """

    pair_offset: Ints  # [products + 1]
    orders: Ints  # [pairs]
    has_rows: NDArray[np.bool_]  # [pairs], whether a window knows it
    product: Floats  # [products]
    pair: Floats  # [products], of each of its pairs

    @classmethod
    def of(cls, windows: Windows, rows: int, offset: Ints) -> "Chance":
        """That of ``rows`` rows to be expected, of all pairs if there are no more.

        ``offset``: days before the date when the last window of each pair ends, [pairs].
        """
        patterns = windows.patterns
        _, start = patterns.product_offsets()
        count = np.zeros(len(patterns), dtype=np.int64)
        for days in np.unique(offset):
            count[offset == days] = windows.of_pairs(int(days))[offset == days]
        of_product = patterns.sum_by_product(count.astype(float))
        share = min(1.0, rows / of_product.sum())
        product = share * np.maximum(of_product, PRODUCT_ROWS) / PRODUCT_ROWS
        product = np.where(of_product > 0, np.minimum(product, 1.0), 0.0)
        pair = share / np.maximum(product, share)
        product *= max(1.0, (1.0 + 1e-9) / product.sum())  # one product at least
        return cls(start, patterns.order_count, count > 0, product, pair)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each pair is of a product that is drawn, and whether it is drawn, [pairs]."""
        start = self.pair_offset[:-1]
        orders = np.add.reduceat(self.orders * self.has_rows, start)
        per_pair = orders / np.maximum(np.add.reduceat(self.has_rows, start, dtype=float), 1.0)
        shuffled = rng.permutation(len(self.product))
        order = shuffled[np.argsort(per_pair[shuffled], kind="stable")]
        reached = np.floor(np.cumsum(self.product[order]) + rng.random())
        taken = np.zeros(len(order), dtype=bool)
        taken[order] = np.diff(reached, prepend=0.0) > 0
        pair = np.zeros(len(self.has_rows), dtype=bool)
        for j in np.flatnonzero(taken):
            own = np.flatnonzero(self.has_rows[self.pair_offset[j] : self.pair_offset[j + 1]])
            count = max(1, int(len(own) * self.pair[j] + rng.random()))
            pair[start[j] + rng.permutation(own)[:count]] = True
        return np.repeat(taken, np.diff(self.pair_offset)), pair


def _window_columns(
    window: int, start: int, later: Patterns, known: Patterns, activity: Activity
) -> tuple[NDArray[Any], ...]:
    """The columns of ``WindowData`` for the pairs ``known`` when the window began, at ``start``."""
    n = len(known)
    events = later.events
    inside = (events.day >= start) & (events.day < start + WINDOW_DAYS)
    pair = np.repeat(np.arange(len(later)), later.order_count)[inside]
    was_known = _first_day(later) < start
    row = (np.cumsum(was_known) - 1)[pair]  # both tables are sorted alike
    week = (events.day[inside] - start) // DAYS_PER_WEEK
    of_known = was_known[pair]
    counts = np.zeros((n, HORIZON_WEEKS))
    np.add.at(counts, (row[of_known], week[of_known]), 1.0)
    return (
        counts > 0,
        (counts - (counts > 0)).sum(axis=1),
        activity.elapsed[:n],
        activity.clock[:n],
        activity.values[:n],
        np.full(n, window),
        known.product_id,
    )
