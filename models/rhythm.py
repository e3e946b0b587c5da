"""``rhythm``: what real orders show, week by week, in one hazard.

What it assumes
    Most customers order on days of their own (80 % of all intervals can be multiples of a week),
    so time is counted in weeks from the as-of date. A pair that is alive orders in week w with
    probability 1 − exp(−λ h_w),

        log h_w = η + log S_w − κ w − δ exp(−u_w / σ) + level + product's shock

    η is linear in what the pair, its customer and its product did before the as-of date
    (``activity.py``): own rate by the calendar and by the customer's ordering days
    (a customer who has not ordered anything for a month tells less about one product than one who
    ordered daily without it), how late both are, whether the last order was larger than usual
    (it lasts longer, and less so the longer it lies back), how the usual size compares with the
    product's, the customer's pace, trend and basket, the product's trends and how many customers
    it has. Old orders count less: they fade with half-lives of 30, 90, 270 and 900 days,
    and the slopes on rates of different memory are what is estimated of the forgetting.
    S_w is the season, an operational time that all products share (``season.py``): waves over the
    year, its end, single weeks that come back after 52, as those with most holidays do, and special
    days of a calendar (``--country``, ``--events``), on their week and those beside it. Past weeks
    count as they were observed: a week in which nobody could order says little of anybody. Weeks to
    come are off by a factor that all products share, drawn anew in every path: the wider, the more
    the week stands out, so that a holiday may go otherwise than the last one. Of what stood out a
    share comes again: most likely all of it, unless the last 36 weeks tell otherwise
    (``weeks_ahead.py``).
    κ: what the columns say fades with the distance; it goes on for twelve weeks, not further.
    δ, σ: how deep the hazard dips after an order, and for how long, u_w weeks on the pair's own
    clock; log δ is linear in how irregular, how experienced and how overdue the pair is.
    λ: frailty with mean 1, log-normal in eight points, its spread smaller for pairs with many
    orders. With probability 1 − p(x) the pair has left for good and orders nothing; longer
    silence, of the pair, of its customer and of the product, can only lower p.
    All pairs share the level of a window of twelve weeks, all of a product its shock in it: that
    is what makes a product's demand wider than the sum of its pairs. In the weeks to come the
    shock drifts: it is a constant, a random walk from week to week, and something of each week's
    own. How much of each is read once from the products' past weeks (``drift.py``); over a window
    they come to the shock's variance.
    In a week with an order there are 1 + Poisson orders; within it they fall on the days of the
    week on which the customer orders. Sizes as in ``pooled_gamma``.
    First orders by customers new to a product are negative binomial; the log of their mean is
    linear in what the product did before (``newcomers.py``): the rates at which new customers came,
    with the same half-lives, its trend, its customers, its silence and its age; times the season. A
    new customer's row is that of an average customer of the product who has just ordered it.

When it is right
    Recurring orders of many customers and products, with a history of a year or more: it is the
    only version that knows of other products' orders, of drift and of seasons.

When it is wrong
    It is trained on the next twelve weeks as seen from earlier dates, and forecasts beyond them
    only carry the last week on. The season is common to all products; with less than a year of
    history there is none, and the weeks before Christmas are a surprise. Without a calendar a
    holiday that moves by more than a week (Easter) is one, too. With a history of months, how the
    level changes is hardly told apart from what comes with the length of the history: forecasts of
    all orders may be 10 % off, and say so.
    Pairs of one customer are independent given their columns: totals by customer are too narrow.
    Within a week orders do not avoid each other. Daily businesses lose the day of the week.
    Where nearly everybody buys a product once, 20,000 rows hold few orders, and whether the others
    left or order rarely stays open: P(alive) is told apart from the hazard by its prior, and
    forecasts hardly change with it.

Parameters and priors
    Columns centred and scaled by their deviation, or by ½ if that is larger: one that hardly
    varies in the windows may vary when it comes to forecasting. Slopes ~ N(0, 1²) in rate, alive
    and extra, N(0, ½²) in dip and frailty; those of silence and lateness in alive are
    −LogNormal(log 0.7, ½²).
    Constants at the columns' means: η ~ N(−2.5, 2²) (log orders per week), log δ ~ N(−½, 1),
    log τ ~ N(−0.7, ½²), logit p ~ N(3, 2²), log extra ~ N(−3, 1.5²). log σ ~ N(log ½, ½²) (own
    intervals), κ ~ N(0, 0.03²) per week. level ~ N(0, level_sd²),
    level_sd ~ LogNormal(log 0.1, ½²).
    product_shock ~ LogNormal(log ¼, ¾²), the deviation of the shocks. Arrivals: the constant,
    where the columns are at their means, ~ N(0, 1), the slope of the rate ~ N(1, ½²), all others
    N(0, ½²): new customers go on coming as they did; shape ~ LogNormal(0, 1).

How it is fitted
    48 weeks are cut into four windows of twelve that do not overlap (landmarks); those of a product
    end 0, 2, … or 10 weeks before the as-of date, drawn at random. A row is a pair in a window,
    its columns know only what was before the window. About 20,000 rows
    (``--pairs`` for another number) stand for all: products drawn at random, large ones the more
    likely, and of each up to 30 rows, so that every pair is as likely as any other. NUTS samples
    coordinates in which the posterior is nearly round (``models/parts/rhythm/mode.py``), until bulk
    and tail ESS are at least 400 and R-hat is at most 1.01 in every parameter. ``--method
    laplace`` takes the posterior for a Gaussian in these coordinates instead, in seconds: for a
    first look, since its importance ratios have a k-hat above 0.7 (``docs/sampling.md``).

What did not pay
    Chosen on earlier dates than any that is reported. Without gain in log loss: a rate of its own
    for every customer and product beside the columns; how overdue a product is, which made big
    ones look delisted after a long weekend; speeds of forgetting to be estimated instead of fixed
    half-lives; an effect of a pair's first orders; a pair's own rate in P(alive), which also kept
    chains from mixing. Worse by 0.001: a clock by exp(η) instead of the pair's own rate.

Sources
    van Houwelingen (2007), doi:10.1111/j.1467-9469.2006.00529.x, for landmarks; Prentice &
    Gloeckler (1978), doi:10.2307/2529588, for the hazard of grouped times; Cox (1972),
    doi:10.1111/j.2517-6161.1972.tb00899.x, for effects on a hazard; Vaupel, Manton & Stallard
    (1979), doi:10.2307/2061224, for frailty; Matheron (1963), doi:10.2113/gsecongeo.58.8.1246, for
    variograms.
"""

from models.parts.rhythm.version import RhythmVersion

MODEL = RhythmVersion("rhythm", "10", __doc__ or "")
