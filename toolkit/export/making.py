"""Forecasts for an export, batch by batch: those that can be made, and why others cannot."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from toolkit.cache.envelope import Fields
from toolkit.engine import ForecastEngine
from toolkit.errors import PredictionError, SourceError


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a batch of products, by their ids.

    ``forecasts``: None where nobody ordered the product before the date. ``totals``: units
    expected. ``errors``: why a product has no forecast.
    """

    forecasts: Mapping[int, Fields | None]
    totals: Mapping[int, float] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)

    def __or__(self, other: "Made") -> "Made":
        """Both."""
        return Made(
            {**self.forecasts, **other.forecasts},
            {**self.totals, **other.totals},
            {**self.errors, **other.errors},
        )


type Maker = Callable[[Sequence[Sequence[int]], date], Generator[Made, None, None]]
"""Forecasts batches of products as of a date, in whatever order."""


def forecast_each(
    engine: ForecastEngine, ids: Sequence[int], as_of: date, most_errors: int
) -> Made:
    """Forecasts of those that do not fail: a batch that does is halved until it is known which.

    Raises ``SourceError`` if the database fails, ``PredictionError`` if more products do than
    ``most_errors``: something else is wrong then.
    """
    try:
        forecasts = engine.generate_forecasts(ids, as_of)
    except SourceError:
        raise
    except Exception as exc:
        if len(ids) == 1:
            return Made({}, errors={ids[0]: f"{type(exc).__name__}: {exc}"})
    else:
        given = {i: forecast for i, forecast in forecasts.items() if forecast is not None}
        totals = {i: forecast.summary["expected_quantity"] for i, forecast in given.items()}
        return Made(dict.fromkeys(forecasts) | {i: f.to_dict() for i, f in given.items()}, totals)
    half, made = len(ids) // 2, Made({})
    for part in (ids[:half], ids[half:]):
        made |= forecast_each(engine, part, as_of, most_errors)
        refuse_more(made.errors, most_errors)
    return made


def refuse_more(errors: Mapping[int, str], most: int) -> None:
    """``PredictionError`` for more errors than ``most``."""
    if len(errors) > most:
        last = [*errors.values()][-1]
        raise PredictionError(
            f"more than {most} products failed, and nothing was published; the last failed for "
            f"{last}"
        )
