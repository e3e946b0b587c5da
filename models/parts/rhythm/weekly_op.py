"""The likelihood of order weeks as an operation that PyMC's graphs can hold.

Only fitting imports this; it pulls in PyTensor.
"""

from typing import Any

import numpy as np

from models.parts.fitting.likelihood_op import LikelihoodOp
from models.parts.kernels.weekly import weekly_likelihood
from models.parts.kernels.weekly_rows import Outcomes, Rows


def _value_and_gradient(
    ordered: Any, order_week: Any, order_weeks: Any, extra: Any, design: Any, of_predictor: Any,
    elapsed: Any, clock: Any, group: Any, filled: Any, window: Any, log_season: Any, slopes: Any,
    level: Any, shock: Any, log_sigma: Any, kappa: Any,
) -> tuple[Any, ...]:  # fmt: skip
    done = Outcomes(ordered, order_week, order_weeks, extra)
    rows = Rows(design, of_predictor, elapsed, clock, group, filled, window, log_season)
    by_slopes, by_level, by_shock = (
        np.empty_like(slopes), np.empty_like(level), np.empty_like(shock)
    )  # fmt: skip
    value, by_sigma, by_kappa = weekly_likelihood(
        done, rows, slopes, level, shock, log_sigma.item(), kappa.item(), by_slopes, by_level,
        by_shock,
    )  # fmt: skip
    return (
        np.asarray(value), by_slopes, by_level, by_shock, np.asarray(by_sigma),
        np.asarray(by_kappa),
    )  # fmt: skip


class _Weekly(LikelihoodOp):
    """Inputs: the fields of ``Outcomes`` and of ``Rows``, then the parameters."""

    data_inputs = len(Outcomes._fields) + len(Rows._fields)
    value_and_gradient = staticmethod(_value_and_gradient)


_weekly = _Weekly()


def log_likelihood(done: Outcomes, rows: Rows, *parameters: Any) -> Any:
    """Symbolic log likelihood; parameters in the order of ``weekly_likelihood``."""
    return _weekly(*done, *rows, *parameters)[0]
