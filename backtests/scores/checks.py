"""What metrics accept: each check says what was received and what is allowed."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.data.tables import Floats, Ints
from toolkit.errors import ArgumentError

ROUNDING = 1e-4
"""Probabilities that went through single precision may miss 0, 1 or their order by so much."""


def floats(name: str, values: ArrayLike, *shape: int | None) -> Floats:
    """``values`` in double precision; a None in ``shape`` lets that dimension be any."""
    array = np.asarray(values, dtype=np.float64)
    expected = tuple("any" if size is None else size for size in shape)
    fits = len(shape) == array.ndim and all(
        size is None or size == found for size, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ArgumentError(f"{name} has to have the shape {expected}, got {array.shape}")
    return array


def probabilities(name: str, values: ArrayLike, *shape: int | None) -> Floats:
    """Numbers from 0 to 1, or NaN."""
    array = floats(name, values, *shape)
    if (array < -ROUNDING).any() or (array > 1 + ROUNDING).any():
        worst = array[(array < -ROUNDING) | (array > 1 + ROUNDING)][0]
        raise ArgumentError(f"{name} has to lie from 0 to 1, got {worst}")
    return cast(Floats, np.clip(array, 0.0, 1.0))


def distribution(name: str, values: ArrayLike, *shape: int | None) -> Floats:
    """Rows of cumulative probabilities, which never fall, or NaN."""
    array = probabilities(name, values, *shape)
    if (np.diff(array, axis=1) < -ROUNDING).any():
        raise ArgumentError(f"{name} has to rise along each row, got one that falls")
    return array


def outcomes(name: str, values: ArrayLike, rows: int) -> Floats:
    """Zeros and ones, or NaN."""
    array = floats(name, values, rows)
    wrong = ~np.isin(array, (0.0, 1.0)) & ~np.isnan(array)
    if wrong.any():
        raise ArgumentError(f"{name} has to be 0 or 1, got {array[wrong][0]}")
    return array


def whole(name: str, values: ArrayLike, rows: int, high: int | None = None) -> Ints:
    """Whole numbers from 0 to ``high``."""
    array = np.asarray(values)
    if array.shape != (rows,) or not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(
            f"{name} has to be {rows} whole numbers, got {array.dtype} of shape {array.shape}"
        )
    if (array < 0).any() or (high is not None and (array > high).any()):
        allowed = "0 or more" if high is None else f"from 0 to {high}"
        raise ArgumentError(f"{name} has to be {allowed}, got {array.min()} to {array.max()}")
    return array.astype(np.int64)


def not_negative(name: str, values: ArrayLike, *shape: int | None) -> Floats:
    """Numbers of 0 or more, or NaN."""
    array = floats(name, values, *shape)
    if (array < 0).any():
        raise ArgumentError(f"{name} has to be 0 or more, got {np.nanmin(array)}")
    return array


def draws(values: ArrayLike) -> NDArray[np.floating]:
    """Draws [n, d] as they are: to widen them all at once would double the memory."""
    array = np.asarray(values)
    if array.ndim != 2 or not array.shape[1]:
        raise ArgumentError(f"draws have to have the shape (n, draws), got {array.shape}")
    return array


def portions(shape: tuple[int, ...], numbers: int) -> Iterator[slice]:
    """Rows that hold about so many ``numbers`` together: it bounds the memory."""
    rows = max(1, numbers // shape[1])
    return (slice(start, start + rows) for start in range(0, shape[0], rows))


def quantile_levels(values: Sequence[float]) -> Floats:
    """Levels strictly between 0 and 1."""
    array = floats("levels", values, None)
    if not ((array > 0) & (array < 1)).all():
        raise ArgumentError(f"levels have to lie between 0 and 1, got {list(values)}")
    return array
