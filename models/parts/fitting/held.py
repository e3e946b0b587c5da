"""A model's data as a few vectors, one for each type of number. Only fitting imports this.

Data, not constants: machine code then is the same for all of them. Vectors, not arrays: nutpie
compiles in every process how its code gets at each ``pm.Data``, in time that grows with the square
of how many there are (13 took 5 s, 31 took 19 s).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

PLACES = "data_places"
MOST_AXES = 3


def packed(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The vectors by name, and ``PLACES`` [arrays, 1 + axes]: where each begins, and its shape."""
    vectors: dict[str, list[NDArray[Any]]] = {}
    places = np.ones((len(arrays), 1 + MOST_AXES), dtype=np.int64)
    for i, array in enumerate(arrays.values()):
        vector = vectors.setdefault(_vector_of(array), [])
        places[i, 0] = sum(part.size for part in vector)
        places[i, 1 : 1 + array.ndim] = array.shape
        vector.append(array.ravel())
    return {name: np.concatenate(parts) for name, parts in vectors.items()} | {PLACES: places}


def held(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The arrays as symbols of the model at hand; ``pm.set_data(packed(…))`` exchanges them.

    Others have to be as many, of the same types and numbers of axes.
    """
    data = {name: pm.Data(name, vector) for name, vector in packed(arrays).items()}
    found = {}
    for i, (name, array) in enumerate(arrays.items()):
        start, shape = data[PLACES][i, 0], [data[PLACES][i, 1 + d] for d in range(array.ndim)]
        size = shape[0] if array.ndim == 1 else pt.prod(pt.stack(shape))
        part = data[_vector_of(array)][start : start + size]
        found[name] = part if array.ndim == 1 else pt.reshape(part, shape, ndim=array.ndim)
    return found


def _vector_of(array: NDArray[Any]) -> str:
    return f"data_{array.dtype.name}"
