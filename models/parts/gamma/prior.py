"""The priors of ``pooled_gamma`` and ``lapse_gamma``; lapses and tilts are the latter's."""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True)
class GammaPrior:
    """By parameter; durations in days. The model cards say what they mean.

    LogNormal and Normal: mean and deviation (of the log); HalfNormal: deviation; Beta: both shapes.
    """

    shape: tuple[float, float] = (0.0, 0.75)  # LogNormal
    log_typical: tuple[float, float] = (log(60.0), 1.5)  # Normal
    customer_scale: float = 1.0  # HalfNormal
    product_scale: float = 1.0  # HalfNormal
    tilt_scale: float = 0.5  # HalfNormal
    lapse: tuple[float, float] = (1.0, 4.0)  # Beta
    lapse_concentration: tuple[float, float] = (log(5.0), 1.5)  # LogNormal
    arrival_shape: tuple[float, float] = (0.0, 1.0)  # LogNormal
    arrival_days: tuple[float, float] = (log(60.0), 2.0)  # LogNormal


OF_LAPSES = ("tilt_scale", "lapse", "lapse_concentration")
"""What ``pooled_gamma`` has not."""
