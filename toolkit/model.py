"""The protocol that every model version meets, and how a version is found by its name.

A version is a module-level object, registered under its name in the entry-point group
``toolkit.models``. It turns patterns into fitted parameters, and fitted parameters into
predictions; both are pure: randomness comes in as :class:`Streams`, results go out as data.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from toolkit.errors import ModelError
from toolkit.tables import Patterns, Predictions

ENTRY_POINT_GROUP = "toolkit.models"
DEFAULT_MODEL = "pair_conjugate"


@dataclass(frozen=True, slots=True)
class Streams:
    """Independent random generators, one per product, all derived from one seed.

    A product's stream depends on the seed and its id alone, so that a product gets the same
    draws by itself and in any batch.

    >>> int(Streams(7).product(42).integers(1000)) == int(Streams(7).product(42).integers(1000))
    True
    """

    seed: int

    def product(self, product_id: int) -> np.random.Generator:
        """The generator of one product."""
        key = (self.seed, product_id % 2**64)  # seeds are not negative, ids may be
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a version is fitted: NUTS ``draws`` kept after ``tune`` steps, in each of ``chains``.

    ``pairs``: fit to about as many pairs, chosen by the version; None leaves that to it, too.
    ``cores``: chains that run at a time.
    """

    draws: int = 1000
    tune: int = 500
    chains: int = 4
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    pairs: int | None = None


type Progress = Callable[[int, int], None]
"""Is told how many steps are done, and of how many."""

DEFAULT_SETTINGS = FitSettings()


def ignore(done: int, total: int) -> None:
    """Progress that nobody watches."""


@runtime_checkable
class FittedModel(Protocol):
    """A model version with its parameters: it can predict, and be saved as data."""

    @property
    def name(self) -> str:
        """The version's name, as registered."""
        ...

    @property
    def reads_customer_days(self) -> bool:
        """Whether patterns must come with their customers' order days, of whatever product."""
        ...

    @property
    def version(self) -> str:
        """Identifies the parameters: equal versions give equal predictions."""
        ...

    @property
    def complaints(self) -> tuple[str, ...]:
        """What speaks against using it, a sentence each; none for a fit that has converged."""
        ...

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product in ``patterns`` over ``weeks`` weeks."""
        ...

    def save(self, folder: Path) -> None:
        """Write the parameters into ``folder`` as data (JSON, netCDF), never as code.

        A model that was fitted says in ``card.json`` what from, how, and how well.
        """
        ...


@runtime_checkable
class ModelVersion(Protocol):
    """A model before its fit. One that needs none is a :class:`FittedModel` itself."""

    @property
    def name(self) -> str:
        """The name it is registered under."""
        ...

    @property
    def reads_customer_days(self) -> bool:
        """Whether patterns must come with their customers' order days, of whatever product."""
        ...

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> FittedModel:
        """Learn the parameters from all pairs known at ``patterns.as_of_date``.

        Raises ``ModelError`` where there is nothing to learn from.
        """
        ...

    def load(self, folder: Path) -> FittedModel:
        """Read what ``save`` wrote. Raises ``ModelError`` on anything else."""
        ...


@cache
def find_model(name: str) -> ModelVersion:
    """The model registered as ``name``; ``ModelError`` lists what there is."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise ModelError(f"unknown model {name!r}; known models: {known}")
    model = found[name].load()
    if not isinstance(model, ModelVersion):
        raise ModelError(f"entry point {name!r} is a {type(model).__name__}, not a model version")
    return model
