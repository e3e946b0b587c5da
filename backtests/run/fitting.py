"""Fits that a backtest needs: which, made or found, kept in the run's folder."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from backtests.run.experiment import Experiment, VersionSpec
from backtests.run.records import FitRecord
from toolkit.cluster.orders import OrdersAt
from toolkit.data.calendar import NO_CALENDAR, Calendar
from toolkit.data.tables import Patterns
from toolkit.disk import is_full
from toolkit.errors import ArgumentError, ModelError, OrdersReplacedError
from toolkit.fits import fit_folder, load_fit, save_fit
from toolkit.model import FitSettings, FittedModel, Method, ModelVersion, Progress, find_model
from toolkit.results.fit import FitCard
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import read_patterns
from toolkit.validation import load, write

SETTINGS = ("pairs", "draws", "tune", "chains", "method")
"""What a version may say of its fit, and else leaves to the model."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """One fit: of versions with equal settings there is one for all."""

    model: str
    as_of_date: date
    seed: int
    pairs: int | None
    draws: int | None
    tune: int | None
    chains: int | None
    method: Method | None = None
    prior: tuple[tuple[str, tuple[float, ...]], ...] = ()
    calendar: Calendar = NO_CALENDAR

    @classmethod
    def of(cls, version: VersionSpec, as_of_date: date, calendar: Calendar) -> "Fitting":
        """The fit of ``version`` to what was known at the date."""
        return cls(
            model=find_model(version.model).name,  # of a model named by its file, too
            as_of_date=as_of_date,
            seed=version.seed,
            prior=tuple(version.prior.items()),
            calendar=calendar,
            **{name: getattr(version, name) for name in SETTINGS},
        )

    def settings(self, cores: int) -> FitSettings:
        """For the sampler; cores change no result."""
        given = {name: getattr(self, name) for name in SETTINGS}
        known = {name: value for name, value in given.items() if value is not None}
        return FitSettings(cores=cores, prior=dict(self.prior), calendar=self.calendar, **known)

    @property
    def asked(self) -> dict[str, object]:
        """The same as plain values; a calendar by what it is called."""
        return asdict(self) | {"calendar": str(self.calendar)}

    def file(self, fits: Path) -> Path:
        """Says which fit this one became."""
        digest = hashlib.sha256(json.dumps(self.asked, default=str).encode()).hexdigest()[:8]
        return fits / self.model / f"{self.as_of_date}-{digest}.json"


type Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar with a title and a total; what it yields is told of steps done."""


def find_versions(experiment: Experiment) -> dict[str, ModelVersion]:
    """Each version's model, by label. ``ModelError`` tells of all that are unknown."""
    found, unknown = {}, []
    for version in experiment.versions:
        try:
            found[version.label] = find_model(version.model.partition("@")[0])
        except ModelError as exc:
            unknown.append(f"version {version.label!r}: {exc}")
    if unknown:
        raise ModelError("\n".join(unknown))
    return found


def frozen_fit(version: VersionSpec, first: date, fits: Path) -> FittedModel:
    """The saved fit that a frozen version names, or the model that needs none.

    Raises ``ArgumentError`` if no fit is named, or it was fitted after the ``first`` as-of date
    and so has seen what it is to predict; ``ModelError`` if ``fits`` does not hold it.
    """
    name, _, given = version.model.partition("@")
    found = find_model(name)
    if isinstance(found, FittedModel):
        return found
    if not given:
        raise ArgumentError(
            f"version {version.label!r} is frozen: name the fit in {fits}, as {name}@VERSION"
        )
    fitted = load_fit(version.model, fits)
    card = FitCard.read(fit_folder(version.model, fits))
    fitted_on = None if card is None else card.as_of_date
    if fitted_on is None or fitted_on > first:
        raise ArgumentError(
            f"version {version.label!r}: {version.model} was fitted to what was known at "
            f"{fitted_on or 'an unknown date'}, after the first as-of date {first}"
        )
    return fitted


@dataclass(frozen=True, slots=True)
class FitTask:
    """A fit to make of the ``orders``, and to save in ``fits``."""

    fitting: Fitting
    orders: OrdersAt
    fits: Path

    @property
    def file(self) -> Path:
        """Says which fit it became."""
        return self.fitting.file(self.fits)


type FitMaker = Callable[[Sequence[FitTask]], Iterator[tuple[FitTask, FitRecord]]]
"""Makes fits, in whatever order."""


def fit_all(
    fittings: Sequence[Fitting],
    orders: OrdersAt,
    fits: Path,
    cores: int,
    bar: Bar,
    make: FitMaker | None = None,
) -> dict[Fitting, FitRecord]:
    """Make the fits that are not there yet; what each became, or why it failed.

    Here, one after the other, each on so many ``cores``, or by ``make``: on workers, say. One that
    failed before, or is damaged, is made again. ``OSError`` where the disk is full,
    ``OrdersReplacedError`` where an import has taken the place of the orders.
    """
    in_order = sorted(fittings, key=lambda f: f.as_of_date)
    known = {fitting: _recorded(fitting, fits) for fitting in in_order}
    became = {fitting: record for fitting, record in known.items() if record is not None}
    tasks = [FitTask(fitting, orders, fits) for fitting in in_order if fitting not in became]
    made = ((task, _fit(task, cores, bar)) for task in tasks) if make is None else make(tasks)
    for task, record in made:
        file = task.file
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, record)
        became[task.fitting] = record
    _patterns_of.cache_clear()
    return became


def fit(task: FitTask) -> FitRecord:
    """Make the fit: what a worker does, with all cores of its machine."""
    try:
        return _fit(task, os.cpu_count() or 1, _untold)
    finally:
        _patterns_of.cache_clear()  # a worker outlives what the database holds now


@contextmanager
def _untold(title: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda steps: None


def _recorded(fitting: Fitting, fits: Path) -> FitRecord | None:
    """What a fit became, if that can still be used; None if it has to be made."""
    try:
        record = load(FitRecord, fitting.file(fits), "the record of a fit")
        name, _, version = str(record.model).partition("@")
        if name != fitting.model or not version:  # nothing else is loaded because a file says so
            return None
        load_fit(f"{name}@{version}", fits)
    except Exception:  # a model may raise whatever damaged files lead to
        return None
    return record


def _fit(task: FitTask, cores: int, bar: Bar) -> FitRecord:
    fitting = task.fitting
    started, settings = time.perf_counter(), fitting.settings(cores)
    version, error = None, None
    title = f"Fitting {fitting.model} as of {fitting.as_of_date}"
    try:
        model = find_model(fitting.model)
        patterns = _patterns_of(task.orders, fitting.as_of_date, model.reads_customer_days)
        with bar(title, settings.steps) as advance:
            fitted = model.fit(
                patterns, seed=fitting.seed, settings=settings, progress=_steps(advance)
            )
        save_fit(fitted, task.fits)
        version = f"{fitted.name}@{fitted.version}"
    except OrdersReplacedError:
        raise
    except Exception as exc:
        if is_full(exc):
            raise
        error = f"the fit failed: {type(exc).__name__}: {exc}"
    seconds = round(time.perf_counter() - started, 3)
    return FitRecord(version, error, seconds, fitting.asked)


def _steps(advance: Callable[[int], None]) -> Progress:
    """Turns "so many are done" into "so many more are done"."""
    seen = 0

    def tell(done: int, total: int, said: str) -> None:
        nonlocal seen
        advance(done - seen)
        seen = done

    return tell


def patterns_before(database: Path, as_of_date: date, customer_days: bool) -> Patterns:
    """All that a fit is shown: what was known before the date."""
    return _patterns_of(OrdersAt.now(database), as_of_date, customer_days)


@lru_cache(maxsize=1)
def _patterns_of(orders: OrdersAt, as_of_date: date, customer_days: bool) -> Patterns:
    with orders.open() as conn:
        return read_patterns(as_source(conn), as_of_date, customer_days)[0]
