"""A version in the shadow of the champion: both forecast the same weeks, and were scored on them.

``toolkit watch`` keeps their forecasts before the weeks come, and logs what it found; the gate
reads it back.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy.stats import t as student

from toolkit.data.tables import Floats
from toolkit.tracking.registry import CHAMPION, ModelVersionRef
from toolkit.tracking.runs import search
from toolkit.tracking.store import Store

EXPERIMENT = "watch"
CHALLENGER = "challenger"
PREFIX = "shadow/"
SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Relative:
    """By how much a score is larger than the champion's, as a share of it; None: not known.

    ``low`` to ``high``: Student's interval of ``SHARE`` from the weeks' log ratios.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, ratios: Floats) -> "Relative":
        """From a log ratio for each week, [weeks]."""
        known = ratios[np.isfinite(ratios)]
        if not len(known):
            return cls()
        mean = float(known.mean())
        if len(known) == 1:
            return cls(math.expm1(mean))
        quantile = float(student.ppf((1 + SHARE) / 2, len(known) - 1))
        wide = quantile * float(known.std(ddof=1)) / len(known) ** 0.5
        return cls(math.expm1(mean), math.expm1(mean - wide), math.expm1(mean + wide))

    @property
    def is_worse(self) -> bool:
        """Whether it is larger beyond noise."""
        return self.low is not None and self.low > 0

    def __str__(self) -> str:
        """``-1.2% (95%: -3.0% to +0.6%)``."""
        if self.mean is None:
            return "not known"
        if self.low is None or self.high is None:
            return f"{self.mean:+.1%}"
        return f"{self.mean:+.1%} ({SHARE:.0%}: {self.low:+.1%} to {self.high:+.1%})"


@dataclass(frozen=True, slots=True)
class Shadow:
    """How a version did beside the champion, in ``weeks`` weeks of which both had a forecast."""

    weeks: int
    log_loss: Relative
    crps: Relative

    @classmethod
    def of(cls, table: pd.DataFrame, challenger: str, champion: str) -> "Shadow":
        """From the rows of a watch, ``weekly.COLUMNS``: of each week what was said of it last."""
        keys = ["as_of_date", "week", "begins"]
        own, other = (table[table["version"] == fit] for fit in (challenger, champion))
        both = own.merge(other, on=keys, suffixes=("", "_champion")).sort_values("as_of_date")
        both = both.drop_duplicates("begins", keep="last")
        return cls(
            len(both),
            Relative.of(_ratios(both, "loss", "pairs")),
            Relative.of(_ratios(both, "crps", "product_weeks")),
        )

    def metrics(self) -> Iterator[tuple[str, float]]:
        """As they are logged."""
        yield f"{PREFIX}weeks", float(self.weeks)
        for score in ("log_loss", "crps"):
            for end in fields(Relative):
                value = getattr(getattr(self, score), end.name)
                if value is not None:
                    yield f"{PREFIX}{score}/{end.name}", value

    def __str__(self) -> str:
        """What it is, against the champion."""
        return f"log loss {self.log_loss}, CRPS {self.crps} against the champion's"


def find_shadow(store: Store, candidate: ModelVersionRef, champion: ModelVersionRef) -> Shadow:
    """What the latest watch with both said; no week where there was none.

    Raises ``TrackingError`` where the store cannot be read.
    """
    with store.errors():
        experiment = store.client.get_experiment_by_name(EXPERIMENT)
        fits = f"params.{CHALLENGER} = '{candidate.fit}' AND params.{CHAMPION} = '{champion.fit}'"
        found = [] if experiment is None else search(store, experiment.experiment_id, fits)
    last = max(found, key=lambda run: int(run.info.start_time), default=None)
    said: dict[str, float] = {} if last is None else last.data.metrics
    weeks = round(said.get(f"{PREFIX}weeks", 0.0))
    return Shadow(weeks, _relative(said, "log_loss"), _relative(said, "crps"))


def _relative(said: Mapping[str, float], score: str) -> Relative:
    mean, low, high = (said.get(f"{PREFIX}{score}/{one.name}") for one in fields(Relative))
    return Relative(mean, low, high)


def _ratios(both: pd.DataFrame, score: str, rows: str) -> Floats:
    own = both[score].to_numpy(dtype=float) / both[rows].to_numpy(dtype=float)
    other = both[f"{score}_champion"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = own / (other / both[f"{rows}_champion"].to_numpy(dtype=float))
        return np.log(np.where(ratio > 0, ratio, np.nan))
