"""The collapsed likelihood as an operation that PyMC's graphs can hold and NUTS can run.

Only fitting imports this; it pulls in PyTensor.
"""

from typing import Any

import numpy as np

from models.parts.fitting.likelihood_op import LikelihoodOp, run_compiled
from models.parts.kernels.collapsed import PairRows, add_up
from toolkit.data.tables import Floats, Ints

ROW_COLUMNS = ("count", "interval_sum", "survived", "constant", "counts", "regularities")


def _value_and_gradient(
    customer_of: Ints, product_of: Ints, count_of: Ints, interval_sum: Floats, survived: Floats,
    constant: Floats, counts: Floats, ks: Ints, shape: Any, customer: Floats, product: Floats,
    log_gamma: Floats, log_weight: Floats, log_kept: Floats, lapse: Floats,
) -> tuple[Any, ...]:  # fmt: skip
    by_customer, by_product = np.zeros_like(customer), np.zeros_like(product)
    by_gamma, by_weight = np.zeros_like(log_gamma), np.zeros_like(log_weight)
    by_kept, by_lapse = np.zeros_like(log_kept), np.zeros_like(lapse)
    value, by_shape = add_up(
        customer_of, product_of, count_of, interval_sum, survived, constant, counts, ks,
        shape.item(), customer, product, log_gamma, log_weight, log_kept, lapse,
        by_customer, by_product, by_gamma, by_weight, by_kept, by_lapse,
    )  # fmt: skip
    return (
        np.asarray(value), np.asarray(by_shape), by_customer, by_product, by_gamma, by_weight,
        by_kept, by_lapse,
    )  # fmt: skip


@run_compiled
class _Collapsed(LikelihoodOp):
    """Inputs: rows of customers and products, columns of the rows, then the parameters."""

    data_inputs = 2 + len(ROW_COLUMNS)
    value_and_gradient = staticmethod(_value_and_gradient)


_collapsed = _Collapsed()


def log_likelihood(rows: PairRows, index: tuple[Ints, Ints], *parameters: Any) -> Any:
    """Symbolic log likelihood of ``rows``; ``parameters`` as in ``collapsed_likelihood``."""
    columns = [getattr(rows, name) for name in ROW_COLUMNS]
    return _collapsed(*index, *columns, *parameters)[0]
