"""Methods for one series, on every product's weeks; computed by statsforecast.

They speak of products only. All but ``auto_ets`` and ``auto_theta`` say a point, the same for every
week to come, and no spread. None knows a season: two or three years of weeks do not identify 52
levels per product. One-off bulk orders in the last weeks mislead all of them.

``croston_sba``: Croston's method with Syntetos & Boylan's correction
    Demand comes in single weeks, of a size and at a distance of their own. Both are smoothed
    exponentially over the weeks with demand (weight 0.1, the library's); their ratio, less 5 %, is
    the weekly mean. Right for slow movers, in the mean over many weeks. Wrong for products that are
    delisted (nothing changes while nothing is ordered) and for fast movers, where the correction
    takes 5 % too much. Croston (1972), doi:10.1057/jors.1972.50; Syntetos & Boylan (2005),
    doi:10.1016/j.ijforecast.2004.10.001.

``tsb``: Teunter, Syntetos & Babai's method
    As Croston's, but the probability of demand is smoothed in every week, so that the forecast of a
    product that nobody orders fades away. Weights 0.1 of a new size and 0.2 of a new week, chosen
    on earlier dates than any reported from (0.1, 0.2) × (0.1, 0.2, 0.3). Teunter, Syntetos & Babai
    (2011), doi:10.1016/j.ejor.2011.05.018.

``adida``: weeks are added up until few are empty, smoothed, and split again
    Sums over as many weeks as lie between two with demand on average, smoothed with the weight that
    fits best. Right for intermittent demand at a level that drifts slowly. Nikolopoulos et al.
    (2011), doi:10.1057/jors.2010.32.

``imapa``: ``adida`` at every width from one week to the mean distance, averaged
    No single width is right; the mean of their forecasts errs less. Hard to beat among its kind.
    Petropoulos & Kourentzes (2015), doi:10.1057/jors.2014.62; Boylan & Syntetos (2021),
    doi:10.1002/9781119135289, chapter 12.

``auto_ets``: exponential smoothing, its form chosen by AICc
    Level and trend (none, additive or damped) are updated by every week's error, additive or
    multiplicative. Intervals are normal, cut off at 0; the point is taken for mean and median.
    Right for fast movers with a level that drifts; wrong for intermittent demand, whose intervals
    are neither normal nor symmetric. Products with demand in fewer than ten weeks get a normal
    distribution around their own mean. Hyndman, Koehler, Snyder & Grose (2002),
    doi:10.1016/S0169-2070(01)00110-8.

``auto_theta``: the theta method, in the form that fits best
    The series is a line in time and an exponentially smoothed rest, combined; of the standard,
    optimized and dynamic forms the one with the least error in the past is taken. Intervals are
    simulated with normal errors, cut off at 0. Right for fast movers with slow trends; wrong for
    histories that end in a spike. Short histories as in ``auto_ets``. Assimakopoulos & Nikolopoulos
    (2000), doi:10.1016/S0169-2070(00)00066-2; Fiorucci et al. (2016),
    doi:10.1016/j.ijforecast.2016.02.005.
"""

from models.peers.parts.rule import FixedRule
from models.peers.parts.series import SeriesMethod


def _version(name: str, method: SeriesMethod) -> FixedRule:
    return FixedRule(name, "1", ("products",), method, method.parameters)


CROSTON_SBA = _version("croston_sba", SeriesMethod("CrostonSBA", {}))
TSB = _version("tsb", SeriesMethod("TSB", {"alpha_d": 0.1, "alpha_p": 0.2}))
ADIDA = _version("adida", SeriesMethod("ADIDA", {}))
IMAPA = _version("imapa", SeriesMethod("IMAPA", {}))
AUTO_ETS = _version(
    "auto_ets", SeriesMethod("AutoETS", {"season_length": 1}, intervals=True, min_weeks=10)
)
AUTO_THETA = _version(
    "auto_theta", SeriesMethod("AutoTheta", {"season_length": 1}, intervals=True, min_weeks=10)
)
