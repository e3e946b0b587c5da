"""What sampling leaves, in ArviZ's groups: posterior, statistics, prior, replications, constants.

A parameter's draws are [chain, draw, …] in single precision. Dimensions carry names, and those with
a meaning coordinates, so that every function of ArviZ says which column or customer is which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.parts.fitting.checks import Replications

if TYPE_CHECKING:
    import xarray as xr

type Variable = tuple[tuple[str, ...], NDArray[Any]]
"""Names of its dimensions, and its values."""
type Group = Mapping[str, Variable]

POSTERIOR, CONSTANTS = "posterior", "constant_data"
DRAWS = ("chain", "draw")
STATISTICS = {"depth": "tree_depth", "logp": "lp"}
"""What ArviZ calls the sampler's statistics, where the sampler does not."""

KEPT_DRAWS = 1000
"""Predictions use so many draws, evenly spaced over all chains."""

MOST_BYTES = 64_000_000
"""A posterior that is larger is thinned, by the same step in each chain."""


class FormerFormatError(Exception):
    """A posterior that was saved without groups."""


DEFLATE = {"zlib": True, "complevel": 4, "shuffle": True}


@dataclass(frozen=True, slots=True)
class Inference:
    """Groups by ArviZ's names, and coordinates by dimension."""

    groups: Mapping[str, Group]
    coordinates: Mapping[str, NDArray[Any]]

    @classmethod
    def of(
        cls,
        posterior: "xr.Dataset",
        statistics: "xr.Dataset",
        prior: Mapping[str, NDArray[Any]],
        replications: Replications,
        constants: Mapping[str, NDArray[Any]],
        dimensions: Mapping[str, str],
        coordinates: Mapping[str, Sequence[object] | NDArray[Any]],
        densities: Mapping[str, Group],
    ) -> "Inference":
        """From draws of the posterior, [chain, draw, …], and of the prior, [draw, …].

        ``dimensions`` names the one dimension of each parameter or constant that has one;
        ``densities`` are those of the posterior's draws, see ``densities.py``.
        """

        def named(name: str, array: NDArray[Any], first: tuple[str, ...]) -> Variable:
            rest = array.ndim - len(first)
            own = (dimensions[name],) if name in dimensions else ()
            return (*first, *(own or (f"{name}_{i}" for i in range(rest)))), array

        size = sum(array.nbytes for array in posterior.values()) / 2  # in single precision
        step = slice(None, None, max(1, -(-int(size) // MOST_BYTES)))
        kept = {
            str(name): named(str(name), array.to_numpy()[:, step].astype(np.float32), DRAWS)
            for name, array in posterior.items()
        }
        before = {
            name: named(name, np.asarray(array, dtype=np.float32)[None], DRAWS)
            for name, array in prior.items()
            if name in kept
        }
        return cls(
            {
                POSTERIOR: kept,
                "sample_stats": {
                    STATISTICS.get(str(name), str(name)): (DRAWS, array.to_numpy()[:, step])
                    for name, array in statistics.items()
                    if array.dims == DRAWS and array.dtype.kind in "fiub"
                },
                **{
                    group: {name: (d, array[:, step]) for name, (d, array) in of_group.items()}
                    for group, of_group in densities.items()
                },
                "prior": before,
                **replications.groups(),
                CONSTANTS: {name: named(name, array, ()) for name, array in constants.items()},
            },
            {
                **{name: np.asarray(values) for name, values in coordinates.items()},
                "statistic": np.array(replications.names),
            },
        )

    @classmethod
    def unsampled(cls, arrays: Mapping[str, NDArray[Any]], sampled: bool) -> "Inference":
        """Of arrays alone: with ``sampled``, those in single precision are draws of one chain."""
        draws = {n for n, array in arrays.items() if sampled and array.dtype == np.float32}
        own = {
            name: tuple(f"{name}_{axis}" for axis in range(array.ndim))
            for name, array in arrays.items()
        }
        return cls(
            {
                POSTERIOR: {
                    name: ((*DRAWS, *own[name][1:]), arrays[name][None]) for name in sorted(draws)
                },
                CONSTANTS: {n: (own[n], arrays[n]) for n in sorted(arrays.keys() - draws)},
            },
            {},
        )

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What predictions use: thinned draws of each parameter, [draw, …], and the constants."""
        found = {name: thinned(values) for name, (_, values) in self.groups[POSTERIOR].items()}
        return found | {name: values for name, (_, values) in self.groups[CONSTANTS].items()}

    def to_datatree(self, attributes: Mapping[str, str]) -> "xr.DataTree":
        """As ArviZ takes it."""
        import xarray as xr

        groups = {}
        for name, group in self.groups.items():
            dataset = xr.Dataset(dict(group))
            known = {d: values for d, values in self.coordinates.items() if d in dataset.sizes}
            draws = {d: np.arange(dataset.sizes[d]) for d in DRAWS if d in dataset.sizes}
            groups[name] = dataset.assign_coords({**known, **draws})
        return xr.DataTree.from_dict({"/": xr.Dataset(attrs=dict(attributes)), **groups})

    def write(self, path: Path, attributes: Mapping[str, str]) -> None:
        """Write netCDF that ``arviz.from_netcdf`` opens; made in memory, as HDF5 takes the process
        with it where a disk is full.
        """
        tree = self.to_datatree(attributes)
        encoding = {
            node.path: {
                str(name): DEFLATE
                for name, array in node.dataset.variables.items()
                if array.ndim and array.dtype.kind in "fiub"
            }
            for node in tree.subtree
        }
        # bytes: Python 3.12 crashes where an error's traceback keeps a view of their buffer
        path.write_bytes(bytes(tree.to_netcdf(engine="h5netcdf", encoding=encoding)))


def read_inference(path: Path) -> tuple[Inference, dict[str, str]]:
    """What ``write`` wrote, and its attributes; raises whatever a broken file leads to."""
    import h5netcdf

    groups: dict[str, dict[str, Variable]] = {}
    coordinates: dict[str, NDArray[Any]] = {}
    with h5netcdf.File(path, "r") as file:
        if file.variables and POSTERIOR not in file.groups:
            raise FormerFormatError(path)
        attributes = {str(name): str(value) for name, value in file.attrs.items()}
        for name, group in file.groups.items():
            groups[name] = {}
            for variable, stored in group.variables.items():
                values = np.asarray(stored[...])
                if stored.attrs.get("dtype") == "bool":  # netCDF has none
                    values = values.astype(bool)
                if variable not in stored.dimensions:
                    groups[name][variable] = (tuple(stored.dimensions), values)
                elif variable not in DRAWS:
                    coordinates[variable] = values if values.dtype != object else values.astype(str)
    if not {POSTERIOR, CONSTANTS} <= groups.keys():
        raise ValueError("it holds no posterior")
    return Inference(groups, coordinates), attributes


def thinned(draws: NDArray[Any]) -> NDArray[np.float32]:
    """Draws [chain, draw, …] as [draw, …], evenly thinned, in single precision."""
    flat = draws.reshape(-1, *draws.shape[2:])
    kept = min(KEPT_DRAWS, len(flat))
    return flat[np.arange(kept) * len(flat) // kept].astype(np.float32)
