"""Values for an export, batch by batch: those that can be made, and why others cannot."""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from toolkit.cache.releases.values import Value, value_of
from toolkit.data.tables import Predictions
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError, SourceError
from toolkit.results.forecast import ProductForecast
from toolkit.results.pair_rows import PairRows
from toolkit.stages.listing import Chooser
from toolkit.views.forecasts import pairs_by_product

MOST_ERRORS = 100
"""When so many products have failed, something else is wrong than a product."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a batch of products, by their ids.

    ``totals``: units expected of those that were ordered before. ``errors``: why a product has no
    value.
    """

    values: Mapping[int, Value] = field(default_factory=dict)
    totals: Mapping[int, float] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)

    def __or__(self, other: "Made") -> "Made":
        """Both."""
        return Made(
            {**self.values, **other.values},
            {**self.totals, **other.totals},
            {**self.errors, **other.errors},
        )


type Maker = Callable[[Sequence[Sequence[int]], date, str], Generator[Made, None, None]]
"""Makes values of batches of products as of a date for a release, in whatever order."""


@contextmanager
def without_warnings() -> Iterator[None]:
    """The report counts what is warned of: pairs that were left out, of all products."""
    loggers = [logging.getLogger(name) for name in ("toolkit.engine", "toolkit.stages")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def engine_maker(engine: ForecastEngine) -> Maker:
    """By the engine itself, one batch after the other."""

    def make(
        batches: Sequence[Sequence[int]], as_of: date, release_id: str
    ) -> Generator[Made, None, None]:
        for ids in batches:
            yield make_values(engine, ids, as_of, release_id)

    return make


def make_values(
    engine: ForecastEngine,
    ids: Sequence[int],
    as_of: date,
    release_id: str,
    most_errors: int | None = None,
) -> Made:
    """Values of those that do not fail: a batch that does is halved until it is known which.

    Raises ``SourceError`` if the database fails, ``PredictionError`` if more products do than
    ``most_errors``, by default 100.
    """
    most = MOST_ERRORS if most_errors is None else most_errors
    pairs: dict[int, PairRows] = {}

    def note(predictions: Predictions, chooser: Chooser) -> None:
        pairs.update(pairs_by_product(predictions, chooser))

    try:
        forecasts = engine.generate_forecasts(ids, as_of, note=note)
    except SourceError:
        raise
    except Exception as exc:
        if len(ids) == 1:
            return Made(errors={ids[0]: f"{type(exc).__name__}: {exc}"})
    else:
        return _made(engine, forecasts, pairs, as_of, release_id)
    half, made = len(ids) // 2, Made()
    for part in (ids[:half], ids[half:]):
        made |= make_values(engine, part, as_of, release_id, most)
        refuse_more(made.errors, most)
    return made


def refuse_more(errors: Mapping[int, str], most: int) -> None:
    """``PredictionError`` for more errors than ``most``."""
    if len(errors) > most:
        last = [*errors.values()][-1]
        raise PredictionError(
            f"more than {most} products failed, and nothing was published; the last failed for "
            f"{last}"
        )


def _made(
    engine: ForecastEngine,
    forecasts: Mapping[int, ProductForecast | None],
    pairs: Mapping[int, PairRows],
    as_of: date,
    release_id: str,
) -> Made:
    nobody = PairRows.none()
    values = {
        i: value_of(
            release_id,
            as_of,
            i,
            None if forecast is None else forecast.to_dict(),
            engine.computed_with(i, as_of),
            pairs.get(i, nobody),
        )
        for i, forecast in forecasts.items()
    }
    given = {i: forecast for i, forecast in forecasts.items() if forecast is not None}
    return Made(values, {i: f.summary["expected_quantity"] for i, f in given.items()})
