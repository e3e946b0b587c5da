"""Cause the faults, print what became of each, and end with 1 where one did not hold."""

import argparse
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module

from rich.console import Console
from rich.table import Table

from tests.faults.tally import Tally

SHOWN = 5


def main() -> None:
    """Of each kind as many as asked for; 0 leaves it out."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--kills", type=int, default=200, help="of commands that write")
    parser.add_argument("--central", type=int, default=20, help="kills where MLflow is a server")
    parser.add_argument("--seconds", type=float, default=60.0, help="of many readers")
    parser.add_argument("--rubbish", type=int, default=2000, help="values in Redis")
    parser.add_argument("--replicas", type=int, default=10, help="promoted under readers")
    parser.add_argument("--seed", type=int, default=20)
    asked = parser.parse_args()
    console, tallies = Console(), []
    with suppress(KeyboardInterrupt):  # what was found so far is shown
        for tally in caused(asked):
            tallies.append(tally)
            console.print(f"{tally.fault} …")
    console.print(_table(tallies))
    for tally in tallies:
        for flaw in tally.wrong[:SHOWN]:
            console.print(f"DID NOT HOLD: {tally.fault}, {flaw}", markup=False)
    sys.exit(any(tally.wrong for tally in tallies))


def caused(asked: argparse.Namespace) -> Iterator[Tally]:
    """What is being counted; those first that fork, as nothing has started a thread by then."""
    from tests.faults import central, kills, readers, replica, rubbish

    chance = random.Random(asked.seed)
    import_module("tests.imported")  # what they fork
    if asked.kills:
        yield from kills.kills(asked.kills, chance)
    if asked.central:
        yield from central.central_kills(asked.central, chance)
    if asked.seconds:
        yield from readers.readers(asked.seconds)
    if asked.rubbish:
        yield from rubbish.rubbish(asked.rubbish, chance)
    if asked.replicas:
        yield from replica.promotions(asked.replicas)


def _table(tallies: list[Tally]) -> Table:
    table = Table(title="Faults, and what became of each", title_justify="left")
    for name, justify in (
        ("fault", "left"),
        ("caused", "right"),
        ("held", "right"),
        ("seen", "left"),
    ):
        table.add_column(name, justify=justify)
    for one in tallies:
        table.add_row(one.fault, f"{one.caused:,}", f"{one.held:,}", one.told())
    return table


if __name__ == "__main__":
    main()
