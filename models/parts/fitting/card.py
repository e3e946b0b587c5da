"""What a fit says of itself: which model, from what, how, and how well."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.data.calendar import NO_CALENDAR
from toolkit.data.tables import Patterns
from toolkit.model import FitSettings, reads_calendar
from toolkit.results.fit import FitCard, PowerScaling, PredictiveCheck

if TYPE_CHECKING:
    from models.parts.fitting.laplace import LaplaceDiagnostics
    from models.parts.fitting.sampling import Diagnostics

type Arrays = Mapping[str, NDArray[Any]]


class Described(Protocol):
    """What a version says of itself before any fit."""

    @property
    def name(self) -> str:
        """The name it is registered under."""

    @property
    def formulas(self) -> str:
        """Their version."""

    @property
    def description(self) -> str:
        """The model card."""


def sampled_card(
    model: Described,
    arrays: Arrays,
    patterns: Patterns,
    rows: int,
    seed: int,
    settings: FitSettings,
    diagnostics: "Diagnostics | LaplaceDiagnostics",
    checks: tuple[PredictiveCheck, ...],
    sensitivity: PowerScaling,
) -> FitCard:
    """The card of a fit of ``model`` to ``rows`` of ``patterns``, which gave ``arrays``."""
    return FitCard(
        model=model.name,
        formulas=model.formulas,
        version=digest(model.formulas, arrays),
        as_of_date=patterns.as_of_date,
        pairs=rows,
        seed=seed,
        description=model.description,
        settings=asdict(settings)
        | {
            "draws": diagnostics.draws,
            "prior": {name: list(numbers) for name, numbers in settings.prior.items()},
            "calendar": str(settings.calendar if reads_calendar(model) else NO_CALENDAR),
        },
        diagnostics=asdict(diagnostics),
        warnings=tuple(diagnostics.warnings()),
        checks=checks,
        sensitivity=sensitivity,
        fitted_at=datetime.now(UTC),
    )


def digest(formulas: str, arrays: Arrays) -> str:
    """Identifies formulas and parameters: equal ones give equal predictions."""
    whole = hashlib.sha256(formulas.encode())
    for name, array in sorted(arrays.items()):
        whole.update(f"{name} {array.dtype} {array.shape}".encode())
        whole.update(np.ascontiguousarray(array).tobytes())
    return f"{formulas}-{whole.hexdigest()[:8]}"
