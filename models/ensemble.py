"""``ensemble``: ``rhythm_boosted``, pooled with trees on pairs and with trees on product-weeks.

What it assumes
    Paths of orders are ``rhythm_boosted``'s, with two corrections. P(the pair orders within four
    weeks) is the mean, in log odds, of what the paths and what boosted trees on pairs say
    (``models/parts/rhythm/pair_pooling.py``): all hazards until the pair's next order are moved by
    the one factor that makes it so. What a product sells in a week is the geometric mean of two
    expectations: that of these paths (weight ⅓), and that of boosted trees which see the product
    as one series, all weeks at the level of the season (weight ⅔;
    ``models/parts/rhythm/week_pooling.py``). Every path's units in that week are moved by the one
    factor between them, so that customers, products and totals still add up draw by draw. How far
    a week may be off is the mean, in units, of both quantile functions, the paths' and that of
    trees for seven quantiles: draws move, their ranks and their mean stay.

When it is right
    Recurring orders with a year of history or more, products whose demand has a shape of its own
    over the weeks: launches, discontinued products, seasons that no customer's rhythm shows.

When it is wrong
    Where all of them are, in the same direction. The factors of the means are numbers: how unsure
    the trees are of a product's level is not in the intervals. Products known for less than six
    weeks are not pooled. The trees on pairs are of a level that is kept as of the fit: where a fit
    is used on later days, it may have moved. A fit knows quantities in the unit that it was fitted
    to: in another one it has to be made anew.

Parameters and priors
    Those of ``rhythm_boosted``. Trees on pairs see the columns of ``lightgbm_pairs`` as they were
    28, 56, 84 and 112 days before, and whether the pair ordered in the four weeks from then on: 150
    of 31 leaves, learning rate 0.05, from at most 150,000 rows; none from fewer than 300, or where
    all did the same. Their factor is between 0.1 and 10. Trees on weeks, as ``lightgbm_weeks``
    grows them: 150 of 31 leaves, learning rate 0.05, Tweedie loss of power 1.3 for the mean and
    quantile loss for the seven quantiles, from at most 120,000 rows; expectations more than ten
    times apart are taken to be ten times apart. All weights are fixed.

How it is fitted
    As ``rhythm_boosted``; the other trees are grown beside it.

Sources
    Those of ``rhythm_boosted``; Bates & Granger (1969), doi:10.1057/jors.1969.103, and Genest &
    Zidek (1986), doi:10.1214/ss/1177013825, for pooling; Satopää et al. (2014),
    doi:10.1016/j.ijforecast.2013.09.009, for means of log odds; Ratcliff (1979),
    doi:10.1037/0033-2909.86.3.446, for means of quantile functions.
"""

from models.parts.rhythm.version import RhythmVersion

MODEL = RhythmVersion("ensemble", "7", __doc__ or "", boosted=True, pooled=True)
