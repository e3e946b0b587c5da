"""One measured number, and the clock."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

HORIZON_WEEKS = 12
DRAWS = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; ``at_most`` says on which side of ``target`` it should lie."""

    figure: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Median wall time of ``work``."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
