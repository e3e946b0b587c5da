"""What a process remembers: bounded, the least recently used goes first, safe from many threads."""

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter

from cachetools import LRUCache


@dataclass(frozen=True, slots=True)
class Kept[V]:
    """A value, when it was known to be good, and how old it was then.

    ``known_at`` is of the monotonic clock, which nobody sets; ``age_s`` is never negative.
    """

    value: V
    known_at: float
    age_s: float

    def age_at(self, now: float) -> float:
        """Seconds since it was generated, at ``now`` of the monotonic clock."""
        return self.age_s + max(0.0, now - self.known_at)

    def known_for(self, now: float) -> float:
        """Seconds since it was known to be good."""
        return max(0.0, now - self.known_at)


class Memory[V]:
    """At most ``entries`` values that weigh ``weight`` together."""

    def __init__(self, entries: int, weight: int) -> None:
        self._entries = entries
        self._weight = weight
        self.reset()

    def reset(self) -> None:
        """Start anew; in a forked child the threads that held the lock are gone."""
        self._lock = threading.Lock()
        self._kept: LRUCache[Hashable, tuple[Kept[V], int]] = LRUCache(self._weight, itemgetter(1))

    def get(self, key: Hashable) -> Kept[V] | None:
        """What is kept under ``key``; it is the last to go now."""
        with self._lock:
            found = self._kept.get(key)
        return None if found is None else found[0]

    def put(self, key: Hashable, kept: Kept[V], weight: int) -> None:
        """Keep it, unless it is heavier than all may be together."""
        with self._lock:
            self._kept.pop(key, None)
            if weight > self._weight:
                return
            self._kept[key] = (kept, weight)
            while len(self._kept) > self._entries:
                self._kept.popitem()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)


def kept_now[V](value: V, generated_at: datetime | None) -> Kept[V]:
    """``value``, known to be good now; of age 0 if that is not known or, as clocks jump, ahead."""
    now = datetime.now(UTC)
    return Kept(value, time.monotonic(), max(0.0, (now - (generated_at or now)).total_seconds()))


def in_words(seconds: float) -> str:
    """An age for messages.

    >>> in_words(90), in_words(7300), in_words(200_000)
    ('90 s', '2.0 h', '2.3 days')
    """
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
