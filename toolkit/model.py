"""The protocol that every model version meets, and how a version is found by its name.

A version is a module-level object, registered under its name in the entry-point group
``toolkit.models``, or named by where it is: ``path/to/file.py:MODEL``. It turns patterns into
fitted parameters, and fitted parameters into predictions; both are pure: randomness comes in as
:class:`Streams`, results go out as data.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from toolkit.data.attribution import Attribution
from toolkit.data.calendar import NO_CALENDAR, Calendar, Event
from toolkit.data.tables import DemandFactors, Ints, PairDraws, Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.installed import ENTRY_POINT_GROUP, absolute_place, load, module_at

DEFAULT_MODEL = "pair_conjugate"

MODELS_VARIABLE = "TOOLKIT_MODELS"
"""The environment variable that lists models by where they are, ``;`` between them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Streams:
    """Independent random generators, one per product and one for all, derived from one seed.

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

    def again(self, product_id: int, customer_id: int, number: int) -> np.random.Generator:
        """The generator of a pair that is drawn once more, for the time ``number``, from 0."""
        key, pair = (self.seed, product_id % 2**64), (1, number, customer_id % 2**64)
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key, spawn_key=pair)))

    def shared(self) -> np.random.Generator:
        """The generator of what all products share."""
        return np.random.Generator(
            np.random.SFC64(np.random.SeedSequence(self.seed, spawn_key=(0,)))
        )


type Method = Literal["nuts", "laplace"]

MOST_DRAWS = 2000
"""So many draws of each chain are made at most, unless a fit is told how many."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a version is fitted: NUTS ``draws`` kept after ``tune`` steps, in each of ``chains``.

    ``draws``: None for as many as it takes to converge (bulk and tail ESS of 400, R-hat of 1.01, in
    every parameter), and 2,000 of each chain at most. ``tune``, ``pairs``: None leaves to the
    version how many steps it takes and about how many pairs it is fitted to. ``cores``: chains that
    run at a time, all of them where ``draws`` is None. ``prior``: by parameter, what its prior is
    in place of the version's default; one number or two, see its model card. ``method``:
    ``laplace`` for an approximation in seconds. ``calendar``: days on which business is not as
    usual, for versions whose ``reads_calendar`` is true; the others leave it alone.
    """

    draws: int | None = None
    tune: int | None = None
    chains: int = 4
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    pairs: int | None = None
    prior: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    method: Method = "nuts"
    calendar: Calendar = NO_CALENDAR

    @property
    def steps(self) -> int:
        """Of all chains together, at most; about, where the version says how many it tunes."""
        return self.chains * ((self.tune or 0) + (self.draws or MOST_DRAWS))


type Progress = Callable[[int, int, str], None]
"""Is told how many steps are done, of how many at most, and what the sampler says of itself."""

DEFAULT_SETTINGS = FitSettings()


type Granularity = Literal["pairs", "products"]

GRANULARITIES: tuple[Granularity, ...] = ("pairs", "products")


def ignore(done: int, total: int, said: str) -> None:
    """Progress that nobody watches."""


class AnyModel(Protocol):
    """A model before its fit or after it."""

    @property
    def name(self) -> str:
        """The name it is registered under."""

    @property
    def reads_customer_days(self) -> bool:
        """Whether patterns must come with their customers' order days, of whatever product."""

    @property
    def granularities(self) -> tuple[Granularity, ...]:
        """What it predicts: pairs, products or both; what it does not is NaN in predictions."""


@runtime_checkable
class FittedModel(AnyModel, Protocol):
    """A model version with its parameters: it can predict, and be saved as data."""

    @property
    def version(self) -> str:
        """Identifies the parameters: equal versions give equal predictions."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against using it, a sentence each; none for a fit that has converged."""

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict every pair and product in ``patterns`` over ``weeks`` weeks."""

    def save(self, folder: Path) -> None:
        """Write the parameters into ``folder`` as data (JSON, netCDF), never as code.

        A model that was fitted says in ``card.json`` what from, how, and how well.
        """


@runtime_checkable
class ExplainingModel(FittedModel, Protocol):
    """A fitted model that says what its expectations are made of, under its draws."""

    def explain_pair(
        self, patterns: Patterns, row: int, *, weeks: int, draws: int, streams: Streams
    ) -> Attribution:
        """Orders of the pair in ``row``, from those of a typical one of ``patterns``."""

    def explain_product(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Attribution:
        """Units of the one product in ``patterns``, from those of its known customers."""


@runtime_checkable
class CalendarModel(FittedModel, Protocol):
    """A fitted model that learnt from a calendar what events do, and can tell of further ones."""

    @property
    def event_days(self) -> Mapping[str, tuple[date, ...]]:
        """By kind that the calendar had before the fit's date: all days of it, to come as well."""

    def event_factors(
        self,
        patterns: Patterns,
        events: Sequence[Event],
        *,
        weeks: int,
        draws: int,
        streams: Streams,
    ) -> DemandFactors:
        """By how many times demand differs with further ``events`` of kinds in ``event_days``.

        Of every product in ``patterns``, under the draws of ``predict``; the group of an event is
        that of its kind.
        """


@runtime_checkable
class RedrawingModel(FittedModel, Protocol):
    """A fitted model that draws single pairs once more, for customers who order alike."""

    def predict_again(
        self,
        patterns: Patterns,
        rows: Ints,
        number: int,
        *,
        weeks: int,
        draws: int,
        streams: Streams,
    ) -> PairDraws:
        """The pairs in ``rows`` under all that pairs share in ``predict``, in each draw the same.

        Given that, they are independent of what ``predict`` draws, and of any other ``number``:
        their generators are those of ``streams.again``. No row changes what another one is.
        """


@runtime_checkable
class SplittingModel(FittedModel, Protocol):
    """A fitted model that tells single pairs apart in the draws of their products."""

    def predict_apart(
        self, patterns: Patterns, rows: Ints, *, weeks: int, draws: int, streams: Streams
    ) -> PairDraws:
        """What the pairs in ``rows``, which ascend, order in each draw of ``predict``.

        Draws of a product are sums of those of its pairs, and of customers who are new to it.
        """


@runtime_checkable
class ModelVersion(AnyModel, Protocol):
    """A model before its fit. One that needs none is a :class:`FittedModel` itself."""

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

    def load(self, folder: Path) -> FittedModel:
        """Read what ``save`` wrote. Raises ``ModelError`` on anything else."""


def reads_calendar(model: object) -> bool:
    """Whether fits of the model hang on ``FitSettings.calendar``: it says so by this name."""
    return bool(getattr(model, "reads_calendar", False))


def check_granularities(model: AnyModel) -> None:
    """``ModelError`` unless the model predicts pairs and products, as a forecast needs."""
    missing = [name for name in GRANULARITIES if name not in model.granularities]
    if missing:
        raise ModelError(
            f"{model.name} predicts no {' and no '.join(missing)}: a forecast needs both pairs and "
            "products; backtests take it as it is"
        )


@cache
def find_model(name: str) -> ModelVersion:
    """The model registered as ``name``, or the object that ``name`` says the place of.

    ``path/to/file.py:MODEL`` is an object in a file, ``package.module:MODEL`` in a module that can
    be imported. From then on it is known by its own ``name``, too, in this process and in those it
    starts: the environment variable ``TOOLKIT_MODELS`` lists such models. Where it is set before,
    a name is enough. A file is executed once in a process, as any module is, and imports only
    what is installed or on the Python path.

    Raises ``ModelError`` that says what there is if the model is unknown, and why if it cannot be
    used: no such file or object, no model, or a name that another model has.
    """
    if ":" in name:
        model = _located(name)
        _announce(name, model)
        return model
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name in found:
        return _checked(load(found[name], ModelError), f"entry point {name!r}")
    placed = {model.name: model for model in map(_located, _places())}
    if name in placed:
        return placed[name]
    known = ", ".join(sorted(found | placed)) or "none is installed"
    raise ModelError(f"unknown model {name!r}; known models: {known}{_hint(name)}")


def default_model() -> FittedModel:
    """The model that needs no fit, used until another one is promoted."""
    model = find_model(DEFAULT_MODEL)
    if not isinstance(model, FittedModel):
        raise ModelError(f"the default model {DEFAULT_MODEL!r} would have to be fitted first")
    return model


def fitted(model: FittedModel) -> FittedModel:
    """The model, if it can predict; a name, or a version before its fit, is the likeliest slip."""
    if hasattr(model, "predict"):
        return model
    name = getattr(model, "name", model)
    raise ModelError(
        f"model has to be a fitted model, got {name!r}, which is none: its `fit` returns one, and "
        f"toolkit.fits.load_fit({name!r}, Path('fits')) one that `toolkit fit` saved"
    )


def known_model(name: str) -> ModelVersion:
    """The model of a name that was found in data: in a fit, a store, a run's folder.

    Raises ``ModelError`` as ``find_model`` does, and for the place of a file or a module: code
    runs because a person named it, never because data do.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} is no name of a model: stored data may name no file or module, only a "
            "command or an experiment may"
        )
    return find_model(name)


def _hint(name: str) -> str:
    """A hint for whoever named a file, or may have a model in one."""
    if name.endswith(".py"):
        return f"; the object in a file is named {name}:MODEL"
    return f"; one in a file is named path/to/file.py:MODEL, or listed in {MODELS_VARIABLE}"


def model_file(name: str) -> Path | None:
    """The file that a model named by where it is came from; None of an installed model.

    Raises ``ModelError`` as ``find_model`` does.
    """
    model = find_model(name)
    for place in _places():
        if _located(place) is model:
            return Path(module_at(place).__file__ or "")
    return None


def _located(place: str) -> ModelVersion:
    """The object at ``FILE.py:NAME`` or ``MODULE:NAME``."""
    where, attribute = absolute_place(place).rsplit(":", 1)
    module = module_at(place)
    if not hasattr(module, attribute):
        held = [name for name, value in vars(module).items() if _is_model(value)]
        there = f"it has {', '.join(held)}" if held else "it holds no model"
        raise ModelError(f"{where} has no {attribute!r}; {there}")
    return _checked(getattr(module, attribute), place)


def _checked(model: object, what: str) -> ModelVersion:
    """The model, if it is one."""
    if isinstance(model, type):
        raise ModelError(
            f"{what} is the class {model.__name__}, not a model version: make an object of it"
        )
    if not isinstance(model, ModelVersion):
        wanted = ("name", "reads_customer_days", "granularities", "fit", "load")
        missing = ", ".join(name for name in wanted if not hasattr(model, name))
        kind = type(model).__name__
        raise ModelError(f"{what} is a {kind}, not a model version: it lacks {missing}")
    if not isinstance(model.name, str) or not _NAME.fullmatch(model.name):
        raise ModelError(
            f"the name of {what} has to be letters, digits, '_', '-', '.', got {model.name!r}"
        )
    return model


def _is_model(value: object) -> bool:
    return isinstance(value, ModelVersion) and not isinstance(value, type)


def _places() -> list[str]:
    """What ``TOOLKIT_MODELS`` lists."""
    listed = os.environ.get(MODELS_VARIABLE, "").split(";")
    return [place.strip() for place in listed if place.strip()]


def _announce(place: str, model: ModelVersion) -> None:
    """Make the model known by its name, to child processes as well.

    Its name stands for it in fits, tasks and the registry, so no other model may have it.
    """
    points = entry_points(group=ENTRY_POINT_GROUP, name=model.name)
    installed = [load(point, ModelError) for point in points]
    if any(found is model for found in installed):
        return
    others = {other: found for other in _places() if (found := _located(other)) is not model}
    named = {found.name for found in others.values()}
    if installed or model.name in named:
        what = "an installed model" if installed else f"another one in {MODELS_VARIABLE}"
        raise ModelError(
            f"{place} is called {model.name!r}, as {what} is: give it a name of its own"
        )
    os.environ[MODELS_VARIABLE] = ";".join([*others, absolute_place(place)])
