"""Figures of a fit: what it learned of the population, and whether it makes such data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ArgumentError, ModelError
from toolkit.results.fit import PredictiveCheck

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from toolkit.results.figures import Drawing

COLUMNS = 4
MOST_PARAMETERS = 12
"""So many are drawn if nobody says which."""

MOST_PANELS = 48
"""So many single numbers are drawn at most."""

WIDTH, ROW = 9.0, 1.9  # inches
PRIOR, POSTERIOR, OBSERVED = "#bbbbbb", "#4477aa", "#cc3311"


def population_figure(
    title: str, arrays: Mapping[str, NDArray[Any]], parameters: Sequence[str] | None = None
) -> "Figure":
    """The posterior of each parameter, [draw, …] in ``arrays``, by ArviZ's ``plot_dist``.

    ``parameters``: names in ``arrays``; None: those that are one number each, as far as there is
    room. Raises ``ArgumentError`` for an unknown name and for too many of them, ``ModelError``
    where none was sampled.
    """
    import arviz_plots as azp
    import matplotlib.pyplot as plt
    import xarray as xr

    drawn = _single(_chosen(title, arrays, parameters))
    if len(drawn) > MOST_PANELS:
        raise ArgumentError(
            f"the parameters are {len(drawn):,} numbers, more than the {MOST_PANELS} that are "
            "drawn at a time: name fewer"
        )
    data = xr.Dataset({name: (("chain", "draw"), each[None]) for name, each in drawn.items()})
    rows = -(-len(drawn) // COLUMNS)
    with plt.ioff():  # else a notebook shows it by itself, and then what is returned
        made = azp.plot_dist(
            xr.DataTree.from_dict({"posterior": data}),
            backend="matplotlib",
            col_wrap=COLUMNS,
            ci_prob=0.9,
            visuals={"dist": {"color": POSTERIOR}, "point_estimate_text": False},
            figure_kwargs={"figsize": (WIDTH, 0.5 + ROW * rows), "figsize_units": "inches"},
        )
    figure: Figure = made.viz["figure"].item()
    plt.close(figure)
    _tidy(figure)
    figure.suptitle(f"{title}: the population, mean and 90 %", x=0.01, ha="left")
    return figure


def checks_figure(title: str, checks: Sequence[PredictiveCheck]) -> "Drawing":
    """Each statistic of the data, and 90 % of what the model makes before and after the fit.

    ``checks`` are those of a card. Raises ``ModelError`` where none were made.
    """
    from toolkit.results.figures import Drawing

    if not checks:
        raise ModelError(f"{title} made no predictive checks")
    columns = COLUMNS - 1
    rows = -(-len(checks) // columns)
    figure = Drawing(figsize=(WIDTH, 0.9 + 0.95 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, check in zip(panels, checks, strict=False):
        _draw_check(axes, check)
    for axes in panels[len(checks) :]:
        axes.set_visible(False)
    figure.suptitle(f"{title}: does it make such data?", x=0.01, ha="left")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=3, frameon=False, loc="outside lower center")
    return figure


def scalars(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The parameters that are one number each; draws are stored as float32, what else is is not."""
    return {
        name: array
        for name, array in arrays.items()
        if array.ndim == 1 and array.dtype == np.float32
    }


def _single(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Draws of single numbers: of an array of them, ``NAME[PLACE]`` each."""
    return {
        f"{name}[{', '.join(map(str, place))}]" if place else name: array[:, *place]
        for name, array in arrays.items()
        for place in np.ndindex(array.shape[1:])
    }


def _tidy(figure: "Figure") -> None:
    """Room for every title and axis."""
    figure.set_layout_engine("constrained", h_pad=0.08)
    for axes in figure.axes:
        axes.set_title(axes.get_title(), fontsize=10)
        axes.tick_params(labelsize=8)
        axes.locator_params(axis="x", nbins=4)


def _chosen(
    title: str, arrays: Mapping[str, NDArray[Any]], parameters: Sequence[str] | None
) -> dict[str, NDArray[Any]]:
    sampled = {name: array for name, array in arrays.items() if array.dtype == np.float32}
    if not sampled:
        raise ModelError(f"{title} sampled no population: there is nothing to draw")
    if parameters is None:
        return dict(list(scalars(arrays).items())[:MOST_PARAMETERS])
    unknown = [name for name in parameters if name not in sampled]
    if unknown or not parameters:
        received = ", ".join(unknown) or "none"
        raise ArgumentError(
            f"parameters have to be among {', '.join(sampled)} of {title}, got {received}"
        )
    return {name: sampled[name] for name in parameters}


def _draw_check(axes: "Axes", check: PredictiveCheck) -> None:
    """One statistic: the prior's interval above, the posterior's below, the data's as a point."""
    for name, interval, place, colour in (
        ("prior", check.prior_90, 1.0, PRIOR),
        ("posterior", check.posterior_90, 0.0, POSTERIOR),
    ):
        if interval is not None:
            label = f"{name}, 90 %"
            axes.plot(interval, [place] * 2, color=colour, lw=7, solid_capstyle="butt", label=label)
    if check.observed is not None:
        axes.plot([check.observed], [0.0], "o", color=OBSERVED, ms=6, label="the data")
    axes.set_title(check.statistic.replace("$", r"\$"), loc="left", fontsize=9)
    axes.set_ylim(-0.8, 1.8)
    axes.set_yticks([])
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
