"""A peer without a fit: it is its own fitted model."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from toolkit.data.tables import Patterns, Predictions
from toolkit.errors import ModelError
from toolkit.model import DEFAULT_SETTINGS, FitSettings, Granularity, Progress, Streams, ignore

PARAMETERS_FILE = "parameters.json"


class Forecast(Protocol):
    """How a rule predicts."""

    def __call__(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict what ``patterns`` hold over ``weeks`` weeks."""


@dataclass(frozen=True, slots=True)
class FixedRule:
    """A rule with its fixed parameters; ``granularities``: whether it speaks of pairs, products."""

    name: str
    formulas: str
    granularities: tuple[Granularity, ...]
    forecast: Forecast
    parameters: Mapping[str, float] = field(default_factory=dict)
    reads_customer_days: ClassVar[bool] = False

    @property
    def version(self) -> str:
        """The formulas' version and a digest of the parameters."""
        text = json.dumps(dict(self.parameters), sort_keys=True)
        return f"{self.formulas}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """None: nothing is fitted."""
        return ()

    def fit(
        self,
        patterns: Patterns,
        *,
        seed: int,
        settings: FitSettings = DEFAULT_SETTINGS,
        progress: Progress = ignore,
    ) -> "FixedRule":
        """Itself: there is nothing to learn."""
        return self

    def predict(
        self, patterns: Patterns, *, weeks: int, draws: int, streams: Streams
    ) -> Predictions:
        """Predict what ``patterns`` hold over ``weeks`` weeks."""
        return self.forecast(patterns, weeks=weeks, draws=draws, streams=streams)

    def save(self, folder: Path) -> None:
        """Write name, version and parameters as JSON."""
        (folder / PARAMETERS_FILE).write_text(json.dumps(self._content(), indent=2) + "\n")

    def load(self, folder: Path) -> "FixedRule":
        """Itself, if ``folder`` holds just these parameters; else ``ModelError``."""
        path = folder / PARAMETERS_FILE
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as exc:
            raise ModelError(f"{path} does not hold parameters of {self.name}: {exc}") from exc
        if content != self._content():
            raise ModelError(f"{path} holds {content}, this is {self.name} {self.version}")
        return self

    def _content(self) -> dict[str, object]:
        return {"model": self.name, "version": self.version, "parameters": dict(self.parameters)}
