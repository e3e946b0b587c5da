"""``adida``: weeks are added up until few are empty, smoothed, and split again, per product.

What it assumes
    Sums over as many weeks as lie between two with demand on average are smoothed exponentially
    (the weight that fits best); the forecast is split evenly. A point, the same for every week.

When it is right
    Intermittent demand at a level that drifts slowly.

When it is wrong
    Trends, seasons, one-off bulk orders among the last sums.

Parameters
    None but the weight, estimated per product.

Source
    Nikolopoulos et al. (2011), doi:10.1057/jors.2010.32. Computed by statsforecast.
"""

from models.peers.parts.rule import Rule
from models.peers.parts.series import SeriesMethod

METHOD = SeriesMethod("ADIDA", {})
MODEL = Rule("adida", "1", ("products",), METHOD, METHOD.parameters)
