"""Calibrate every version that NUTS fits; ranks, table and figure go to ``experiments/sbc``."""

import argparse
from pathlib import Path

from rich.console import Console

from tests.sbc.processes import calibrate
from tests.sbc.report import draw_figure, table, write_ranks
from tests.sbc.subjects import SUBJECTS
from toolkit.installed import model_names
from toolkit.model import FittedModel, find_model

OUT = Path("experiments/sbc")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make sbc")
    parser.add_argument("versions", nargs="*", help="those to calibrate; all if none is given")
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=20251111)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    console = Console()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.versions or fitted_versions():
        if name not in SUBJECTS:
            console.print(f"{name} has no simulator of its prior: left out")
            continue
        with console.status(f"Calibrating {name} …"):
            # An unfinished run continues from these.
            lines = given.out / f"{name}-{given.replications}-{given.seed}.jsonl"
            found = calibrate(name, given.replications, given.jobs, given.seed, lines)
        write_ranks(found, given.seed, given.out / f"{name}.json")
        draw_figure(name, found, given.out / f"{name}.png")
        lines.unlink()
        console.print(table(name, found))


def fitted_versions() -> list[str]:
    """The registered versions that need a fit."""
    return [name for name in model_names() if not isinstance(find_model(name), FittedModel)]


if __name__ == "__main__":
    main()
