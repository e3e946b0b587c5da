"""``auto_theta``: the theta method, in the form that fits best, per product.

What it assumes
    The series is a line in time and an exponentially smoothed rest, combined; of the standard,
    optimized and dynamic forms the one with the least error in the past is taken. Intervals are
    simulated with normal errors, cut off at 0; the point is taken for mean and median. No season.

When it is right
    Fast movers with slow trends.

When it is wrong
    Intermittent demand; histories that end in a spike; seasons.

Parameters
    All estimated per product. Products with demand in fewer than ten weeks get a normal
    distribution around their own mean.

Sources
    Assimakopoulos & Nikolopoulos (2000), doi:10.1016/S0169-2070(00)00066-2; Fiorucci et al.
    (2016), doi:10.1016/j.ijforecast.2016.02.005. Computed by statsforecast.
"""

from models.peers.parts.rule import Rule
from models.peers.parts.series import SeriesMethod

METHOD = SeriesMethod("AutoTheta", {"season_length": 1}, intervals=True, min_weeks=10)
MODEL = Rule("auto_theta", "1", ("products",), METHOD, METHOD.parameters)
