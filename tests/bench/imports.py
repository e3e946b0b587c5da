"""Imports of generated files, each in a process of its own: ``python -m tests.bench.imports FILE``.

With ``--to`` the orders are written as a folder of Parquet, too. That prints the seconds of the
import and the process's peak memory in MB.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from tests.bench.figure import Figure, peak_mb
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.parquet.writing import write_parquet

RETURNED_UNITS = 100


def measure_imports(work: Path) -> Iterator[Figure]:
    """A million lines of CSV, seven of Parquet, those with many returns, and into Parquet again."""
    csv, parquet, returns = (work / name for name in ("lines.csv", "lines.parquet", "back.parquet"))
    write_lines(csv, 1_000_000, customers=300, products=1000)
    write_lines(parquet, 7_000_000, customers=5000, products=5000)
    write_lines(returns, 7_000_000, customers=5000, products=5000, returned=0.05)
    yield from _measured(csv, "import, 1 M lines of CSV", 4, 1000)
    yield from _measured(parquet, "import, 7 M lines of Parquet", 8, 2000)
    yield from _measured(returns, "import, 7 M lines, one in 20 a return", None, 2000)
    yield from _measured(parquet, "import, 7 M lines, into a folder of Parquet", 17, 2000, "--to")


def write_lines(
    file: Path, lines: int, customers: int, products: int, returned: float = 0.001
) -> None:
    """Order lines, ten to an order, of which the share ``returned`` takes 100 units back."""
    form = "parquet" if file.suffix == ".parquet" else "csv"
    with duckdb.connect(config={"threads": 1}) as conn:
        conn.execute("SELECT setseed(0.5)")
        conn.execute(f"""
            COPY (
                WITH orders AS (
                    SELECT i AS order_id, 1 + floor(random() ** 2 * {customers})::BIGINT
                           AS customer_id, TIMESTAMP '2015-01-05' + to_days((random() * 1800)::INT)
                           + to_seconds((random() * 36000)::INT) AS ordered_at
                    FROM range({lines // 10}) ids(i)
                )
                SELECT order_id, customer_id,
                       1 + floor(random() ** 2 * {products})::BIGINT AS product_id, ordered_at,
                       CASE WHEN random() < {returned} THEN -{RETURNED_UNITS}
                            ELSE 1 + floor(random() * 24)::INT END AS quantity,
                       round(1 + random() * 40, 2) AS unit_price
                FROM orders, range(10)
            ) TO '{file}' (FORMAT {form})""")


def _measured(
    file: Path, name: str, seconds: float | None, mb: float, *options: str
) -> Iterator[Figure]:
    command = [sys.executable, "-m", "tests.bench.imports", str(file), *options]
    took, peak = json.loads(subprocess.check_output(command))
    yield Figure(name, took, "s", seconds)
    yield Figure(f"{name}: peak memory", peak, "MB", mb)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        started, database = time.perf_counter(), Path(folder) / "orders.duckdb"
        import_orders([Path(sys.argv[1])], database)
        if "--to" in sys.argv:
            write_parquet(database, Path(folder) / "orders")
        print(json.dumps([time.perf_counter() - started, peak_mb()]))


if __name__ == "__main__":
    main()
