"""The likelihood of order weeks as an operation that PyMC's graphs can hold and NUTS can run.

Only fitting imports this; it pulls in PyTensor.
"""

from typing import Any

import numpy as np

from models.parts.fitting.likelihood_op import LikelihoodOp, run_compiled
from models.parts.kernels.weekly import weekly_likelihood


def _value_and_gradient(
    ordered: Any, elapsed: Any, clock: Any, log_season: Any, node: Any, weight: Any, eta: Any,
    log_dip: Any, log_tau: Any, logit_alive: Any, log_sigma: Any, kappa: Any,
) -> tuple[Any, ...]:  # fmt: skip
    by_eta, by_dip = np.empty_like(eta), np.empty_like(log_dip)
    by_tau, by_alive = np.empty_like(log_tau), np.empty_like(logit_alive)
    value, by_sigma, by_kappa = weekly_likelihood(
        ordered, elapsed, clock, log_season, node, weight, eta, log_dip, log_tau, logit_alive,
        log_sigma.item(), kappa.item(), by_eta, by_dip, by_tau, by_alive,
    )  # fmt: skip
    return (
        np.asarray(value), by_eta, by_dip, by_tau, by_alive, np.asarray(by_sigma),
        np.asarray(by_kappa),
    )  # fmt: skip


@run_compiled
class _Weekly(LikelihoodOp):
    """Inputs: ``ordered`` to ``weight`` of ``weekly_likelihood``, then its parameters."""

    data_inputs = 6
    value_and_gradient = staticmethod(_value_and_gradient)


_weekly = _Weekly()


def log_likelihood(data: tuple[Any, ...], parameters: tuple[Any, ...]) -> Any:
    """Symbolic log likelihood; arguments in the order of ``weekly_likelihood``."""
    return _weekly(*data, *parameters)[0]
