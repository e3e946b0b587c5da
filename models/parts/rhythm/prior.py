"""The priors of ``rhythm``."""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True)
class RhythmPrior:
    """By parameter; the model card says what they mean.

    Constants, where the columns are at their means: Normal, mean and deviation. Slopes of columns
    over one deviation: Normal about 0, its deviation; of what can only fall, the log of the slope:
    Normal; of the boosted column as it is: Normal. ``level_sd``, the deviation of the windows'
    levels, ``product_shock``, that of the products' shocks, and ``arrival_shape``: LogNormal, so
    that 0 is ruled out.
    """

    rate_constant: tuple[float, float] = (-2.5, 2.0)
    dip_constant: tuple[float, float] = (-0.5, 1.0)
    frailty_constant: tuple[float, float] = (-0.7, 0.5)
    alive_constant: tuple[float, float] = (3.0, 2.0)
    extra_constant: tuple[float, float] = (-3.0, 1.5)
    rate_slopes: float = 1.0
    dip_slopes: float = 0.5
    frailty_slopes: float = 0.5
    alive_slopes: float = 1.0
    extra_slopes: float = 1.0
    falling_slopes: tuple[float, float] = (log(0.7), 0.5)
    boosted_slope: tuple[float, float] = (1.0, 0.5)
    log_dip_length: tuple[float, float] = (log(0.5), 0.5)
    decline: float = 0.03
    level_sd: tuple[float, float] = (log(0.1), 0.5)
    product_shock: tuple[float, float] = (log(0.25), 0.75)
    arrival_shape: tuple[float, float] = (0.0, 1.0)


OF_BOOSTED = ("boosted_slope",)
"""What ``rhythm`` has not."""
DEFAULT_PRIOR = RhythmPrior()
