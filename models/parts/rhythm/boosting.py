"""The boosted column: what trees, grown from the past, say of a pair's next four weeks.

The trees see a pair's columns as they were on some earlier days (landmarks), and whether it ordered
in the four weeks from then on. They are gone forward with: the column of a window comes from trees
whose landmarks lie twelve weeks or more before it, so that all they know of was over when it began;
so does the as-of date's. A slope on it then tells what the trees are worth on days that they have
not seen. (Landmarks from four weeks before on forecast no better, and 2 to 3 % more orders.)

The column is the log of the hazard that they stand for, the season of the weeks taken out,

    log(−log(1 − p)) − log Σ S_w,  logit p = trees + base + log Σ S_w,

so that a slope of 1 alone would make the weekly hazard theirs. base is where all landmarks together
lie: trees that cannot grow say that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_expit

from models.parts.rhythm.activity import COLUMNS, Activity, BaseRates, activity
from models.parts.rhythm.season import Season
from models.parts.trees import FEWEST_ROWS, TreeText, answer, grow
from toolkit.data.tables import DAYS_PER_WEEK, Floats, Patterns

WEEKS = 4
STEP_DAYS = DAYS_PER_WEEK * WEEKS
LANDMARKS = 3
"""Trees grow from so many landmarks, ``STEP_DAYS`` apart."""
GAP_DAYS = 84
"""So far before the window lies the last of them."""
LANDMARK_DAYS = 56
"""A landmark has so many days of history before it."""
BOOSTED_KNOWN_DAYS = LANDMARK_DAYS + GAP_DAYS + (LANDMARKS - 1) * STEP_DAYS
"""A window has so many."""
BOOSTED_OFFSETS = (0, 28, 56)
"""Fewer than without trees, which have to be grown for each day on which windows begin."""
ROWS = 120_000
"""Rows that trees grow from, about: pairs of products drawn at random."""
ROUNDS = 150
SETTINGS: Mapping[str, Any] = {"objective": "binary", "feature_fraction": 0.5}


class Trees(NamedTuple):
    """What was grown: ``text`` is empty where there was too little to grow from."""

    text: TreeText
    base: Floats  # [1], log odds of an order over Σ S_w, of all landmarks


@dataclass(frozen=True, slots=True)
class _Landmark:
    """Pairs as they were on a day, and what followed."""

    features: Floats  # [rows, features]
    ordered: Floats  # [rows], 0 or 1, within ``WEEKS``
    log_season: float  # log Σ S_w of these weeks


@dataclass(slots=True)
class ForwardChain:
    """Trees by the day, counted back from the as-of date, on which windows begin."""

    patterns: Patterns
    season: Season
    base: BaseRates
    seed: int
    _landmarks: dict[int, _Landmark] = field(default_factory=dict)
    _trees: dict[int, Trees] = field(default_factory=dict)

    def trees(self, back: int) -> Trees:
        """Those for a day so many days before the as-of date."""
        if back not in self._trees:
            days = [back + GAP_DAYS + STEP_DAYS * i for i in range(LANDMARKS)]
            self._trees[back] = _grown([self._landmark(day) for day in days], self.seed)
        return self._trees[back]

    def boosted(self, known: Activity, back: int) -> Activity:
        """``known`` so many days before the as-of date, with its column."""
        as_of_date = self.patterns.as_of_date - timedelta(days=back)
        return with_boosted(known, self.trees(back), self.season, as_of_date)

    def _landmark(self, back: int) -> _Landmark:
        if back not in self._landmarks:
            self._landmarks[back] = self._look_from(back)
        return self._landmarks[back]

    def _look_from(self, back: int) -> _Landmark:
        rng = np.random.default_rng([self.seed, back])
        drawn = some_products(self.patterns, back, ROWS // LANDMARKS, rng)
        earlier = drawn.earlier(back)
        events, first = drawn.events, drawn.events.day[drawn.event_offset[:-1]]
        inside = (events.day >= -back) & (events.day < DAYS_PER_WEEK * WEEKS - back)
        pair = np.repeat(np.arange(len(drawn)), drawn.order_count)[inside]
        ordered = np.bincount(pair, minlength=len(drawn))[first < -back] > 0
        known = activity(earlier, self.season, self.base).select(slice(0, len(earlier)))
        log_season = _log_season(self.season, earlier.as_of_date)
        return _Landmark(_features(known), ordered.astype(float), log_season)


def with_boosted(known: Activity, trees: Trees, season: Season, as_of_date: date) -> Activity:
    """``known`` on the date, with the column that the trees make of it as its last one."""
    log_season = _log_season(season, as_of_date)
    logit = trees.base + log_season + np.zeros(len(known.elapsed))
    if len(trees.text):
        logit += answer(trees.text, _features(known), raw=True)
    log_hazard = np.log(-log_expit(-logit))
    return known._replace(values=np.column_stack([known.values, log_hazard - log_season]))


def _grown(seen: Sequence[_Landmark], seed: int) -> Trees:
    """From where the landmarks lie: with half an order more, and half a pair without."""
    ordered = np.concatenate([landmark.ordered for landmark in seen])
    log_season = np.concatenate([np.full(len(s.ordered), s.log_season) for s in seen])
    orders = float(ordered.sum())
    odds = np.log((orders + 0.5) / (len(ordered) - orders + 0.5))
    base = np.array([odds - (log_season.mean() if len(log_season) else 0.0)])
    if len(ordered) < FEWEST_ROWS or not 0 < orders < len(ordered):
        return Trees(np.zeros(0, dtype=np.uint8), base)
    features = np.concatenate([landmark.features for landmark in seen])
    return Trees(grow(features, ordered, SETTINGS, ROUNDS, seed, start=base + log_season), base)


def _features(known: Activity) -> Floats:
    """What trees see, [rows, COLUMNS + 1]."""
    return np.column_stack([known.values[:, : len(COLUMNS)], np.log(known.elapsed + 0.5)])


def _log_season(season: Season, as_of_date: date) -> float:
    return float(np.log(season.week_levels(as_of_date, WEEKS).sum()))


def some_products(patterns: Patterns, back: int, pairs: int, rng: np.random.Generator) -> Patterns:
    """All pairs of some products, drawn at random until about ``pairs`` were known by then."""
    was_known = patterns.events.day[patterns.event_offset[:-1]] < -back
    size = patterns.sum_by_product(was_known.astype(float))
    order = rng.permutation(np.flatnonzero(size))
    taken = np.zeros(len(size), dtype=bool)
    taken[order[np.cumsum(size[order]) - size[order] < pairs]] = True
    return patterns.select(np.repeat(taken, np.diff(patterns.product_offsets()[1])))
