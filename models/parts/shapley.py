"""Shapley's value: a sum divided among those who make it, whoever comes first.

What a player adds depends on who is there already. The Shapley value is the mean over all orders in
which players can come: together they add up to exactly what all of them make, nobody gets anything
for nothing, and equal players get equal shares.

Source: Shapley (1953), doi:10.1515/9781400881970-018; Shorrocks (2013),
doi:10.1007/s10888-011-9214-z, for the decomposition of any statistic by it.
"""

from math import comb

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats, Ints


def coalitions(players: int) -> NDArray[np.bool_]:
    """Who is in each coalition, [2 ** players, players]: row r holds the bits of r.

    >>> coalitions(2).astype(int).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    there: NDArray[np.bool_] = (np.arange(2**players)[:, None] >> np.arange(players)) & 1 == 1
    return there


def shapley(values: Floats) -> Floats:
    """The players' shares [players, …] of what coalitions make, ``values`` [2 ** players, …].

    They add up to the last of the values less the first, within rounding.

    >>> shapley(np.array([1.0, 2.0, 4.0, 7.0])).tolist()
    [2.0, 4.0]
    """
    players = len(values).bit_length() - 1
    rows = np.arange(len(values))
    size = coalitions(players).sum(axis=1)
    return np.stack([_share(values, rows, size, player) for player in range(players)])


def _share(values: Floats, rows: Ints, size: Ints, player: int) -> Floats:
    without = rows[rows >> player & 1 == 0]
    players = len(rows).bit_length() - 1
    weight = np.array([1.0 / (players * comb(players - 1, int(s))) for s in size[without]])
    added = values[without + (1 << player)] - values[without]
    share: Floats = np.tensordot(weight, added, axes=1)
    return share
