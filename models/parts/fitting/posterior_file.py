"""A fitted version on disk: the population's draws as netCDF, card and diagnostics as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.card import digest
from models.parts.fitting.figures import MOST_PARAMETERS, scalars
from models.parts.fitting.inference import FormerFormatError, Inference, read_inference
from toolkit.card import Card, Grid, Shown
from toolkit.data.tables import Floats
from toolkit.disk import whole_file
from toolkit.errors import ModelError
from toolkit.results.fit import CARD_FILE, FitCard, interval

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from toolkit.results.figures import Drawing

POSTERIOR_FILE = "posterior.nc"


@dataclass(frozen=True, slots=True)
class Fit(Shown):
    """What every fitted version is: a card, and draws of its population posterior, [draw, …].

    ``inference`` is all that sampling left, in ArviZ's groups; None where nothing was sampled.
    """

    card: FitCard
    arrays: dict[str, NDArray[Any]] = field(repr=False)
    inference: Inference | None = field(default=None, kw_only=True, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The version's name, as registered."""
        return self.card.model

    @property
    def version(self) -> str:
        """The formulas' version and a digest of the posterior's draws."""
        return self.card.version

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the sampler's diagnostics say against it."""
        return self.card.warnings

    def plot_population(self, parameters: Sequence[str] | None = None) -> "Figure":
        """The population's posterior, by ArviZ-plots; ``parameters``: some names, not all.

        The figure is Matplotlib's, returned and never shown. Raises ``ArgumentError`` for names
        that the fit does not have, ``ModelError`` where none was sampled.
        """
        from models.parts.fitting.figures import population_figure

        return population_figure(self._title, self.arrays, parameters)

    def plot_checks(self) -> "Drawing":
        """The predictive checks of the card: the data, and what the model makes.

        The figure is returned and never shown. Raises ``ModelError`` where none were made.
        """
        from models.parts.fitting.figures import checks_figure

        return checks_figure(self._title, self.card.checks)

    def __repr__(self) -> str:
        """Which version, what from, and whether it converged; no draws, no card."""
        state = "; ".join(self.warnings) or "no warnings"
        return f"<{self._title}, fitted to {self.card.pairs or 0:,} pairs: {state}>"

    def to_card(self) -> Card:
        """How the fit went, what it learned of the population, and its predictive checks."""
        card = self.card.to_card()
        return replace(card, grids=[*_population(scalars(self.arrays)), *card.grids])

    @property
    def _title(self) -> str:
        return f"{self.name}@{self.version} as of {self.card.as_of_date}"

    def save(self, folder: Path) -> None:
        """Write the posterior as netCDF (``arviz.from_netcdf`` opens it), the card as JSON."""
        write_fit(folder, self.card, self._inference)

    def to_datatree(self) -> "xr.DataTree":
        """The posterior and what belongs to it in ArviZ's groups: ``az.summary(…)`` and so on."""
        return self._inference.to_datatree(attributes_of(self.card))

    @property
    def _inference(self) -> Inference:
        return self.inference or Inference.unsampled(self.arrays, bool(self.card.diagnostics))


def draw_last(draws: NDArray[Any]) -> Floats:
    """Draws [draw, …] as predictions want them: [..., draw], in double precision."""
    return np.ascontiguousarray(np.moveaxis(draws, 0, -1), dtype=float)


def write_fit(folder: Path, card: FitCard, inference: Inference) -> None:
    """Write both files into ``folder``; the card, without which nothing is read, comes last."""
    with whole_file(folder / POSTERIOR_FILE) as part:
        inference.write(part, attributes_of(card))
    card.write(folder)


def attributes_of(card: FitCard) -> dict[str, str]:
    """What a posterior says of its model."""
    names = ("model", "formulas", "version", "as_of_date")
    return {name: str(getattr(card, name)) for name in names}


def read_fit(folder: Path, model: str, formulas: str) -> tuple[FitCard, Inference]:
    """What ``write_fit`` wrote, if it is a fit of ``model`` by these ``formulas``.

    Raises ``ModelError`` where it is not, or is cut short, or is not what its card says.
    """
    card = FitCard.read(folder)
    if card is None:
        raise ModelError(f"{folder} holds no fit: {CARD_FILE} is missing")
    if card.model != model:
        raise ModelError(f"{folder} holds a fit of {card.model}, not of {model}")
    anew = f"fit it anew: `toolkit fit {model}`"
    if card.formulas != formulas:
        raise ModelError(
            f"{folder} was fitted by version {card.formulas} of {model}'s formulas, "
            f"this is version {formulas}: {anew}"
        )
    path = folder / POSTERIOR_FILE
    try:
        inference, attributes = read_inference(path)
        version = digest(formulas, inference.arrays)
    except FormerFormatError as exc:
        raise ModelError(f"{path} is of an older format: {anew}") from exc
    except ImportError:
        raise
    except Exception as exc:  # HDF5 raises whatever the broken byte leads to
        raise ModelError(f"{path} cannot be read, is it cut short? {exc}") from exc
    if version != card.version or not attributes_of(card).items() <= attributes.items():
        raise ModelError(f"{path} does not hold the posterior that {CARD_FILE} describes")
    return card, inference


def _population(draws: Mapping[str, NDArray[Any]]) -> list[Grid]:
    """Mean and interval of the parameters that are one number each."""
    heads = ("parameter", "mean", "90 %")
    rows = [
        (name, f"{values.mean():.3g}", interval(np.quantile(values, (0.05, 0.95)).tolist()))
        for name, values in list(draws.items())[:MOST_PARAMETERS]
    ]
    return [Grid("The population", heads, rows, frozenset(heads[1:]))] if rows else []
