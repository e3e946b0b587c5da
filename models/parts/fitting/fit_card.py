"""What a fit shows of itself in a notebook."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.card import Card as FitCard
from models.parts.fitting.figures import MOST_PARAMETERS, scalars
from toolkit.results.html import Card, Figure, Grid

HEADS = ("statistic", "the data", "prior, 90 %", "posterior, 90 %", "P(more)")
POPULATION = ("parameter", "mean", "90 %")


def fit_card(card: FitCard, arrays: Mapping[str, NDArray[Any]]) -> Card:
    """How a fit went, what it learned of the population, and whether it makes such data."""
    settings = card.settings
    sampled = "chains" in settings and "draws" in settings
    how = f" by {settings['chains']} chains of {settings['draws']:,} draws" if sampled else ""
    return Card(
        title=f"{card.model}@{card.version}",
        subtitle=f"Fitted to {card.pairs:,} pairs as of {card.as_of_date}{how}",
        figures=_diagnostics(card.diagnostics),
        warnings=[f"Not converged: {complaint}" for complaint in card.complaints],
        grids=[*_population(scalars(arrays)), *_checks(card)],
    )


def _diagnostics(found: Mapping[str, Any]) -> list[Figure]:
    """Those that decide, as far as the fit has them, with the parameter that is worst."""
    titles = {
        "r_hat": ("largest R-hat", ".3f"),
        "ess_bulk": ("least bulk ESS", ",.0f"),
        "ess_tail": ("least tail ESS", ",.0f"),
        "divergences": ("divergences", ",.0f"),
        "seconds": ("seconds", ",.0f"),
    }
    return [
        Figure(title, f"{found[name]:{form}}", str(found.get(f"{name}_worst", "")))
        for name, (title, form) in titles.items()
        if name in found
    ]


def _population(draws: Mapping[str, NDArray[Any]]) -> list[Grid]:
    rows = [
        (name, f"{values.mean():.3g}", _range(np.quantile(values, (0.05, 0.95)).tolist()))
        for name, values in list(draws.items())[:MOST_PARAMETERS]
    ]
    return [Grid("The population", POPULATION, rows, frozenset(POPULATION[1:]))] if rows else []


def _checks(card: FitCard) -> list[Grid]:
    rows = [
        (
            check["statistic"],
            _number(check["observed"], ".3g"),
            _range(check["prior_90"]),
            _range(check["posterior_90"]),
            _number(check["tail_p"], ".2f"),
        )
        for check in card.checks
        if "statistic" in check
    ]
    title = "The data, and what the model makes"
    return [Grid(title, HEADS, rows, frozenset(HEADS[1:]))] if rows else []


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _range(bounds: list[float] | None) -> str:
    return "–" if bounds is None else " – ".join(f"{bound:.3g}" for bound in bounds)
