"""What a fit says of itself: from what, how, how well, and whether it makes such data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

from toolkit.card import Card, Figure, Grid, Shown
from toolkit.errors import ModelError

CARD_FILE = "card.json"

_TEXTS = ("model", "formulas", "version", "description")

_DIAGNOSTICS = {
    "r_hat": ("largest R-hat", ".3f"),
    "ess_bulk": ("smallest bulk ESS", ",.0f"),
    "ess_tail": ("smallest tail ESS", ",.0f"),
    "divergences": ("divergences", ",.0f"),
    "seconds": ("seconds", ",.0f"),
}
_CHECK_HEADS = ("statistic", "observed", "prior, 90 %", "posterior, 90 %", "p-value")


@dataclass(frozen=True, slots=True)
class FitCard(Shown):
    """A fit's own description, ``card.json`` beside its posterior.

    ``diagnostics`` are the sampler's, by name (``r_hat``, ``r_hat_worst`` …), ``warnings`` what
    they say against the fit, ``checks`` the predictive checks: each a ``statistic``, ``observed``,
    ``prior_90`` and ``posterior_90`` (two numbers each) and ``tail_p``; None where undefined.
    """

    model: str = ""
    formulas: str = ""
    version: str = ""
    as_of_date: str | None = None
    pairs: int | None = None
    seed: int | None = None
    description: str = field(default="", repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    checks: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @classmethod
    def read(cls, folder: Path) -> "FitCard | None":
        """The card of the fit in ``folder``; None where it has none, as a model without a fit.

        Fields it does not know are left out. ``ModelError`` if it is not a card.
        """
        path = folder / CARD_FILE
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as exc:
            raise ModelError(f"{path} is not the card of a fit: {exc}") from exc
        if not isinstance(content, dict):
            raise ModelError(f"{path} is not the card of a fit: it holds no object")
        content.setdefault("warnings", content.pop("complaints", []))  # its former name
        known = {one.name for one in fields(cls)}
        card = cls(**{name: value for name, value in content.items() if name in known})
        wrong = card._wrong()
        if wrong:
            raise ModelError(f"{path} is not the card of a fit: {', '.join(wrong)} cannot be read")
        return card

    def _wrong(self) -> list[str]:
        """The fields that hold what they cannot."""
        texts = [name for name in _TEXTS if not isinstance(getattr(self, name), str)]
        counts = {"pairs": self.pairs, "seed": self.seed}
        maps = {"settings": self.settings, "diagnostics": self.diagnostics}
        right = {
            **{name: value is None or type(value) is int for name, value in counts.items()},
            **{name: isinstance(value, dict) for name, value in maps.items()},
            "as_of_date": self.as_of_date is None or _is_date(self.as_of_date),
            "warnings": _all(self.warnings, str),
            "checks": _all(self.checks, dict),
        }
        return texts + [name for name, holds in right.items() if not holds]

    def write(self, folder: Path) -> None:
        """Write the card into ``folder``, whole or not at all."""
        part = folder / f"{CARD_FILE}.part"
        part.write_text(json.dumps(asdict(self), indent=2) + "\n")
        part.replace(folder / CARD_FILE)

    def to_card(self) -> Card:
        """How the fit went, and the data beside what the model makes."""
        chains, draws = (self.settings.get(name) for name in ("chains", "draws"))
        sampled = isinstance(chains, int) and isinstance(draws, int)
        how = f" by {chains} chains of {draws:,} draws" if sampled else ""
        return Card(
            title=f"{self.model}@{self.version}",
            subtitle=f"fitted to {self.pairs or 0:,} pairs as of {self.as_of_date}{how}",
            figures=_figures(self.diagnostics),
            warnings=[f"NOT CONVERGED: {warning}" for warning in self.warnings],
            grids=_checks(self.checks),
        )


def _figures(found: Mapping[str, Any]) -> list[Figure]:
    """The diagnostics that decide, as far as the fit has them, with the worst parameter."""
    return [
        Figure(title, number(found[name], form), str(found.get(f"{name}_worst", "")))
        for name, (title, form) in _DIAGNOSTICS.items()
        if name in found
    ]


def _checks(checks: Sequence[Mapping[str, Any]]) -> list[Grid]:
    rows = [
        (
            str(check["statistic"]),
            number(check.get("observed"), ".3g"),
            interval(check.get("prior_90")),
            interval(check.get("posterior_90")),
            number(check.get("tail_p"), ".2f"),
        )
        for check in checks
        if "statistic" in check
    ]
    title = "Prior and posterior predictive checks"
    return [Grid(title, _CHECK_HEADS, rows, frozenset(_CHECK_HEADS[1:]))] if rows else []


def number(value: object, form: str) -> str:
    """A number as text; a dash where there is none."""
    return f"{value:{form}}" if isinstance(value, int | float) else "–"


def interval(bounds: object) -> str:
    """Both ends of an interval as text; a dash where there is none."""
    return " – ".join(number(one, ".3g") for one in bounds) if isinstance(bounds, list) else "–"


def _all(values: object, kind: type) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(one, kind) for one in values)


def _is_date(text: object) -> bool:
    try:
        date.fromisoformat(str(text))
    except ValueError:
        return False
    return isinstance(text, str)
