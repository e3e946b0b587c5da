"""How long cached forecasts stay, by use, in seconds."""

import random

AD_HOC_TTL_S = 3600
"""A forecast that somebody asked for: 1 hour."""

BATCH_TTL_S = 86_400
"""The forecasts of a nightly batch, a release: 1 day."""

RELEASE_TTL_S = 3 * BATCH_TTL_S
"""A release: some nights may fail before readers have nothing, and there is one to go back to."""

HISTORY_TTL_S = 604_800
"""Forecasts as of past dates, which no new order changes; releases kept for a rollback: 7 days."""

JITTER = 0.1
"""The share by which a time to live is shortened at most, so that not all expire at once."""


def jittered_ms(ttl_s: int) -> int:
    """``ttl_s`` in milliseconds, shortened at random by at most ``JITTER``.

    >>> 3_240_000 <= jittered_ms(3600) <= 3_600_000
    True
    """
    return max(1, int(1000 * ttl_s * (1 - JITTER * random.random())))
