"""``bg_nbd``: buy till you leave, after an order: the BG/NBD model, per pair.

What it assumes
    While a pair lasts it orders as a Poisson process, at a rate λ ~ Gamma(r, α) per week; after
    each repeat order it leaves for good with probability p ~ Beta(a, b). Rates and probabilities
    are independent, and the same population's for all customers and products. A pair with a single
    order has not left, whatever its age: that is how the model defines it.

When it is right
    Counts of irregular buyers, and who has left; it needs recency, frequency and age only.

When it is wrong
    Regular pairs (it thinks of each as memoryless, so dates are too wide), drift, seasons, what
    customers order besides. It says nothing of products: sums over pairs would lack new customers.

Parameters
    r, α, a, b: maximum of the posterior under pymc-marketing's own priors, times in weeks, from all
    pairs or 100,000 of them drawn at random. P(alive), P(no order in t), expected orders and the
    distribution of their number are the model's formulas (``models/peers/parts/purchases.py``).
    Days of the wait are interpolated between the weeks' ends. Quantities: the pair's mean.

Sources
    Fader, Hardie & Lee (2005), doi:10.1287/mksc.1040.0098. Fitted by pymc-marketing.
"""

from models.peers.parts.purchase_fit import fit_beta_geo
from models.peers.parts.purchase_version import purchase_version
from models.peers.parts.purchases import BetaGeo

MODEL = purchase_version("bg_nbd", __doc__ or "", BetaGeo, fit_beta_geo)
