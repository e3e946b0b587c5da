"""Pairs that began anew: after a pause beyond their rhythm, what came before it tells no more.

A pair that ordered weekly, then not for years, then weekly again has two rhythms and a pause. Under
one rhythm the pause would count as one of its intervals, and stretch all of them. Two models of
the pair's intervals are compared: one rhythm, or one before the pause, one after it, and the pause
an interval of a rhythm of its own. At a given interval, a pair of one rhythm is taken for two no
more often than once in ``ODDS``, by Markov's inequality (Royall 2000,
doi:10.1080/01621459.2000.10474264).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from toolkit.data.tables import Floats, Ints, Patterns, sum_from

PAUSE_DAYS = 365
"""Only what lasted longer may be a pause: a season does not."""

ODDS = 1000.0
"""Two rhythms have to make the intervals so many times as likely as one does."""


class Intervals(NamedTuple):
    """What a pair's rhythm is known by: count, sum and log sum of intervals, [pairs]."""

    m: Floats
    S: Floats
    L: Floats


def since_pause(patterns: Patterns, evidence: Callable[[Intervals], Floats]) -> Intervals:
    """The intervals since each pair's last pause; all of them where it never paused.

    ``evidence`` is the log probability of intervals that share a rhythm, [pairs].
    """
    m = patterns.interval_count.astype(float)
    whole = Intervals(m, patterns.interval_sum, patterns.interval_log_sum)
    first, day = patterns.event_offset[:-1], patterns.events.day
    interval = np.diff(day, prepend=0).astype(float)  # [events]
    interval[first] = 1.0  # a pair's first event ends no interval; log 1 adds nothing
    ends = np.flatnonzero(interval > PAUSE_DAYS)
    if not len(ends):
        return whole
    pair = np.searchsorted(patterns.event_offset, ends, side="right") - 1
    is_last = np.append(np.diff(pair) > 0, True)
    ends, pair = ends[is_last], pair[is_last]  # of each pair's last long interval
    begun = np.full(len(patterns), len(day))
    begun[pair] = ends
    is_after = np.arange(len(day)) > np.repeat(begun, patterns.order_count)
    log_after = sum_from(np.where(is_after, np.log(interval), 0.0), first)[pair]
    last = patterns.event_offset[pair + 1] - 1
    long = Intervals(np.ones(len(ends)), interval[ends], np.log(interval[ends]))
    after = Intervals((last - ends).astype(float), (day[last] - day[ends]).astype(float), log_after)
    all_of_it = Intervals(*(column[pair] for column in whole))
    before = Intervals(*(w - x - a for w, x, a in zip(all_of_it, long, after, strict=True)))
    gain = evidence(before) + evidence(long) + evidence(after) - evidence(all_of_it)
    anew = gain > np.log(ODDS)
    return Intervals(*(_put(w, pair[anew], a[anew]) for w, a in zip(whole, after, strict=True)))


def _put(column: Floats, rows: Ints, values: Floats) -> Floats:
    changed = column.copy()
    changed[rows] = values
    return changed
