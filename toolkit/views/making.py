"""How an engine makes its forecasts: what is said of it, and what it may not know."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from toolkit.cache.names import KeyScalar
from toolkit.results.metadata import ModelMetadata, RegisteredVersion, model_metadata
from toolkit.stages.listing import ProductThresholds, Thresholds
from toolkit.stages.prediction import CustomerPredictor

DEFAULTS = Thresholds()


@dataclass(frozen=True, slots=True)
class Making:
    """With which model, thresholds and default price; where the model is in the registry."""

    predictor: CustomerPredictor
    thresholds: ProductThresholds
    registered: RegisteredVersion | None
    default_price: float | None
    clock: Callable[[], datetime]

    def thresholds_at(self, as_of: date) -> ProductThresholds:
        """The thresholds if they were known at the date, else the defaults."""
        return self.thresholds if self.thresholds.usable_at(as_of) else ProductThresholds()

    def warn_of_the_future(
        self, as_of: date, own_thresholds: bool, logger: logging.Logger
    ) -> None:  # fmt: skip
        """Say what was given that was not known at the date yet."""
        fitted_as_of = None if self.registered is None else self.registered.fitted_as_of
        if fitted_as_of is not None and fitted_as_of > as_of:
            logger.warning(
                "%s@%s was fitted as of %s, after %s: it knows what came then, and its forecasts "
                "are nothing to score",
                self.predictor.model.name, self.predictor.model.version, fitted_as_of, as_of,
            )  # fmt: skip
        if own_thresholds and not self.thresholds.usable_at(as_of):
            logger.warning(
                "The version's thresholds were chosen from what was known before %s, after %s: "
                "the defaults are used, %d orders and confidence %s",
                self.thresholds.known_before, as_of, DEFAULTS.min_orders,
                DEFAULTS.min_confidence,
            )  # fmt: skip

    def metadata(
        self, as_of: date, failed_pairs: int, thresholds: Thresholds | None = None
    ) -> ModelMetadata:
        """How a forecast is made, by default with what thresholds most products have."""
        return self.metadata_at(
            as_of, failed_pairs, thresholds or self.thresholds_at(as_of).overall, self.default_price
        )

    def metadata_at(
        self, as_of: date, failed_pairs: int, thresholds: Thresholds, price: float | None
    ) -> ModelMetadata:
        """The same, where the default price is another, or plays no part."""
        return model_metadata(
            as_of,
            self.clock(),
            model=(self.predictor.model.name, self.predictor.model.version),
            thresholds=(thresholds.min_orders, thresholds.min_confidence),
            draws=self.predictor.draws,
            seed=self.predictor.seed,
            failed_pairs=failed_pairs,
            registered=self.registered,
            default_price=price,
        )

    def computed_with(self, thresholds: Thresholds) -> dict[str, KeyScalar]:
        """Everything but the data that decides a forecast; a cached one has to match it."""
        run = {} if self.registered is None else {"mlflow_run_id": self.registered.run_id}
        return {
            **run,
            "forecast_weeks": self.predictor.weeks,
            "min_orders": thresholds.min_orders,
            "min_confidence": thresholds.min_confidence,
            "model_name": self.predictor.model.name,
            "model_version": self.predictor.model.version,
            "draws": self.predictor.draws,
            "seed": self.predictor.seed,
            "default_price": self.default_price,
        }
