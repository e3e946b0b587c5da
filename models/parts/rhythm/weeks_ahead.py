"""How weeks to come differ from what a season says of them, read from forecasts it would have made.

A week's log level is, apart from the level of all,

    smooth + b e + t √(s² + (γ e)²),

where e is by how much the season says that the week stands out from its neighbours, and t is
Student's with 4 degrees of freedom. The next holiday may go otherwise than the last one (γ), and
customers may have given up to order around holidays: b is the share of what stood out that comes
again. Most likely all does (b = 1), else any share may.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from toolkit.data.tables import Floats

TAIL = 4.0
"""Degrees of freedom of Student's t."""
FURTHEST = 4.0
"""It is held to so many times its scale: beyond, a week would be many times what it usually is."""
SPREADS: Floats = np.exp(np.linspace(np.log(0.01), np.log(0.4), 38))[:, None, None]
RATIOS: Floats = np.linspace(0.0, 1.5, 31)[None, :, None]
SHARES: Floats = np.linspace(0.0, 1.0, 21)[None, None, :]
"""Values that s, γ and b are averaged over."""
LOG_SPREAD, LOG_SPREAD_SD = float(np.log(0.07)), 0.6
RATIO, RATIO_SD = 0.4, 0.3
"""Priors of log s and γ, normal."""
ALL_AGAIN = 0.8
"""Prior probability of b = 1; any other share is as likely as the next."""


class Backcast(NamedTuple):
    """Weeks after an earlier date, and what the season of that date says of them, each [weeks]."""

    log_counts: Floats
    smooth: Floats
    out: Floats
    counting: Floats  # variance of a log count, of counting alone


@dataclass(frozen=True, slots=True)
class WeeksAhead:
    """Posterior means of s, γ and b."""

    spread: float
    ratio: float
    share: float

    @classmethod
    def of(cls, backcasts: Sequence[Backcast]) -> "WeeksAhead":
        """What the weeks after earlier dates tell; the priors' means without any."""
        others = (1.0 - ALL_AGAIN) / (SHARES.size - 1)
        log_p = (
            np.log(np.where(SHARES < 1.0, others, ALL_AGAIN))
            - (
                ((np.log(SPREADS) - LOG_SPREAD) / LOG_SPREAD_SD) ** 2
                + ((RATIOS - RATIO) / RATIO_SD) ** 2
            )
            / 2.0
        )
        for one in backcasts:
            off = one.log_counts - one.smooth - one.out
            off -= np.median(off)
            for i in range(len(off)):
                variance = SPREADS**2 + (RATIOS * one.out[i]) ** 2 + one.counting[i]
                apart = off[i] + (1.0 - SHARES) * one.out[i]
                log_p = log_p - np.log(variance) / 2.0
                log_p -= (TAIL + 1.0) / 2.0 * np.log1p(apart**2 / (TAIL * variance))
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        return cls(*(float((p * values).sum()) for values in (SPREADS, RATIOS, SHARES)))

    def factors(self, out: Floats, draws: int, rng: np.random.Generator) -> Floats:
        """By how many times weeks that stand ``out`` may be off their level, [weeks, draws].

        Each week's draws come in strata, and their mean is 1.
        """
        scale = np.sqrt(self.spread**2 + (self.ratio * out) ** 2)
        levels = rng.permuted(np.tile((np.arange(draws) + 0.5) / draws, (len(out), 1)), axis=1)
        off = np.clip(stdtrit(TAIL, levels), -FURTHEST, FURTHEST)
        factors = np.exp(scale[:, None] * off)
        mean: Floats = factors.mean(axis=1, keepdims=True)
        return factors / mean
