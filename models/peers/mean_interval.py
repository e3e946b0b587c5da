"""``mean_interval``: the next order comes after the pair's mean interval, and so on.

What it assumes
    Every pair goes on for ever at the mean of its own intervals: its orders come whole mean
    intervals after the last one, the next on the first such day that is not past (expecting all
    who are overdue at once did worse). Each brings the pair's mean quantity. A pair with a single
    order has no interval and is not expected again. Nothing is uncertain: every probability is 0
    or 1.

When it is right
    Clockwork with a long history; the date it gives is what a spreadsheet gives.

When it is wrong
    Everything that varies. Whoever left is expected for ever; first orders that lead to a second
    one are missed, and so are new customers.

Parameters
    None.

Source
    The usual reorder rule; Gupta (1991), doi:10.2307/3172709, reviews what refines it.
"""

from models.peers.parts.due import repeat_interval
from models.peers.parts.rule import FixedRule
from toolkit.data.tables import Patterns, Predictions
from toolkit.model import Streams


def forecast(patterns: Patterns, *, weeks: int, draws: int, streams: Streams) -> Predictions:
    """All pairs with an interval order on."""
    repeats = patterns.interval_count > 0
    return repeat_interval(patterns, repeats, weeks=weeks, draws=draws, streams=streams)


MODEL = FixedRule("mean_interval", "1", ("pairs", "products"), forecast)
