"""The posterior of a pair's regularity, rate and lapse for many lanes side by side.

A lane is one pair with one set of population parameters: the likelihood runs over pairs, the
prediction of a pair over draws of the population. Formulas and names are those of
``collapsed.py``: per lane a, c = a μ, m, S, T and the lapse probability, per regularity A, B, the
density f of the intervals (DEAD: with its weight w) and its product with the survival I (ALIVE).
"""

from models.parts.kernels.vector import LEAST_EXPONENT, exp, log, side_by_side
from toolkit.data.tables import Floats

BLOCK = 128
"""Lanes in a block; its columns stay in the nearest cache.

A column is a stretch of one long array at a fixed offset, and a loop works on two such arrays at
most: only so can the compiler see that no column overlaps another, and run it side by side.
"""

# Columns of a lane, and of a lane and one of its regularities.
SHAPE, C, LOG_C, COUNT, SUM, OPEN, LAPSED, TOP, SCALE, *FREE = range(0, 12 * BLOCK, BLOCK)
A, Q, LOG_B, LOG_Z, TERM, TERM_BY_A, TOTAL, TOTAL_BY_A, DEAD, ALIVE = range(0, 10 * BLOCK, BLOCK)
LANE_NUMBERS, OWN_NUMBERS = 12 * BLOCK, 10 * BLOCK


@side_by_side
def condition(n: int, k: int, lane: Floats, own: Floats) -> None:
    """A, q, log B and log z of n lanes for one regularity, and the first term of the sum."""
    for i in range(n):
        b = lane[C + i] + k * lane[SUM + i]
        later = b + k * lane[OPEN + i]
        own[A + i] = lane[SHAPE + i] + k * lane[COUNT + i]
        own[Q + i] = k * lane[OPEN + i] / later
        own[LOG_B + i] = log(b)
        own[LOG_Z + i] = own[LOG_B + i] - log(later)
        own[TERM + i] = own[TOTAL + i] = 1.0
        own[TERM_BY_A + i] = own[TOTAL_BY_A + i] = 0.0


@side_by_side
def sum_terms(n: int, k: int, own: Floats) -> None:
    """Σ t_i and its derivative by A; the last term stays in TERM."""
    for j in range(1, k):
        for i in range(n):
            a, q = own[A + i] + (j - 1.0), own[Q + i] / j
            own[TERM_BY_A + i] = (own[TERM_BY_A + i] * a + own[TERM + i]) * q
            own[TERM + i] *= a * q
            own[TOTAL_BY_A + i] += own[TERM_BY_A + i]
            own[TOTAL + i] += own[TERM + i]


@side_by_side
def log_densities(n: int, lane: Floats, own: Floats) -> None:
    """log w f, with z^A and without; DEAD comes with what is constant. Raises TOP to them."""
    for i in range(n):
        own[DEAD + i] += lane[SHAPE + i] * lane[LOG_C + i] - own[A + i] * own[LOG_B + i]
        own[ALIVE + i] = own[DEAD + i] + own[A + i] * own[LOG_Z + i]
        highest = own[DEAD + i] if lane[LAPSED + i] > 0.0 else own[ALIVE + i]
        lane[TOP + i] = max(lane[TOP + i], highest)


@side_by_side
def densities(n: int, lane: Floats, own: Floats) -> None:
    """w f and w f I over their common scale; adds the lane's share to SCALE."""
    for i in range(n):
        own[DEAD + i] = exp(min(own[DEAD + i] - lane[TOP + i], 0.0))
        own[ALIVE + i] = exp(min(own[ALIVE + i] - lane[TOP + i], 0.0)) * own[TOTAL + i]
        lapsed = lane[LAPSED + i]
        lane[SCALE + i] += lapsed * own[DEAD + i] + (1.0 - lapsed) * own[ALIVE + i]


@side_by_side
def survivals(n: int, own: Floats) -> None:
    """w f as w f I / I, to their common scale even where nobody can have lapsed, in DEAD."""
    for i in range(n):
        inverse = exp(min(-own[A + i] * own[LOG_Z + i], -LEAST_EXPONENT)) / own[TOTAL + i]
        own[DEAD + i] = own[ALIVE + i] * inverse
