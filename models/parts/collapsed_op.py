"""The collapsed likelihood as an operation that PyMC's graphs can hold and NUTS can run.

Only fitting imports this; it pulls in PyTensor.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from models.parts.collapsed import PairRows, add_up
from toolkit.tables import Floats, Ints

ROW_COLUMNS = ("count", "interval_sum", "survived", "constant", "counts", "regularities")


class _Collapsed(Op):
    """Inputs: columns of the rows, then the parameters; outputs: value, then its gradient."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        """A scalar, and for each parameter an array of its shape."""
        variables = [pt.as_tensor_variable(x) for x in inputs]
        parameters = variables[_N_COLUMNS:]
        return Apply(self, variables, [pt.dscalar(), *(x.type() for x in parameters)])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        """In Python, where nothing compiles the graph."""
        for storage, result in zip(output_storage, _value_and_gradient(*inputs), strict=True):
            storage[0] = np.asarray(result)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """The value depends on the parameters; nothing is ever taken by the gradient."""
        outputs = len(node.outputs)
        return [[i >= _N_COLUMNS] + [False] * (outputs - 1) for i in range(len(node.inputs))]

    def pullback(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        cotangents: Sequence[Variable],
    ) -> list[Variable]:
        """The gradient, times what the value is worth."""
        columns = [DisconnectedType()() for _ in range(_N_COLUMNS)]
        return columns + [cotangents[0] * by for by in outputs[1:]]


_N_COLUMNS = 2 + len(ROW_COLUMNS)  # and the rows of customers and products


@register_funcify_default_op_cache_key(_Collapsed)
def _compiled(
    op: _Collapsed, node: Apply | None = None, **kwargs: Any
) -> tuple[Callable[..., Any], int]:
    return numba_njit(_value_and_gradient), 1


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


_collapsed = _Collapsed()


def log_likelihood(rows: PairRows, index: tuple[Ints, Ints], *parameters: Any) -> Any:
    """Symbolic log likelihood of ``rows``; ``parameters`` as in ``collapsed_likelihood``."""
    columns = [getattr(rows, name) for name in ROW_COLUMNS]
    return _collapsed(*index, *columns, *parameters)[0]
