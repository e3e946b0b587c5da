"""``rhythm_boosted``: ``rhythm``, and its hazard has a column that boosted trees make.

What it assumes
    All that ``rhythm`` does, and: η has one more column, the log of the weekly hazard that boosted
    trees read from the other columns of the pair (``models/parts/rhythm/boosting.py``). They are
    grown from what pairs did in the four weeks after earlier days, and gone forward with: the
    column of a window comes from trees whose outcomes were all over when it began. Its slope tells
    how far the trees can be trusted, and comes with a posterior like any other; frailty, dips,
    lapse, shocks and paths stay what they are.

When it is right
    Recurring orders with a year of history or more. It foretells who orders better than ``rhythm``
    where a pair's columns work together in ways that no sum of them can tell.

When it is wrong
    Where ``rhythm`` is. It needs 420 days of history, for two windows to learn the slope from, and
    says so where there are fewer: with one window forecasts of all orders were 15 to 36 % too
    high. The trees are one draw: how they might have grown otherwise is not in the posterior, and
    they see twelve weeks less of the past than the other columns. An explanation by columns stops
    at the trees' own.

Parameters and priors
    Those of ``rhythm``, and the slope of the column as it is ~ N(1, ½²). Trees: 150 of 31 leaves,
    learning rate 0.05, from 40,000 rows at each of three landmarks, 12, 16 and 20 weeks before the
    window; with fewer than 300 rows in all there are none, and the column is a constant.

How it is fitted
    As ``rhythm``; windows end 0, 4 or 8 weeks before the as-of date, and have 196 days of history
    or more before them. Growing the trees comes first.

Sources
    Those of ``rhythm``; Friedman (2001), doi:10.1214/aos/1013203451, for the trees; Wolpert
    (1992), doi:10.1016/S0893-6080(05)80023-1, for learning the weight of a model on outcomes that
    it has not seen. Trees by LightGBM.
"""

from models.parts.rhythm.version import RhythmVersion

MODEL = RhythmVersion("rhythm_boosted", "7", __doc__ or "", boosted=True)
