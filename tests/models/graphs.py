"""Graphs of PyMC as something to sample: for models that are written as such only."""

import threading
from collections.abc import Sequence

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from models.parts.fitting.posterior import SHORT_STEPS, Trajectories


class OfModel:
    """A ``Posterior`` whose density, gradient and values are those of a model.

    x holds the model's unbounded variables, one after another; ``round_variables`` names those that
    are near N(0, 1).
    """

    def __init__(
        self,
        model: pm.Model,
        round_variables: Sequence[str] = (),
        mode: str | None = None,
        trajectories: Trajectories = SHORT_STEPS,
    ):
        self.trajectories = (trajectories,)
        variables, start = model.value_vars, model.initial_point()
        begins = [np.asarray(start[v.name], dtype=float) for v in variables]
        self.start = np.concatenate([begin.ravel() for begin in begins])
        self.is_round = np.concatenate([
            np.full(begin.size, rv.name in round_variables)
            for rv, begin in zip(model.free_RVs, begins, strict=True)
        ])  # fmt: skip
        x = pt.dvector("x")
        cuts = np.cumsum([0, *(begin.size for begin in begins)])
        parts = {
            v: x[cuts[i] : cuts[i + 1]].reshape(begins[i].shape) for i, v in enumerate(variables)
        }
        logp = pm.pytensorf.rewrite_pregrad(model.logp())
        by = pt.concatenate([g.ravel() for g in pt.grad(logp, variables)])
        self._one_at_a_time = threading.Lock()  # chains share what is compiled, and its memory
        self._density = _compiled(x, [logp, by], parts, mode)
        named = model.free_RVs + model.deterministics
        self._names = [v.name for v in named]
        self._values = _compiled(x, model.replace_rvs_by_values(named), parts, mode)

    def __call__(self, x):
        with self._one_at_a_time, np.errstate(all="ignore"):
            value, by = self._density(x)
        return float(value), by

    def values(self, x):
        with self._one_at_a_time, np.errstate(all="ignore"):
            found = self._values(x)
        return {n: np.array(v, dtype=float) for n, v in zip(self._names, found, strict=True)}


def _compiled(x, outputs, parts, mode):
    replaced = pytensor.graph.graph_replace(outputs, parts, strict=False)
    return pytensor.function([x], replaced, mode=mode, on_unused_input="ignore")
