"""The last mile, command by command: promote, export, read, and take a worse version back."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.cache.server import embedded_server
from toolkit.display import print_plain
from toolkit.errors import ToolkitError

DONE, REFUSED = 0, 1
MAXMEMORY_MB = 1024

_COMMAND = (sys.executable, "-c", "from toolkit.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Tour:
    """Where a tour goes: a backtest, two versions fitted in it, and what to export."""

    run: Path
    better: str
    worse: str
    database: Path
    as_of: str
    product: str


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the toolkit, why it is called, how it has to end, and what comes next if it
    is refused.
    """

    why: str
    arguments: Sequence[str]
    code: int = DONE
    otherwise: Sequence[str] = ()


def steps(tour: Tour) -> Iterator[Step]:
    """From two fits to what production reads, and back."""
    fits, run = ("--fits", str(tour.run / "fits")), str(tour.run)
    database = ("--db", str(tour.database))
    export = ("export", *database, "--as-of", tour.as_of)
    read = ("read", tour.product, "--brief")
    for version in (tour.better, tour.worse):
        yield Step(
            f"{version} becomes a registered version", ("register", version, *fits, *database)
        )
    yield Step(
        "Its thresholds go with it from now on",
        ("thresholds", run, "--version", tour.better, "--attach", tour.better),
    )
    yield Step(
        "The gate looks at the evidence",
        ("promote", tour.better),
        otherwise=("promote", tour.better, "--force", "--reason", "the tour goes on"),
    )
    yield Step("All products, as one release", export)
    yield Step("What any service reads now", read)
    yield Step("A version that is worse is refused", ("promote", tour.worse), REFUSED)
    reason = "the tour wants to see what happens"
    yield Step(
        "Unless somebody takes the blame", ("promote", tour.worse, "--force", "--reason", reason)
    )
    yield Step("What production reads then", export)
    yield Step("Other forecasts, by the worse version", read)
    yield Step(
        "Back, models and forecasts, in one command", ("rollback", "--reason", "as expected")
    )
    yield Step("As before", read)
    yield Step("All of it is written down", ("history",))


def take(tour: Tour) -> None:
    """Run all steps against a cache server of their own; raises if one ends in another way."""
    with embedded_server(MAXMEMORY_MB) as server:
        for step in steps(tour):
            _run(step, server.url)


def _run(step: Step, redis: str) -> None:
    arguments = [*step.arguments, *(["--redis", redis] if step.arguments[0] == "rollback" else [])]
    print_plain(f"\n# {step.why}\n$ toolkit {shlex.join(step.arguments)}")
    environment = os.environ | {"TOOLKIT_REDIS_URL": redis, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run([*_COMMAND, *arguments], env=environment, check=False)
    if done.returncode == REFUSED and step.otherwise:
        _run(Step("Refused; such a small fit may be", step.otherwise), redis)
    elif done.returncode != step.code:
        raise ToolkitError(
            f"`toolkit {shlex.join(arguments)}` ended with {done.returncode}, not {step.code}"
        )
