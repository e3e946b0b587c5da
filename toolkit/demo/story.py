"""The demo's five chapters, each a few commands of the command line, as a user would type them."""

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cache.server import embedded_server
from toolkit.cli.display import console, print_plain
from toolkit.cli.options import DEFAULT_RUNS, REDIS_VARIABLE
from toolkit.demo.orders import DEMO_AS_OF, write_demo_orders
from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = 3
EXPERIMENT = "quick"
BETTER, WORSE = "rhythm", "pooled_gamma"
NO_FIT = "pair_conjugate"
EXPORT_AS_OF = "2018-01-01"
PRODUCT = "770"
"""Milk, which the most households buy."""
TOP = 2
MAXMEMORY_MB = 1024
DONE, REFUSED = 0, 1

type Run = Callable[[Sequence[str]], int]
"""Runs a command of the toolkit; returns its exit code."""


def run_demo(folder: Path, run: Run) -> None:
    """All chapters. Raises ``ToolkitError`` where a command ends in another way than it should."""
    print_plain(
        f"Five chapters, about {MINUTES} minutes on two cores. What they make is in {folder}/, "
        f"{DEFAULT_RUNS}/ and MLflow's mlflow.db."
    )
    database = folder / "orders.duckdb"
    _import(folder / "orders", database, run)
    backtest = _compare(database, run)
    _forecast(folder, database, backtest, run)
    with _cache():
        _promote(database, backtest, run)
        _take_back(database, backtest, run)


def _import(orders: Path, database: Path, run: Run) -> None:
    _chapter(1, "A year of grocery orders comes in")
    with console.status("Converting household purchases to order lines …"):
        left_out = write_demo_orders(orders)
    print_plain(
        f"Purchases of 2,469 households, as order lines: {orders} "
        f"({left_out:,} lines left out: fuel, coupons, miscellaneous, nothing bought or paid)."
    )
    _step(run, "import", str(orders), "--db", str(database))


def _compare(database: Path, run: Run) -> Path:
    """Returns the backtest's folder."""
    _chapter(2, "Which model version forecasts best? Three of them, at two past dates")
    _step(run, "backtest", EXPERIMENT, "--db", str(database))
    backtest = max(DEFAULT_RUNS.glob(f"{EXPERIMENT}-*"), key=lambda path: path.stat().st_mtime)
    _step(run, "compare", str(backtest), NO_FIT, BETTER, "--brief")
    return backtest


def _forecast(folder: Path, database: Path, backtest: Path, run: Run) -> None:
    _chapter(3, "Who orders milk next, when, how much, and how sure are we?")
    _step(
        run, "forecast", PRODUCT, "--db", str(database), "--as-of", DEMO_AS_OF.isoformat(),
        "--model", BETTER, "--fits", str(backtest / "fits"), "--top", str(TOP),
        "--plot", str(folder / "weekly_demand.png"),
    )  # fmt: skip


def _promote(database: Path, backtest: Path, run: Run) -> None:
    _chapter(4, "The best version is promoted, and production reads its forecasts")
    _register(BETTER, database, backtest, run)
    _step(run, "thresholds", str(backtest), "--version", BETTER, "--attach", BETTER, "--brief")
    _step(run, "promote", BETTER, "--brief")
    _export(database, run)


def _take_back(database: Path, backtest: Path, run: Run) -> None:
    _chapter(5, "A worse version is refused; forced all the same, and taken back")
    _register(WORSE, database, backtest, run)
    _step(run, "promote", WORSE, "--brief", code=REFUSED)
    _step(run, "promote", WORSE, "--force", "--reason", "to see what happens", "--brief")
    _export(database, run)
    _step(run, "rollback", "--reason", "as expected", "--redis", os.environ[REDIS_VARIABLE])
    _step(run, "read", PRODUCT, "--brief")
    _step(run, "history", "--brief")


def _register(version: str, database: Path, backtest: Path, run: Run) -> None:
    _step(run, "register", version, "--fits", str(backtest / "fits"), "--db", str(database))


def _export(database: Path, run: Run) -> None:
    _step(run, "export", "--db", str(database), "--as-of", EXPORT_AS_OF)
    _step(run, "read", PRODUCT, "--brief")


def _chapter(number: int, title: str) -> None:
    print_plain(f"\n{number}. {title}")


def _step(run: Run, *arguments: str, code: int = DONE) -> None:
    print_plain(f"$ toolkit {shlex.join(arguments)}")
    ended = run(arguments)
    if ended != code:
        raise ToolkitError(f"`toolkit {shlex.join(arguments)}` ended with {ended}, not {code}")


@contextmanager
def _cache() -> "Iterator[None]":
    """A cache server of the demo's own, where the commands look for one."""
    before = os.environ.get(REDIS_VARIABLE)
    with embedded_server(MAXMEMORY_MB) as server:
        os.environ[REDIS_VARIABLE] = server.url
        try:
            yield
        finally:
            del os.environ[REDIS_VARIABLE]
            if before is not None:
                os.environ[REDIS_VARIABLE] = before
