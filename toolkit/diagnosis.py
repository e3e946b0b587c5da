"""Whether a fit's chains have converged, by ArviZ: in the terminal, and as a page with plots."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import arviz as az
import matplotlib.pyplot as plt

from toolkit.card import Card, Grid, Shown
from toolkit.errors import ModelError
from toolkit.model import FittedModel, known_model
from toolkit.results.fit import FitCard

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SHOWN = 15
"""So many parameters are in the table: those with the least effective draws."""

DRAWN = 8
"""So many parameters that are one number each are drawn."""

_COLUMNS = {
    "mean": ("mean", ".3g"),
    "sd": ("sd", ".2g"),
    "r_hat": ("R-hat", ".3f"),
    "ess_bulk": ("bulk", ",.0f"),
    "ess_tail": ("tail", ",.0f"),
    "mcse_mean": ("MCSE", ".2g"),
}
"""Columns of ArviZ's summary: their heads here, and how numbers are written."""


@runtime_checkable
class _Sampled(Protocol):
    """A fitted model that keeps what sampling left."""

    def to_datatree(self) -> "xr.DataTree":
        """In ArviZ's groups."""


def tree_of(fitted: FittedModel) -> "xr.DataTree":
    """The draws of a fit in ArviZ's groups; ``ModelError`` where it keeps none."""
    if not isinstance(fitted, _Sampled):
        raise ModelError(f"{fitted.name} keeps no draws: there is nothing to diagnose")
    return fitted.to_datatree()


def summary_of(tree: "xr.DataTree") -> "pd.DataFrame":
    """A row per parameter: mean, deviation, R-hat, effective draws, Monte Carlo errors."""
    summary: pd.DataFrame = az.summary(tree, round_to="none")
    return summary


@dataclass(frozen=True)
class Diagnosis(Shown):
    """What ArviZ says of a fit's draws; ``tree`` holds them, in ArviZ's groups."""

    fit: FitCard
    tree: "xr.DataTree" = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> "Diagnosis":
        """Of the fit saved in ``folder``; ``ModelError`` where nothing was sampled."""
        card = FitCard.read(folder)
        if card is None or not card.diagnostics:
            raise ModelError(f"{folder} holds no draws: there is nothing to diagnose")
        fitted = known_model(card.model).load(folder)  # refuses draws that are not the card's
        return cls(card, tree_of(fitted))

    @cached_property
    def summary(self) -> "pd.DataFrame":
        """A row per parameter: mean, deviation, R-hat, effective draws, Monte Carlo error."""
        return summary_of(self.tree)

    def to_card(self) -> Card:
        """The fit's card, and the parameters with the least effective draws."""
        card = self.fit.to_card()
        worst = self.summary.sort_values("ess_bulk").head(SHOWN)
        rows = [
            (str(name), *(f"{row[column]:{form}}" for column, (_, form) in _COLUMNS.items()))
            for name, row in worst.iterrows()
        ]
        heads = ("parameter", *(head for head, _ in _COLUMNS.values()))
        title = f"{len(rows)} of {len(self.summary):,} parameters, those of the least ESS"
        return replace(card, grids=[Grid(title, heads, rows, frozenset(heads[1:])), *card.grids])

    def page(self) -> str:
        """One HTML page that opens offline: the card, trace, rank, energy and forest plots."""
        return self.to_card().page(self._figures())

    def _figures(self) -> Iterator[tuple[str, bytes]]:
        posterior = self.tree["posterior"].to_dataset()
        single = [str(n) for n, array in posterior.items() if array.dims == ("chain", "draw")]
        drawn = single[:DRAWN]
        ranks = ("Ranks of the draws by chain: uniform where chains have mixed", az.plot_rank_dist)
        for title, plot in (
            ("Trace and density by chain", az.plot_trace_dist),
            *([ranks] if posterior.sizes["chain"] > 1 else []),
            ("Intervals by chain", az.plot_forest),
        ):
            yield title, _png(plot(self.tree, var_names=drawn, backend="matplotlib"))
        statistics = self.tree.get("sample_stats")
        if statistics is not None and "energy" in statistics:
            yield "Energy", _png(az.plot_energy(self.tree, backend="matplotlib"))


def _png(made: "az.PlotCollection") -> bytes:
    held = io.BytesIO()
    made.viz["figure"].item().savefig(held, format="png", dpi=90, bbox_inches="tight")
    plt.close("all")
    return held.getvalue()
