"""``auto_ets``: exponential smoothing, its form chosen by information criterion, per product.

What it assumes
    Level and trend (none, additive or damped) are updated by every week's error, additive or
    multiplicative; AICc chooses. Intervals are normal, cut off at 0; the point is taken for mean
    and median. No season: two or three years of weeks do not identify 52 of them per product.

When it is right
    Fast movers with a level that drifts.

When it is wrong
    Intermittent demand, whose intervals are neither normal nor symmetric; seasons.

Parameters
    All estimated per product. Products with demand in fewer than ten weeks get a normal
    distribution around their own mean.

Source
    Hyndman, Koehler, Snyder & Grose (2002), doi:10.1016/S0169-2070(01)00110-8. Computed by
    statsforecast.
"""

from models.peers.parts.rule import Rule
from models.peers.parts.series import SeriesMethod

METHOD = SeriesMethod("AutoETS", {"season_length": 1}, intervals=True, min_weeks=10)
MODEL = Rule("auto_ets", "1", ("products",), METHOD, METHOD.parameters)
