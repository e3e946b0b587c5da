"""The collapsed likelihood as an operation that PyMC's graphs can hold.

Only fitting imports this; it pulls in PyTensor.
"""

from typing import Any

import numpy as np

from models.parts.fitting.likelihood_op import LikelihoodOp
from models.parts.kernels.collapsed import CollapsedParameters, PairRows, collapsed_likelihood
from toolkit.data.tables import Floats, Ints


def _value_and_gradient(
    customer_of: Ints, product_of: Ints, count_row: Ints, interval_sum: Floats, survived: Floats,
    constant: Floats, counts: Floats, ks: Ints, shape: Any, customer: Floats, product: Floats,
    log_gamma: Floats, log_weight: Floats, log_kept: Floats, lapse: Floats,
) -> tuple[Any, ...]:  # fmt: skip
    by = collapsed_likelihood(
        PairRows(count_row, interval_sum, survived, constant, counts, ks),
        (customer_of, product_of),
        CollapsedParameters(
            shape.item(), customer, product, log_gamma, log_weight, log_kept, lapse
        ),
    )
    return (
        np.asarray(by.value), np.asarray(by.shape), by.customer, by.product, by.log_gamma,
        by.log_weight, by.log_kept, by.lapse,
    )  # fmt: skip


class _Collapsed(LikelihoodOp):
    """Inputs: rows of customers and products, columns of the rows, then the parameters."""

    data_inputs = 2 + len(PairRows._fields)
    value_and_gradient = staticmethod(_value_and_gradient)


_collapsed = _Collapsed()


def log_likelihood(rows: PairRows, index: tuple[Ints, Ints], *parameters: Any) -> Any:
    """Symbolic log likelihood of ``rows``; ``parameters`` are ``CollapsedParameters``."""
    return _collapsed(*index, *rows, *parameters)[0]
