"""Whether an approximate fit agrees with a fit that NUTS sampled from the same data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from toolkit.diagnosis import summary_of, tree_of
from toolkit.tracking.loading import load_registered
from toolkit.tracking.logged import formulas_of
from toolkit.tracking.registry import ModelVersionRef, versions
from toolkit.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

FALSE_ALARM = 0.01
"""Chance that any parameter of two fits of one posterior is further apart than is allowed."""

_SAME = ("pairs", "seed", "prior", "calendar")
"""Parameters of a fit's run that decide what its posterior is, beside data and formulas."""

_COMPARED, _ERRORS = ["mean", "sd"], ["mcse_mean", "mcse_sd"]
"""Columns of ArviZ's summary."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The mean or deviation of a parameter that is furthest apart, in Monte Carlo errors."""

    sampled: ModelVersionRef
    parameter: str
    errors: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether nothing is further apart than chance explains."""
        return self.errors <= self.allowed

    def __str__(self) -> str:
        """``b[1] is 5.2 Monte Carlo errors off rhythm@7-0c24ce95``."""
        return f"{self.parameter} is {self.errors:.1f} Monte Carlo errors off {self.sampled.fit}"


def agreement_of(store: Store, ref: ModelVersionRef) -> Agreement | None:
    """``ref`` beside the latest registered fit by NUTS of its model to its data; None without one.

    The same data: formulas, as-of date, fingerprint, rows, seed, priors and
    calendar are equal. Raises as
    ``load_registered`` does.
    """
    known = _posterior_of(store, ref)
    if known is None:
        return None
    alike = (
        other
        for other in reversed(versions(store))
        if other.converged and other.model == ref.model and _posterior_of(store, other) == known
    )
    sampled = next(alike, None)
    if sampled is None:
        return None
    mine, its = (summary_of(tree_of(load_registered(store, one))) for one in (ref, sampled))
    return compared(mine, its, sampled)


def compared(mine: "pd.DataFrame", its: "pd.DataFrame", sampled: ModelVersionRef) -> Agreement:
    """Two summaries by ArviZ, parameter by parameter; what only one of them has is infinitely off.

    Means and deviations are compared, each difference in units of both Monte Carlo errors.
    """
    names = mine.index.union(its.index)
    mine, its = mine.reindex(names), its.reindex(names)
    apart = np.abs(mine[_COMPARED].to_numpy() - its[_COMPARED].to_numpy())
    error = np.hypot(mine[_ERRORS].to_numpy(), its[_ERRORS].to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(apart == 0.0, 0.0, apart / error)
    errors[np.isnan(errors)] = np.inf
    row, column = divmod(int(errors.argmax()), len(_COMPARED))
    worst, parameter = float(errors[row, column]), f"the {_COMPARED[column]} of {names[row]}"
    allowed = float(-ndtri(FALSE_ALARM / (4 * len(names))))  # two sides of two comparisons each
    return Agreement(sampled, parameter, worst, allowed)


def _posterior_of(store: Store, ref: ModelVersionRef) -> tuple[object, ...] | None:
    """What the posterior of a fit hangs on; None where its data are not known."""
    data = ref.tags.get("data.sha256")
    if data is None:
        return None
    with store.errors():
        params = store.client.get_run(ref.run_id).data.params
    own = tuple(params.get(name) for name in _SAME)
    return ref.model, formulas_of(ref.version), ref.as_of_date, data, *own
