"""Exponential and logarithm that a compiler can run for many numbers side by side.

The C library's functions are calls, and a loop with a call in it runs one number at a time. These
are a dozen multiplications each, inlined into the loop: several times faster, and as exact as a
likelihood needs (a few units in the last place).
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from models.parts.kernels.compile_caches import compile_once, kept_code
from toolkit.data import tables

LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # 33 bits of log 2: exact times any exponent
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # the rest of it
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
MANTISSA_BITS = 52
EXPONENT_BIAS = 1023
LEAST_EXPONENT = -708.0


def _digest(files: Iterable[Path]) -> int:
    """A number that changes whenever one of the files does that compiled code is made of."""
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(path.read_bytes())
    return int.from_bytes(whole.digest()[:4])


SOURCES = _digest([*Path(__file__).parents[1].rglob("*.py"), Path(tables.__file__)])
"""Machine code that is kept on disk belongs to this state of all parts, and of their constants.

Numba looks at a function's own file only, though what it calls is compiled into it. All of that is
inlined, for a process that has just compiled a part by itself would go on with that, and one that
reads the whole from disk with the whole's: the same sums, rounded differently.
"""


def _kept[F: Callable[..., Any]](function: F, **options: Any) -> F:
    options |= {"cache": True, "nogil": True, "error_model": "numpy", "forceinline": True}
    with kept_code():
        dispatcher = numba.njit(**options)(function)
    kept = dispatcher._cache._cache_file
    kept._source_stamp = SOURCES
    kept._version += f" {SOURCES}"  # looked at first: what was kept may name types that are gone
    compile_once(dispatcher)
    compiled_function: F = dispatcher
    return compiled_function


def over_arrays(signature: str) -> Callable[[Callable[..., float]], Any]:
    """Compiles a function of numbers into a ufunc, which broadcasts."""

    def decorate(function: Callable[..., float]) -> Any:
        with kept_code():
            return numba.vectorize([signature], cache=True)(function)

    return decorate


# One array that is assigned to another, or to a part of it, costs seconds to compile, for the words
# of an error that their shapes may raise: kernels copy in loops.


def compiled[F: Callable[..., Any]](function: F) -> F:
    """Compiles a function as it is written."""
    return _kept(function)


def lean[F: Callable[..., Any]](function: F) -> F:
    """Compiles a function that makes no array, and is called often: it counts no references.

    Numba counts those to each array and generator that a function is given, which may cost more
    than what a short function does; its caller holds them anyway.
    """
    return _kept(function, _nrt=False)


def side_by_side[F: Callable[..., Any]](function: F) -> F:
    """Compiles loops over numbers: sums in any order; NaN and infinity keep their sense."""
    return _kept(function, fastmath={"contract", "reassoc", "nsz", "arcp"})


_inlined = numba.njit(inline="always", error_model="numpy")


@_inlined
def exp(x: float) -> float:
    """e^x for x <= 709; below −708 it stays at e^−708, next to nothing.

    x = n log 2 + r with |r| <= log 2 / 2, and the Taylor series of e^r to r^13.
    """
    x = max(x, LEAST_EXPONENT)
    n = np.floor(x * LOG2_E + 0.5)
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    exponent = np.int64((np.int64(n) + EXPONENT_BIAS) << MANTISSA_BITS)
    return p * exponent.view(np.float64)


@_inlined
def log(x: float) -> float:
    """Natural logarithm of a positive normal number.

    x = 2^e m with m within √½ and √2, and log m = 2 artanh s, s = (m − 1) / (m + 1), to s^21.
    """
    bits = np.float64(x).view(np.int64)
    e = (bits - SQRT_HALF_BITS) >> MANTISSA_BITS
    m = np.int64(bits - (e << MANTISSA_BITS)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = 2.0 / 21.0
    p = p * q + 2.0 / 19.0
    p = p * q + 2.0 / 17.0
    p = p * q + 2.0 / 15.0
    p = p * q + 2.0 / 13.0
    p = p * q + 2.0 / 11.0
    p = p * q + 2.0 / 9.0
    p = p * q + 2.0 / 7.0
    p = p * q + 2.0 / 5.0
    p = p * q + 2.0 / 3.0
    return e * LN2_HIGH + (s * (2.0 + q * p) + e * LN2_LOW)
