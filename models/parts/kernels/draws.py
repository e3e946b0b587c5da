"""Gamma and Erlang numbers, drawn inside compiled loops.

Source: Marsaglia & Tsang (2000), doi:10.1145/358407.358414.
"""

from typing import Any

import numpy as np

from models.parts.kernels.vector import compiled

FEW = 8
"""Up to so many phases, multiplying uniforms is faster than rejection."""


@compiled
def draw_gamma(rng: Any, shape: float) -> float:
    """Gamma(shape, 1) for any positive shape, by squeezed rejection from a normal."""
    boost = 1.0
    if shape < 1.0:
        boost = (1.0 - rng.random()) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        x = rng.standard_normal()
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            u = 1.0 - rng.random()
            if u < 1.0 - 0.0331 * x * x * x * x:
                return boost * d * v
            if np.log(u) < 0.5 * x * x + d * (1.0 - v + np.log(v)):
                return boost * d * v


@compiled
def draw_erlang(rng: Any, phases: int) -> float:
    """The sum of ``phases`` standard exponentials."""
    if phases > FEW:
        return draw_gamma(rng, float(phases))
    product = 1.0
    for _ in range(phases):
        product *= 1.0 - rng.random()
    return -np.log(product)
