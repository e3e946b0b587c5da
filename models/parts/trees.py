"""LightGBM's boosted trees, as text inside arrays: what a fit saves is data."""

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.tables import Floats, Ints
from toolkit.errors import ModelError
from toolkit.installed import need

type TreeText = NDArray[np.uint8]

ALWAYS: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # backtests run a process per core
}


FEWEST_ROWS = 300
"""Fewer are not split by any tree."""


def grow(
    columns: Floats,
    label: Floats,
    settings: Mapping[str, Any],
    rounds: int,
    seed: int,
    weight: Floats | None = None,
    start: Floats | None = None,
) -> TreeText:
    """Trees that predict ``label`` [rows] from ``columns`` [rows, columns].

    ``start`` [rows]: what is added to their raw scores in training.
    """
    lightgbm = _lightgbm()
    data = lightgbm.Dataset(
        columns, label=label, weight=weight, init_score=start, params={**settings, **ALWAYS}
    )
    booster = lightgbm.train({**settings, **ALWAYS, "seed": seed}, data, rounds)
    return np.frombuffer(booster.model_to_string().encode(), dtype=np.uint8)


def answer(trees: TreeText, columns: Floats, *, raw: bool = False) -> Floats:
    """Predictions of ``columns`` [rows, columns], or their ``raw`` scores, [rows]."""
    if not len(columns):
        return np.zeros(0)
    booster = _booster(trees.tobytes())
    return np.asarray(booster.predict(columns, raw_score=raw, num_threads=1), dtype=float)


def some_of(rows: int, most: int, seed: int) -> Ints:
    """Places of ``most`` of the rows, drawn at random, ascending; all of them if not more."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


@lru_cache(maxsize=32)
def _booster(text: bytes) -> Any:
    return _lightgbm().Booster(model_str=text.decode())


def _lightgbm() -> ModuleType:
    return need("lightgbm", "a model with boosted trees", ModelError)
