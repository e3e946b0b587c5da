"""Ranks as JSON, a table, and a figure of ECDF differences within their bands."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.table import Table

from tests.sbc.calibration import ENOUGH_ESS, RANKED_DRAWS, Replication
from tests.sbc.uniformity import band, ecdf_difference, grid, uniformity

COLUMNS = 5


def ranks_by_quantity(replications: Sequence[Replication]) -> dict[str, np.ndarray]:
    """[replications] each."""
    names = replications[0].ranks
    return {name: np.array([one.ranks[name] for one in replications]) for name in names}


def write_ranks(replications: Sequence[Replication], seed: int, path: Path) -> None:
    ranks = ranks_by_quantity(replications)
    lines = [
        f'  "seed": {seed},',
        f'  "ranked_draws": {RANKED_DRAWS},',
        f'  "draws": {[one.draws for one in replications]},',
        f'  "least_ess": {[round(one.least_ess) for one in replications]},',
        f'  "divergences": {[one.divergences for one in replications]},',
        f'  "restarts": {[one.restarts for one in replications]},',
        '  "uniformity": {',
        ",\n".join(
            f"    {json.dumps(name)}: {json.dumps(asdict(uniformity(values, RANKED_DRAWS)))}"
            for name, values in ranks.items()
        ),
        "  },",
        '  "ranks": {',
        ",\n".join(f"    {json.dumps(name)}: {values.tolist()}" for name, values in ranks.items()),
        "  }",
    ]
    path.write_text("\n".join(["{", *lines, "}"]) + "\n")


def table(name: str, replications: Sequence[Replication]) -> Table:
    short = sum(one.least_ess < ENOUGH_ESS for one in replications)
    diverged = sum(one.divergences > 0 for one in replications)
    shown = Table(
        title=f"{name}: {len(replications)} replications, {diverged} with divergences, "
        f"{short} with fewer than {ENOUGH_ESS} effective draws, "
        f"{sum(one.restarts for one in replications)} stuck chains begun again",
        title_justify="left",
    )
    shown.add_column("quantity")
    for column in ("χ² p", "largest ECDF deviation", "ECDF p"):
        shown.add_column(column, justify="right")
    shown.add_column("in 95 % band")
    for quantity, ranks in ranks_by_quantity(replications).items():
        found = uniformity(ranks, RANKED_DRAWS)
        shown.add_row(
            quantity.replace("[", r"\["),
            f"{found.chi_square_p:.3f}",
            f"{found.largest_deviation:.3f}",
            f"{found.ecdf_p:.3f}",
            "yes" if found.inside else "NO",
        )
    return shown


def draw_figure(name: str, replications: Sequence[Replication], path: Path) -> None:
    quantities = ranks_by_quantity(replications)
    rows = -(-len(quantities) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(2.4 * COLUMNS, 1.7 * rows + 0.4), sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    lowest, highest = band(len(replications), RANKED_DRAWS)
    z = grid(RANKED_DRAWS)
    for axis in axes.flat[len(quantities) :]:
        axis.set_axis_off()
    for axis, (quantity, ranks) in zip(axes.flat, quantities.items(), strict=False):
        inside = uniformity(ranks, RANKED_DRAWS).inside
        axis.fill_between(z, lowest, highest, color="0.88", step="mid", linewidth=0)
        axis.step(
            z, ecdf_difference(ranks, RANKED_DRAWS), where="mid", linewidth=1.2,
            color="tab:blue" if inside else "tab:red",
        )  # fmt: skip
        axis.axhline(0.0, color="0.6", linewidth=0.6)
        axis.set_title(quantity, fontsize=8)
        axis.tick_params(labelsize=7)
    figure.suptitle(
        f"{name}: ECDF of ranks less uniform, {len(replications)} replications, "
        "95 % simultaneous band",
        fontsize=9,
    )
    figure.savefig(path, dpi=90)
    plt.close(figure)
