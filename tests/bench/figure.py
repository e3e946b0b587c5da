"""One measured number, and the clock."""

import re
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

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


def peak_mb(process: int | str = "self") -> float:
    """The largest resident memory of a process so far, in MB (Linux).

    ``getrusage`` also counts what the parent held when it started the process.
    """
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return int(found[1]) / 1000 if found else 0.0


def peak_until_the_end(child: subprocess.Popen[bytes], every_s: float = 0.2) -> float:
    """Wait for ``child``; its largest resident memory, in MB."""
    peak = 0.0
    while child.poll() is None:
        peak = max(peak, peak_mb(child.pid))
        with suppress(subprocess.TimeoutExpired):
            child.wait(every_s)
    return peak
