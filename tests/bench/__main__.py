"""Print the figures as a table and write them to ``bench.json``."""

import argparse
import json
import logging
from dataclasses import asdict
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figure import Figure
from tests.bench.figures import measure

RESULT = Path("bench.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--data", type=Path, help="folder of order lines; generated if not given")
    parser.add_argument("--as-of", type=date.fromisoformat, help="else 12 weeks before the end")
    parser.add_argument("--fits", action="store_true", help="fit every version, too: half an hour")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    console = Console()
    figures = []
    with console.status("Measuring …") as status:
        for figure in measure(asked.data, asked.as_of, asked.fits):
            figures.append(figure)
            status.update(f"Measured {figure.figure} …")
    console.print(_table(figures, str(asked.data or "generated orders")))
    RESULT.write_text(json.dumps([asdict(f) | {"met": f.met} for f in figures], indent=2) + "\n")


def _table(figures: list[Figure], data: str) -> Table:
    table = Table(title=f"Measured on {data}", title_justify="left")
    for name, justify in (
        ("figure", "left"),
        ("value", "right"),
        ("target", "right"),
        ("met", "left"),
    ):
        table.add_column(name, justify=justify)
    for f in figures:
        sign = "≤" if f.at_most else "≥"
        target = "" if f.target is None else f"{sign} {f.target:,g} {f.unit}"
        met = {None: "", True: "yes", False: "NO"}[f.met]
        table.add_row(f.figure, f"{f.value:,.4g} {f.unit}", target, met)
    return table


if __name__ == "__main__":
    main()
