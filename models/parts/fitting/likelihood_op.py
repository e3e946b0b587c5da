"""A compiled log likelihood with its gradient as an operation in PyMC's graphs.

Only fitting imports this; it pulls in PyTensor.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op


class LikelihoodOp(Op):
    """Inputs: data, then parameters; outputs: the log likelihood, then its derivatives.

    A subclass names the function, which takes and returns arrays.
    """

    __props__ = ()
    data_inputs: ClassVar[int]
    value_and_gradient: ClassVar[Callable[..., tuple[Any, ...]]]

    def make_node(self, *inputs: Any) -> Apply:
        """A scalar, and for each parameter an array of its shape."""
        variables = [pt.as_tensor_variable(x) for x in inputs]
        parameters = variables[self.data_inputs :]
        return Apply(self, variables, [pt.dscalar(), *(x.type() for x in parameters)])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: list[list[Any]]) -> None:
        """Run the function."""
        results = type(self).value_and_gradient(*inputs)
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = np.asarray(result)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """The value depends on the parameters; nothing is ever taken by the gradient."""
        outputs = len(node.outputs)
        return [[i >= self.data_inputs] + [False] * (outputs - 1) for i in range(len(node.inputs))]

    def pullback(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        cotangents: Sequence[Variable],
    ) -> list[Variable]:
        """The gradient, times what the value is worth."""
        data = [DisconnectedType()() for _ in range(self.data_inputs)]
        return data + [cotangents[0] * by for by in outputs[1:]]
