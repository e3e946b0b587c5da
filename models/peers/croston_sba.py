"""``croston_sba``: Croston's method with Syntetos & Boylan's correction, per product.

What it assumes
    Demand comes in single weeks of a size and at a distance of their own; both are smoothed
    exponentially over the weeks with demand (weight 0.1), their ratio, less 5 %, is the weekly
    mean. It is the same for every week to come, and all that is said: a point, no spread.

When it is right
    Intermittent demand of slow movers, in the mean over many weeks.

When it is wrong
    Products that are delisted (nothing changes while nothing is ordered), trends, seasons,
    one-off bulk orders; fast movers, where the correction takes 5 % too much.

Parameters
    Weight 0.1, the library's.

Sources
    Croston (1972), doi:10.1057/jors.1972.50; Syntetos & Boylan (2005),
    doi:10.1016/j.ijforecast.2004.10.001. Computed by statsforecast.
"""

from models.peers.parts.rule import Rule
from models.peers.parts.series import SeriesMethod

METHOD = SeriesMethod("CrostonSBA", {})
MODEL = Rule("croston_sba", "1", ("products",), METHOD, METHOD.parameters)
