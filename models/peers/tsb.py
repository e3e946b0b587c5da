"""``tsb``: Teunter, Syntetos & Babai's method, per product.

What it assumes
    As Croston's method, but the probability of demand in a week is smoothed instead of the
    distance, in every week, so that the forecast of a product that nobody orders fades away.
    A point, the same for every week to come.

When it is right
    Intermittent demand of products that may be delisted.

When it is wrong
    Trends, seasons, one-off bulk orders.

Parameters
    Weights 0.1 of a new size and 0.2 of a new week, chosen on earlier dates than any reported
    from (0.1, 0.2) × (0.1, 0.2, 0.3).

Source
    Teunter, Syntetos & Babai (2011), doi:10.1016/j.ejor.2011.05.018. Computed by statsforecast.
"""

from models.peers.parts.rule import Rule
from models.peers.parts.series import SeriesMethod

METHOD = SeriesMethod("TSB", {"alpha_d": 0.1, "alpha_p": 0.2})
MODEL = Rule("tsb", "1", ("products",), METHOD, METHOD.parameters)
