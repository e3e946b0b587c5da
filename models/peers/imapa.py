"""``imapa``: ``adida`` at every width from one week to the mean distance, averaged, per product.

What it assumes
    No single width of aggregation is right; the mean of the forecasts at all of them errs less.
    A point, the same for every week to come.

When it is right
    Intermittent demand at a level that drifts slowly; it is hard to beat among its kind.

When it is wrong
    Trends, seasons, one-off bulk orders among the last weeks.

Parameters
    None but the weights, estimated per product and width.

Sources
    Petropoulos & Kourentzes (2015), doi:10.1057/jors.2014.62; Boylan & Syntetos (2021),
    doi:10.1002/9781119135289, chapter 12. Computed by statsforecast.
"""

from models.peers.parts.rule import Rule
from models.peers.parts.series import SeriesMethod

METHOD = SeriesMethod("IMAPA", {})
MODEL = Rule("imapa", "1", ("products",), METHOD, METHOD.parameters)
