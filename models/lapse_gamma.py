"""``lapse_gamma``: ``pooled_gamma``, and pairs lapse, and products differ in regularity.

What it assumes
    All that ``pooled_gamma`` does, and: after each order a pair may lapse for good, with a
    probability of its own, p ~ Beta(α, β), integrated out; a pair that has not lapsed after m
    orders does so after the next with probability α / (α + β + m), so that who has kept ordering
    is trusted to go on. A product's tilt t ~ N(0, tilt_scale²) moves the weights of regularity:
    log w_j + t (log₂ k_j − their mean); a common k would hide that some are clockwork.

When it is right
    Customers and products that come and go; what P(alive) is asked for.

When it is wrong
    Lapse that strikes all pairs of a customer or product at once, customers who come back,
    seasons, drift, delivery weekdays.

Parameters and priors
    Those of ``pooled_gamma``, and lapse = α / (α + β) ~ Beta(1, 4); lapse_concentration = α + β
    ~ LogNormal(log 5, 1.5); tilt_scale ~ HalfNormal(½).

Sources
    Those of ``pooled_gamma``; Fader, Hardie & Lee (2005), doi:10.1287/mksc.1040.0098, for lapse
    after an order with a beta-distributed probability.
"""

from models.parts.gamma.version import GammaVersion

MODEL = GammaVersion("lapse_gamma", "2", __doc__ or "", lapse=True)
