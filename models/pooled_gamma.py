"""``pooled_gamma``: gamma intervals, their typical length pooled over customers and products.

What it assumes
    Intervals between a pair's orders are Gamma(k, k λ): 1/λ is the pair's mean interval in days,
    k its regularity, one of 1, 2, 4, 8, 16 (1: memoryless, 16: clockwork). A pair's rate is
    λ ~ Gamma(a, a μ), with μ the typical interval of its customer and product: log μ = typical +
    customer's effect + product's effect, each N(0, scale²). Regularities have common weights.
    The open interval is censored: the next order comes later. Nobody ever lapses.
    Sizes follow a Pólya urn; new customers arrive at a rate pooled over the products.

When it is right
    Customers and products that differ in pace while all go on ordering.

When it is wrong
    Customers who left, products that were delisted (an overdue pair only slows down), seasons,
    drift, delivery weekdays.

Parameters (durations in days) and priors
    shape a ~ LogNormal(0, 0.75): 1/√a is the spread of pairs of one customer and product.
    log_typical ~ N(log 60, 1.5²); customer_scale, product_scale ~ HalfNormal(1).
    regularity ~ Dirichlet(1, …, 1). arrival_shape ~ LogNormal(0, 1), arrival_days ~
    LogNormal(log 60, 2): days from one new customer of a product to the next.
    urn_weight = ½, and a size loses half its weight in 180 days: fixed.

How it is fitted
    Rates and regularities integrate out (``models/parts/kernels/collapsed.py``);
    NUTS samples the rest, in coordinates about the middle of the posterior in which it is nearly
    N(0, 1) (``models/parts/gamma/mode.py``), by trajectories that are exact for N(0, 1).

Sources
    Gelman et al., Bayesian Data Analysis (3rd ed. 2013), chapter 5, for the hierarchy;
    Schmittlein, Morrison & Colombo (1987), doi:10.1287/mnsc.33.1.1, for the gamma mixture;
    Blackwell & MacQueen (1973), doi:10.1214/aos/1176342372, for the urn.
"""

from models.parts.gamma.version import GammaVersion

MODEL = GammaVersion("pooled_gamma", "2", __doc__ or "", lapse=False)
