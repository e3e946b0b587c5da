"""How a forecast was made, as it says itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypedDict


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """Where the model of an engine comes from: its number in the registry, and its MLflow run.

    ``data_sha256`` and ``fitted_as_of``: the fingerprint of what it was fitted to, and the date
    before which that was known; None where there is none, or it was not kept.
    """

    number: int
    run_id: str
    data_sha256: str | None = None
    fitted_as_of: date | None = None


class ModelMetadata(TypedDict):
    """How the forecast was made; ``failed_pairs`` counts pairs left out because they failed.

    ``registered_version``, ``mlflow_run_id``, ``data_sha256`` (of what the model was fitted to)
    and ``fitted_as_of_date`` are None where they do not apply. ``knows_the_future``: the model
    was fitted as of a later date than the forecast's, which is then nothing to score.
    ``default_price``: the unit price, where no line told one and the caller gave it; else None.
    """

    as_of_date: str
    generated_at: str
    model_name: str
    model_version: str
    min_orders_threshold: int
    min_confidence_threshold: float
    draws: int
    seed: int
    failed_pairs: int
    registered_version: int | None
    mlflow_run_id: str | None
    data_sha256: str | None
    fitted_as_of_date: str | None
    knows_the_future: bool
    default_price: float | None


LATER: Mapping[str, object] = {
    "registered_version": None,
    "mlflow_run_id": None,
    "data_sha256": None,
    "fitted_as_of_date": None,
    "knows_the_future": False,
    "default_price": None,
}
"""What forecasts did not say at first; those still in a cache are read all the same."""


def model_metadata(
    as_of: date,
    generated_at: datetime,
    *,
    model: tuple[str, str] = ("", ""),
    thresholds: tuple[int, float] = (0, 0.0),
    draws: int = 0,
    seed: int = 0,
    failed_pairs: int = 0,
    registered: RegisteredVersion | None = None,
    default_price: float | None = None,
) -> ModelMetadata:
    """``model``: its name and version; ``thresholds``: of orders and of confidence.

    What is not given is that of a forecast put together outside the engine.
    """
    fitted = None if registered is None else registered.fitted_as_of
    return ModelMetadata(
        as_of_date=as_of.isoformat(),
        generated_at=f"{generated_at:%Y-%m-%dT%H:%M:%SZ}",
        model_name=model[0],
        model_version=model[1],
        min_orders_threshold=thresholds[0],
        min_confidence_threshold=thresholds[1],
        draws=draws,
        seed=seed,
        failed_pairs=failed_pairs,
        registered_version=None if registered is None else registered.number,
        mlflow_run_id=None if registered is None else registered.run_id,
        data_sha256=None if registered is None else registered.data_sha256,
        fitted_as_of_date=None if fitted is None else fitted.isoformat(),
        knows_the_future=fitted is not None and fitted > as_of,
        default_price=default_price,
    )
