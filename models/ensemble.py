"""``ensemble``: ``rhythm_boosted``, its units pooled with trees on the weeks of products.

What it assumes
    Who orders what and when is ``rhythm_boosted``'s. What a product sells in a week is the
    geometric mean of two expectations, with equal weights: that of its customers' paths, and that
    of boosted trees which see the product as one series (``models/parts/rhythm/pooling.py``). Every
    path's units in that week are moved by the one factor between them, so that customers, products
    and totals still add up draw by draw.

When it is right
    Recurring orders with a year of history or more, products whose demand has a shape of its own
    over the weeks: launches, discontinued products, seasons that no customer's rhythm shows.

When it is wrong
    Where ``rhythm_boosted`` is, in who and when. The factor is one number: how unsure the trees are
    is not in the intervals, and where both are wrong, so is their mean. Products known for less
    than six weeks are not pooled. A fit knows quantities in the unit that it was fitted to: in
    another one it has to be made anew.

Parameters and priors
    Those of ``rhythm_boosted``. Trees on weeks: 150 of 31 leaves, learning rate 0.05, Tweedie loss
    of power 1.3, from at most 120,000 rows, as ``lightgbm_weeks`` grows them for its mean. Weight
    of the trees: ½, fixed; expectations more than ten times apart are taken to be ten times apart.

How it is fitted
    As ``rhythm_boosted``; the trees on weeks are grown beside it.

Sources
    Those of ``rhythm_boosted``; Bates & Granger (1969), doi:10.1057/jors.1969.103, and Genest &
    Zidek (1986), doi:10.1214/ss/1177013825, for pooling.
"""

from models.parts.rhythm.version import RhythmVersion

MODEL = RhythmVersion("ensemble", "3", __doc__ or "", boosted=True, pooled=True)
