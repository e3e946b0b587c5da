"""A model's data in a few vectors: they come out as they went in, and can be exchanged."""

import numpy as np
import pymc as pm
import pytest

from models.parts.fitting.held import MOST_AXES, held, packed

SHAPES = {"a": (3,), "b": (2, 4), "c": (2, 1, 3), "d": (0,), "e": (5,), "f": (1, 2)}
TYPES = {"a": float, "b": float, "c": np.int64, "d": float, "e": np.int8, "f": np.int64}


def arrays(seed, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(-99, 99, shape).astype(TYPES[name]) for name, shape in shapes.items()
    }


def assert_equal(found, expected):
    for one, (name, array) in zip(found, expected.items(), strict=True):
        assert one.dtype.kind == array.dtype.kind, name  # PyMC holds whole numbers in 32 bits
        assert one.shape == array.shape, name
        assert np.array_equal(one, array), name


def test_arrays_come_out_as_they_went_in_and_others_take_their_place():
    with pm.Model() as model:
        read = model.compile_fn(list(held(arrays(1)).values()), inputs=[], point_fn=False)
    assert len(model.data_vars) == 4  # a vector for each type, and the places
    assert_equal(read(), arrays(1))
    larger = arrays(2, SHAPES | {"a": (7,), "b": (1, 9), "d": (2,)})
    with model:
        pm.set_data(packed(larger))
    assert_equal(read(), larger)


def test_no_array_has_more_axes_than_places_know():
    with pytest.raises(ValueError, match="broadcast"):
        packed({"a": np.zeros((1,) * (MOST_AXES + 1))})
