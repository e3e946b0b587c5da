"""How a forecast was made, as it says itself."""

from dataclasses import dataclass
from datetime import date
from typing import TypedDict


class RegisteredMetadata(TypedDict):
    """Where the model comes from; None where that does not apply.

    ``data_sha256``: of what the model was fitted to. ``knows_the_future``: it was fitted as of a
    later date than the forecast's, which is then nothing to score.
    """

    registered_version: int | None
    mlflow_run_id: str | None
    data_sha256: str | None
    fitted_as_of_date: str | None
    knows_the_future: bool


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

    def metadata(self, as_of: date) -> RegisteredMetadata:
        """What a forecast as of a date says of it."""
        fitted = self.fitted_as_of
        return RegisteredMetadata(
            registered_version=self.number,
            mlflow_run_id=self.run_id,
            data_sha256=self.data_sha256,
            fitted_as_of_date=None if fitted is None else fitted.isoformat(),
            knows_the_future=fitted is not None and fitted > as_of,
        )


NOT_REGISTERED = RegisteredMetadata(
    registered_version=None,
    mlflow_run_id=None,
    data_sha256=None,
    fitted_as_of_date=None,
    knows_the_future=False,
)


class ModelMetadata(RegisteredMetadata):
    """How the forecast was made; ``failed_pairs`` counts pairs left out because they failed."""

    as_of_date: str
    generated_at: str
    model_name: str
    model_version: str
    min_orders_threshold: int
    min_confidence_threshold: float
    draws: int
    seed: int
    failed_pairs: int
