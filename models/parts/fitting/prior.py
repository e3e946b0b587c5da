"""Priors as data: a version's defaults, and what the caller puts in place of some of them."""

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import ModelError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def with_given[P: "DataclassInstance"](
    default: P,
    given: Mapping[str, tuple[float, ...]],
    model: str,
    unused: Collection[str] = (),
) -> P:
    """``default`` with the fields that are given; those that are ``unused`` cannot be.

    A field is one number, a deviation, or two, the parameters of its distribution; the last of
    them is positive. Raises ``ModelError`` that lists every unknown name and wrong value.
    """
    names = [one.name for one in fields(default) if one.name not in unused]
    known = {name: np.atleast_1d(getattr(default, name)) for name in names}
    problems, chosen = [], {}
    for name, values in given.items():
        if name not in known:
            problems.append(f"prior {name} is unknown; {model} has {', '.join(known)}")
            continue
        count = len(known[name])
        numbers = np.asarray(values, dtype=float).ravel()
        if len(numbers) != count or not np.isfinite(numbers).all() or not numbers[-1] > 0:
            what = "a number" if count == 1 else "two numbers, the second of them"
            problems.append(f"prior {name} has to be {what} above 0, got {list(values)}")
            continue
        chosen[name] = float(numbers[0]) if count == 1 else tuple(numbers.tolist())
    if problems:
        raise ModelError("; ".join(problems))
    return replace(default, **chosen)
