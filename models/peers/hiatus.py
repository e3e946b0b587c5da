"""``hiatus``: ``mean_interval``, but whoever is silent for 1.5 mean intervals has left.

What it assumes
    A pair orders at its mean interval until its open interval exceeds ``LIMIT`` times that mean;
    then it has lapsed and orders nothing any more. A pair with a single order has no interval to
    be measured by: it is not expected again. Every probability is 0 or 1.

When it is right
    Regular pairs, of whom silence tells early.

When it is wrong
    Irregular pairs: of a memoryless one, 22 % of all intervals are longer than 1.5 means, and each
    of them counts as a loss.

Parameters
    LIMIT = 1.5, fixed.

Source
    Platzer & Reutterer (2016), doi:10.1287/mksc.2015.0963, who compare such a rule with models.
"""

from models.peers.parts.due import repeat_interval
from models.peers.parts.rule import FixedRule
from toolkit.data.tables import Patterns, Predictions
from toolkit.model import Streams

LIMIT = 1.5


def forecast(patterns: Patterns, *, weeks: int, draws: int, streams: Streams) -> Predictions:
    """Pairs that are not silent for too long order on."""
    alive = patterns.open_interval <= LIMIT * patterns.mean_interval  # NaN: no interval
    return repeat_interval(patterns, alive, weeks=weeks, draws=draws, streams=streams)


MODEL = FixedRule("hiatus", "1", ("pairs", "products"), forecast, {"limit": LIMIT})
