"""What fits learned of the population, by ArviZ."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from backtests.report.figures import plain
from backtests.report.health import ReportedFit
from backtests.run.folder import MENDED
from toolkit.errors import ArgumentError
from toolkit.validation import Json
from toolkit.web import HEIGHT

POSTERIOR = "posterior.nc"
DRAWS = ("chain", "draw")
MOST_FITS = 4
MOST_PARAMETERS = 12
ROW = 26  # pixels
LABELS = 0.36  # of the width


def population_figure(
    fits: Sequence[ReportedFit], folder: Path, colours: Sequence[str]
) -> Json | None:
    """A forest of the scalar parameters of a version's latest fits; None if none was kept."""
    import arviz_plots as azp

    found = {
        str(fit.as_of_date): draws
        for fit in fits[-MOST_FITS:]
        if (draws := scalars(folder / fit.model / fit.fit / POSTERIOR)) is not None
    }
    if not found:
        return None
    fewest = min(draws.sizes["chain"] * draws.sizes["draw"] for draws in found.values())
    trees = {
        day: xr.DataTree.from_dict({"posterior": _spread(draws, fewest)})
        for day, draws in found.items()
    }
    made = azp.plot_forest(
        trees,
        backend="plotly",  # type: ignore[arg-type]  # it is one, though the types lack it
        ci_probs=(0.5, 0.9),
        combined=True,
        color=list(colours),
    )
    return _fitted(plain(made.viz["figure"].item()), len(next(iter(found.values()))) * len(trees))


def scalars(path: Path) -> xr.Dataset | None:
    """Draws of parameters that are one number each; None if there are none."""
    if not path.exists():
        return None
    try:
        with xr.open_datatree(path, engine="h5netcdf") as stored:
            posterior = stored["posterior"].to_dataset().load()
    except Exception as exc:  # HDF5 raises whatever the broken byte leads to
        raise ArgumentError(f"{path} is damaged: {exc}; {MENDED}") from exc
    single = [name for name, array in posterior.data_vars.items() if array.dims == DRAWS]
    return posterior[single[:MOST_PARAMETERS]] if single else None


def _spread(draws: xr.Dataset, count: int) -> xr.Dataset:
    """So many of the draws, evenly over all chains, as one chain: fits may differ in both."""
    pooled = {name: array.to_numpy().reshape(1, -1) for name, array in draws.data_vars.items()}
    index = np.arange(count) * (draws.sizes["chain"] * draws.sizes["draw"]) // count
    return xr.Dataset({name: (DRAWS, values[:, index]) for name, values in pooled.items()})


def _fitted(figure: Json, rows: int) -> Json:
    """The figure in the page's height, margins and colours."""
    figure["layout"].update(
        height=max(HEIGHT, 60 + ROW * rows),
        width=None,
        margin={"l": 8, "r": 10, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
    )
    axes = figure["layout"]
    axes["xaxis"].update(visible=False, range=[0, 1], domain=[0, LABELS])
    axes["xaxis2"].update(
        zeroline=False,
        domain=[LABELS + 0.02, 1],
        automargin=True,
        title={"text": "value", "standoff": 6},
    )
    for trace in figure["data"]:
        trace.pop("textfont", None)  # black, also on black
    return figure
