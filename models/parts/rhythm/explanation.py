"""What ``rhythm``'s expectations are made of: of a pair, and of a product.

A pair is held against a typical one, whose columns are the means of all pairs at hand. What groups
of columns (``groups.py``) add to the log of the rate is exact, since it is linear in them:

    Σ_g Σ_{c in g} β_c (x_c − mean_c) = η − η_typical, under each draw.

Expected orders are not linear in them, so that what a group adds depends on which others are the
pair's already: each gets its Shapley value over all such orders (``models/parts/shapley.py``), and
together they are the difference in expected orders, under each draw. Groups go over as a whole,
whatever pair that makes: columns are not what one would be if another changed. Season, level and
shock are those of the pair's product, for the typical pair, too.

A product's demand starts from its known customers at an average time of the year, and gets there by
its new ones, the season, special days, the level of all products and its own shock, by Shapley
values again. The latter two are near 0 on average: they tell how sure one can be.

Expectations are given the draw (``weekly_expected.py``): no chance of single orders is in them.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from models.parts.kernels.weekly_expected import expect_new_pairs, expect_pairs
from models.parts.kernels.weekly_paths import MAX_LOG_ARRIVALS
from models.parts.kernels.weekly_states import REACH_WEEKS, Others
from models.parts.pair.sizes import URN_WEIGHT, expected_new_size, expected_size
from models.parts.rhythm.activity import BOOSTED, COLUMNS, Activity
from models.parts.rhythm.groups import CLOCK, ELAPSED, GROUPS, LOG_ODDS, Group
from models.parts.rhythm.newcomers import newcomer_columns
from models.parts.rhythm.pair_pooling import others
from models.parts.rhythm.prediction import Ahead, Levels, Predictor
from models.parts.rhythm.season import Season
from models.parts.shapley import coalitions, shapley
from toolkit.data.attribution import Attribution, Part
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints, Patterns
from toolkit.model import Streams

DAYS_AT_ONCE = 3.5
"""What the columns of lateness add to the days since an order."""

NEW, SEASON, SPECIAL, LEVEL, SHOCK, WEEK_TREES = (
    "new customers",
    "the time of the year",
    "special days",
    "surprises to all products alike",
    "surprises to this product alone",
    "second opinion of trees on weeks",
)


class _Inputs(NamedTuple):
    """All that expected orders follow from."""

    names: tuple[str, ...]
    values: Floats  # [rows, names]
    weight: float  # of ``LOG_ODDS``; 0 where the version has none

    @classmethod
    def of(cls, model: Predictor, patterns: Patterns) -> "_Inputs":
        """Of all pairs."""
        known = model.rows(patterns).select(slice(0, len(patterns)))
        by_trees = others(patterns, model.pool)
        days = known.elapsed * DAYS_PER_WEEK
        names = (*COLUMNS, *((BOOSTED,) if model.column is not None else ()), CLOCK, ELAPSED)
        columns = [known.values, np.log(known.clock), np.log(days + DAYS_AT_ONCE)]
        if by_trees.weight > 0.0:
            names, columns = (*names, LOG_ODDS), [*columns, by_trees.log_odds]
        return cls(names, np.column_stack(columns), by_trees.weight)

    def rows(self, values: Floats) -> tuple[Activity, Others]:
        """Rows to predict from ``values`` [rows, names]."""
        count, n = len(values), self.names.index(CLOCK)
        days = np.exp(values[:, self.names.index(ELAPSED)]) - DAYS_AT_ONCE
        none = np.zeros((count, 0))  # only when within a week, and next orders, look at it
        rows = Activity(
            values=np.ascontiguousarray(values[:, :n]),
            restarted=none,
            clock=np.exp(values[:, n]),
            elapsed=days / DAYS_PER_WEEK,
            weekday=none,
        )
        log_odds = values[:, -1].copy() if self.weight > 0.0 else np.zeros(count)
        return rows, Others(log_odds, self.weight)


def pair_parts(
    model: Predictor, patterns: Patterns, row: int, *, weeks: int, draws: int, streams: Streams
) -> Attribution:
    """What the pair in ``row`` differs in from the typical one of ``patterns``, in orders."""
    inputs = _Inputs.of(model, patterns)
    pair, mean = inputs.values[row], inputs.values.mean(axis=0)
    typical = np.where(np.ptp(inputs.values, axis=0) > 0.0, mean, pair)  # whatever rounding does
    groups = [group for group in GROUPS if set(group.inputs) <= set(inputs.names)]
    of_input = np.array(
        [next(g for g, group in enumerate(groups) if name in group.inputs) for name in inputs.names]
    )
    mixed = np.where(coalitions(len(groups))[:, of_input], pair, typical)
    ahead = model.ahead(patterns.as_of_date, weeks, draws, streams)
    levels = ahead.levels(rng := streams.product(int(patterns.product_id[row])))
    rows, by_trees = inputs.rows(mixed)
    orders = np.zeros((len(mixed), weeks, draws))
    expect_pairs(
        rows, by_trees, rng.permutation((np.arange(draws) + 0.5) / draws), np.ones(len(mixed)),
        np.arange(len(mixed)), model.shared(ahead, levels, ahead.pace()), orders,
    )  # fmt: skip
    by_coalition = orders.sum(axis=1)
    shares = shapley(by_coalition)
    named = [dict(zip(inputs.names, values.tolist(), strict=True)) for values in (pair, typical)]
    parts = tuple(
        Part(
            group.name,
            amount=shares[g],
            log_rate=_log_rate(model, ahead, group, pair - typical, inputs.names),
            measure=group.measured(*named),
        )
        for g, group in enumerate(groups)
    )
    return Attribution(by_coalition[0], by_coalition[-1], parts)


def _log_rate(
    model: Predictor, ahead: Ahead, group: Group, differs: Floats, names: tuple[str, ...]
) -> Floats:
    """What the group's columns add to the log rate, [draws]."""
    added: Floats = np.zeros(len(ahead.draws.decline))
    for place, name in enumerate(model.blocks["rate"]):
        if name in group.inputs:
            added = added + differs[names.index(name)] * ahead.draws.rate[1 + place]
    return added


def product_parts(
    model: Predictor, patterns: Patterns, moved: Floats | None, *, weeks: int, draws: int,
    streams: Streams,
) -> Attribution:  # fmt: skip
    """What the demand of the one product in ``patterns`` consists of, in units.

    ``moved`` [weeks]: what trees on its weeks make of its units, None without any.
    """
    worlds = [SEASON, *([SPECIAL] if model.season.special.any() else []), LEVEL, SHOCK]
    players = [NEW, *worlds, *([] if moved is None else [WEEK_TREES])]
    product = _Product.of(model, patterns, weeks, draws, streams)
    units = [product.units(set(np.array(worlds)[there])) for there in coalitions(len(worlds))]
    known, new = (np.stack(of) for of in zip(*units, strict=True))  # [worlds, weeks, draws]
    there = coalitions(len(players))
    world: Ints = there[:, 1 : 1 + len(worlds)] @ (1 << np.arange(len(worlds)))
    by_week = known[world] + np.where(there[:, :1, None], new[world], 0.0)
    if moved is not None:
        by_week *= np.where(there[:, -1:], moved, 1.0)[:, :, None]
    by_coalition = by_week.sum(axis=1)
    shares = shapley(by_coalition)
    parts = tuple(Part(name, shares[p]) for p, name in enumerate(players))
    return Attribution(by_coalition[0], by_coalition[-1], parts)


class _Product(NamedTuple):
    """One product, and what is drawn of the weeks to come."""

    model: Predictor
    patterns: Patterns
    rows: Activity
    by_trees: Others
    ahead: Ahead
    levels: Levels
    uniform: Floats  # [draws]
    per_week: Floats  # [draws], new customers at the year's mean

    @classmethod
    def of(
        cls, model: Predictor, patterns: Patterns, weeks: int, draws: int, streams: Streams
    ) -> "_Product":
        """All that does not depend on who takes part."""
        ahead = model.ahead(patterns.as_of_date, weeks, draws, streams)
        levels = ahead.levels(rng := streams.product(int(patterns.product_id[0])))
        columns = newcomer_columns(patterns, model.season, model.base.newcomers)[0]
        arrival = ahead.draws.arrival
        log_mean = arrival[0] + (columns[:, None] * arrival[1:]).sum(axis=0)
        return cls(
            model,
            patterns,
            model.rows(patterns),
            others(patterns, model.pool),
            ahead,
            levels,
            rng.permutation((np.arange(draws) + 0.5) / draws),
            DAYS_PER_WEEK * np.exp(np.minimum(log_mean, MAX_LOG_ARRIVALS)),
        )

    def units(self, there: set[str]) -> tuple[Floats, Floats]:
        """Units that known and new customers are expected to order, both [weeks, draws]."""
        ahead = self.ahead._replace(
            season=_season(self.model.season, there).week_levels(
                self.patterns.as_of_date, REACH_WEEKS
            )
        )
        if SEASON not in there:
            ahead = ahead._replace(factors=np.ones_like(ahead.factors))
        levels = self.levels.only(of_all=LEVEL in there, own=SHOCK in there)
        shared = self.model.shared(ahead, levels, ahead.pace())
        weeks, n = len(ahead.factors), len(self.patterns)
        known = np.zeros((1, *ahead.factors.shape))
        expect_pairs(
            self.rows.select(slice(0, n)), self.by_trees, self.uniform,
            expected_size(self.patterns, URN_WEIGHT), np.zeros(n, dtype=np.int64), shared, known,
        )  # fmt: skip
        new = np.zeros(ahead.factors.shape)
        arriving = self.per_week * ahead.season[:weeks, None] * ahead.factors
        expect_new_pairs(self.rows.select(slice(n, None)), 0, arriving, shared, new)
        return known[0], new * expected_new_size(self.patterns)[0]


def _season(season: Season, there: set[str]) -> Season:
    """The season without what is not there."""
    if SEASON not in there:
        gone = {name: np.zeros_like(getattr(season, name)) for name in ("effects", "weeks")}
        season = replace(season, **gone, observed=np.zeros(0))
    if SPECIAL not in there:
        season = replace(season, special=np.zeros_like(season.special))
    return season
