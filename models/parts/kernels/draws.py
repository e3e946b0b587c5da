"""Gamma, Erlang and stratified numbers, drawn inside compiled loops.

Sources: Marsaglia & Tsang (2000), doi:10.1145/358407.358414; McKay, Beckman & Conover (1979),
doi:10.1080/00401706.1979.10489755, for strata.
"""

from typing import Any

import numpy as np

from models.parts.kernels.vector import compiled
from toolkit.data.tables import Floats, Ints

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


@compiled
def draw_strata(rng: Any, order: Ints, uniform: Floats) -> None:
    """Numbers in [0, 1), one in each of as many equal parts, in random order.

    Each by itself is uniform; averages over them vary less than over independent ones. ``order``:
    0, 1, 2, … in any order, and shuffled anew.
    """
    n = len(order)
    for i in range(n - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        order[i], order[j] = order[j], order[i]
    for i in range(n):
        uniform[i] = (order[i] + rng.random()) / n
