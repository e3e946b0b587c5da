"""What a fit says of itself: from what, how, how well, and whether it makes such data."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date
from pathlib import Path

from pydantic import AliasChoices, AwareDatetime, Field, JsonValue
from pydantic.dataclasses import dataclass

from toolkit.card import Card, Figure, Grid, Shown
from toolkit.errors import ModelError
from toolkit.validation import load, write

CARD_FILE = "card.json"

MAX_R_HAT, MIN_ESS, MIN_E_BFMI = 1.01, 400.0, 0.3
"""Chains within these limits have converged."""

APPROXIMATE = "approximate, "
"""Begins the warning of a fit that approximates the posterior: no chain that could converge."""

_DIAGNOSTICS = {
    "r_hat": ("largest R-hat", ".3f"),
    "ess_bulk": ("smallest bulk ESS", ",.0f"),
    "ess_tail": ("smallest tail ESS", ",.0f"),
    "divergences": ("divergences", ",.0f"),
    "k_hat": ("k-hat of Laplace's method", ".2f"),
    "seconds": ("seconds", ",.0f"),
}
SENSITIVE = 0.05
"""The threshold of the paper and of ArviZ."""
_SENSITIVITY_HEADS = ("parameter", "prior", "likelihood", "diagnosis")
_CHECK_HEADS = ("statistic", "observed", "prior, 90 %", "posterior, 90 %", "p-value")


type Number = float | None
type DiagnosticValues = Mapping[str, int | float | str | None]


@dataclass(frozen=True, slots=True)
class PredictiveCheck:
    """A statistic of the data, and of data that the model makes; None where it is not defined.

    ``prior_90`` and ``posterior_90`` hold 90 % of what it makes before and after the fit;
    ``tail_p`` is the posterior predictive tail probability, in [0, 1].
    """

    statistic: str
    observed: Number
    prior_90: tuple[float, float] | None
    posterior_90: tuple[float, float] | None
    tail_p: Number


@dataclass(frozen=True, slots=True)
class PriorSensitivity:
    """How far a parameter's posterior moves if the prior, or the likelihood, is scaled by a power.

    None where it cannot move.
    """

    parameter: str
    prior: Number
    likelihood: Number


@dataclass(frozen=True, slots=True)
class PowerScaling:
    """Sensitivity of parameters to prior and likelihood, at least 0.

    Kallioinen, Paananen, Bürkner & Vehtari 2024, doi:10.1007/s11222-023-10366-5. A parameter is
    sensitive from 0.05 on, or from what chance alone gives with so many draws, if that is more.

    >>> found = PowerScaling((PriorSensitivity("shape", 0.3, 0.2),), 0.03, 0.06)
    >>> [each.parameter for each in found.in_conflict]
    ['shape']
    """

    parameters: tuple[PriorSensitivity, ...] = ()
    by_chance_prior: Number = None
    by_chance_likelihood: Number = None

    @property
    def to_prior(self) -> tuple[PriorSensitivity, ...]:
        """The parameters to which the prior matters, most of all the first."""
        least = max(SENSITIVE, self.by_chance_prior or 0.0)
        found = [one for one in self.parameters if (one.prior or 0.0) >= least]
        return tuple(sorted(found, key=lambda one: -(one.prior or 0.0)))

    @property
    def in_conflict(self) -> tuple[PriorSensitivity, ...]:
        """Those of them to which the data matter, too: both may say different things."""
        least = max(SENSITIVE, self.by_chance_likelihood or 0.0)
        return tuple(one for one in self.to_prior if (one.likelihood or 0.0) >= least)


@dataclass(frozen=True, slots=True)
class FitCard(Shown):
    """A fit's own description, ``card.json`` beside its posterior.

    ``diagnostics`` are the sampler's, by name (``r_hat``, ``r_hat_worst`` …), ``warnings`` what
    they say against the fit. ``sensitivity`` has all parameters but the effects of customers and
    products. ``fitted_at``: when the fit was done, in UTC; None where it was not written down.
    """

    model: str = ""
    formulas: str = ""
    version: str = ""
    as_of_date: date | None = None
    pairs: int | None = None
    seed: int | None = None
    description: str = field(default="", repr=False)
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    diagnostics: DiagnosticValues = field(default_factory=dict)
    warnings: tuple[str, ...] = Field(
        default=(),
        validation_alias=AliasChoices("warnings", "complaints"),  # its former name
    )
    checks: tuple[PredictiveCheck, ...] = field(default=(), repr=False)
    sensitivity: PowerScaling = field(default_factory=PowerScaling, repr=False)
    fitted_at: AwareDatetime | None = field(default=None, repr=False)

    @classmethod
    def read(cls, folder: Path) -> "FitCard | None":
        """The card of the fit in ``folder``; None where it has none, as a model without a fit.

        Fields it does not know are left out. ``ModelError`` if it is not a card.
        """
        path = folder / CARD_FILE
        if not path.exists():
            return None
        return load(cls, path, "the card of a fit", ModelError, "`toolkit fit` makes it anew")

    def write(self, folder: Path) -> None:
        """Write the card into ``folder``, whole or not at all."""
        write(folder / CARD_FILE, self)

    def to_card(self) -> Card:
        """How the fit went, and the data beside what the model makes."""
        chains, draws = (self.settings.get(name) for name in ("chains", "draws"))
        sampled = isinstance(chains, int) and isinstance(draws, int)
        how = f" by {chains} chains of {draws:,} draws" if sampled else ""
        if self.settings.get("method") == "laplace":
            how = " by Laplace's method"
        calendar = self.settings.get("calendar", "none")
        if calendar != "none":
            how += f", calendar: {calendar}"
        return Card(
            title=f"{self.model}@{self.version}",
            subtitle=f"fitted to {self.pairs or 0:,} pairs as of {self.as_of_date}{how}",
            figures=[*_figures(self.diagnostics), *_sensitive(self.sensitivity)],
            warnings=[headed(warning) for warning in self.warnings],
            grids=[*_checks(self.checks), *_sensitivities(self.sensitivity)],
        )


def verdict_on(warnings: Sequence[str]) -> str:
    """What a fit with these warnings is.

    >>> verdict_on([]), verdict_on(["3 transitions diverged"])
    ('converged', 'not converged')
    """
    if not warnings:
        return "converged"
    return "approximate" if APPROXIMATE in warnings[0] else "not converged"


def headed(warning: str) -> str:
    """A warning of a fit, or several in a line, under the verdict.

    >>> headed("rhythm@4-1: approximate, by Laplace's method")
    "APPROXIMATE: rhythm@4-1: by Laplace's method"
    """
    return f"{verdict_on([warning]).upper()}: {warning.replace(APPROXIMATE, '')}"


def _figures(found: DiagnosticValues) -> list[Figure]:
    """The diagnostics that decide, as far as the fit has them, with the worst parameter."""
    return [
        Figure(title, number(found[name], form), str(found.get(f"{name}_worst", "")))
        for name, (title, form) in _DIAGNOSTICS.items()
        if name in found
    ]


def _checks(checks: Sequence[PredictiveCheck]) -> list[Grid]:
    rows = [
        (
            check.statistic,
            number(check.observed, ".3g"),
            interval(check.prior_90),
            interval(check.posterior_90),
            number(check.tail_p, ".2f"),
        )
        for check in checks
    ]
    title = "Prior and posterior predictive checks"
    return [Grid(title, _CHECK_HEADS, rows, frozenset(_CHECK_HEADS[1:]))] if rows else []


def _sensitive(found: PowerScaling) -> list[Figure]:
    """How many parameters are sensitive to the prior, and how many in conflict with it."""
    if not found.parameters:
        return []
    value = f"{len(found.to_prior)} of {len(found.parameters)} parameters"
    conflicts = f"{len(found.in_conflict)} possibly in conflict with the data"
    return [Figure("sensitive to the prior", value, conflicts)]


def _sensitivities(found: PowerScaling) -> list[Grid]:
    """Those that are sensitive to the prior, the most sensitive first."""
    conflicts = {one.parameter for one in found.in_conflict}
    rows = [
        (
            one.parameter,
            number(one.prior, ".2f"),
            number(one.likelihood, ".2f"),
            "prior-data conflict?" if one.parameter in conflicts else "strong prior, weak data?",
        )
        for one in found.to_prior
    ]
    chance = (number(one, ".2f") for one in (found.by_chance_prior, found.by_chance_likelihood))
    title = f"Sensitive to the prior, by power scaling (chance alone: {' and '.join(chance)})"
    numbers = frozenset(_SENSITIVITY_HEADS[1:3])
    return [Grid(title, _SENSITIVITY_HEADS, rows, numbers)] if rows else []


def number(value: object, form: str) -> str:
    """A number as text; a dash where there is none."""
    return f"{value:{form}}" if isinstance(value, int | float) else "–"


def interval(bounds: Sequence[float] | None) -> str:
    """Both ends of an interval as text; a dash where there is none."""
    return "–" if bounds is None else " – ".join(number(one, ".3g") for one in bounds)
