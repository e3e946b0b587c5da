"""Time and memory against size: ``python -m tests.bench.scale FOLDER [MILLIONS …]``.

Generates parts of about a million order lines each (800 products, 100,000 pairs, 10,000 customers
in all), imports 1, 5 and 25 of them into Parquet, and predicts them, each in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.figure import peak_until_the_end
from toolkit.sources.generator import FIRST_CUSTOMER_ID, Truth, generate_orders

PART = Truth(
    customers=10_000, products=800, pairs=100_000, interval_days=63.0, lapse=0.03, weekly_grid=1.0
)
AS_OF = PART.start_date + timedelta(PART.days)
SIZES = (1, 5, 25)
TOOLKIT = str(Path(sys.executable).with_name("toolkit"))


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command took on some number of order lines; of processors' time, all cores."""

    step: str
    lines: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


def write_parts(folder: Path, count: int) -> list[Path]:
    """The first parts of the order lines; those that are there already stay."""
    files = [folder / f"part-{number:02}.parquet" for number in range(count)]
    for number, file in enumerate(files):
        if not file.exists():
            _write_part(file, number)
    return files


def _write_part(file: Path, number: int) -> None:
    """Products differ from part to part, customers and their orders are those of all."""
    frame = generate_orders(PART, seed=number).order_lines
    day = (frame.ordered_at - np.datetime64(PART.start_date, "s")).dt.days
    customer = frame.customer_id - FIRST_CUSTOMER_ID
    frame = frame.assign(
        order_id=day * PART.customers + customer + 1,
        product_id=frame.product_id + number * PART.products,
    )
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)


def measure(work: Path, parts: list[Path], model: str) -> Iterator[Measured]:
    """Import and prediction of some parts."""
    folder = work / f"orders-{len(parts)}"
    lines = sum(pq.ParquetFile(part).metadata.num_rows for part in parts)
    yield Measured("import", lines, *_timed("import", *parts, "--to", folder))
    out = work / "predictions"
    predict = ("predict", model, "--db", folder, "--as-of", AS_OF, "--out", out)
    yield Measured(f"predict {model}", lines, *_timed(*predict))


def exponent(measured: list[Measured]) -> float:
    """The slope of the log of processors' time, which other work disturbs least, over log lines."""
    lines, taken = ([getattr(m, name) for m in measured] for name in ("lines", "cpu_seconds"))
    return float(np.polyfit(np.log(lines), np.log(taken), 1)[0])


def _timed(*command: object) -> tuple[float, float, float]:
    started, cpu_s = time.perf_counter(), _cpu_s()
    with subprocess.Popen([TOOLKIT, *map(str, command)], stdout=subprocess.DEVNULL) as process:
        peak = peak_until_the_end(process)
    if process.returncode:
        raise SystemExit(f"toolkit {command[0]} failed")
    return time.perf_counter() - started, _cpu_s() - cpu_s, peak


def _cpu_s() -> float:
    """Of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale")
    parser.add_argument("work", type=Path, help="folder for the lines, and what is made of them")
    parser.add_argument("millions", type=int, nargs="*", default=SIZES)
    parser.add_argument("--model", default="pair_conjugate")
    asked = parser.parse_args()
    asked.work.mkdir(exist_ok=True)
    measured: list[Measured] = []
    for millions in asked.millions:
        for one in measure(asked.work, write_parts(asked.work, millions), asked.model):
            measured.append(one)
            print(json.dumps(asdict(one)), flush=True)
    for step in dict.fromkeys(one.step for one in measured):
        of_step = [one for one in measured if one.step == step]
        if len(of_step) > 1:
            print(f"{step}: processors' time ~ lines^{exponent(of_step):.2f}")


if __name__ == "__main__":
    main()
