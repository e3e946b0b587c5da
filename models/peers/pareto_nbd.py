"""``pareto_nbd``: buy till you leave, at any time: the Pareto/NBD model, per pair.

What it assumes
    While a pair lasts it orders as a Poisson process, at a rate λ ~ Gamma(r, α) per week; it leaves
    for good at a rate μ ~ Gamma(s, β) per week, whether it orders or not. Both are independent, and
    the same population's for all customers and products.

When it is right
    Counts of irregular buyers, and who has left, those of a single order included.

When it is wrong
    Regular pairs (it thinks of each as memoryless, so dates are too wide), drift, seasons, what
    customers order besides. It says nothing of products: sums over pairs would lack new customers.

Parameters
    r, α, s, β: maximum of the posterior under pymc-marketing's own priors, times in weeks, from all
    pairs or 100,000 of them drawn at random. The posterior is that library's to the last digits,
    but computed by quadrature: its own series takes minutes. P(alive), P(no order in t), expected
    orders and the distribution of their number are the model's formulas
    (``models/peers/parts/purchases.py``). Days of the wait are interpolated between the weeks'
    ends. Quantities: the pair's mean.

Sources
    Schmittlein, Morrison & Colombo (1987), doi:10.1287/mnsc.33.1.1. Priors: pymc-marketing.
"""

from models.peers.parts.purchase_fit import fit_pareto_nbd
from models.peers.parts.purchase_version import purchase_version
from models.peers.parts.purchases import ParetoNBD

MODEL = purchase_version("pareto_nbd", __doc__ or "", ParetoNBD, fit_pareto_nbd)
