"""Backtests in MLflow that nobody ran, with figures as a test wants them."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from backtests.compare.comparison import Comparison, Difference
from tests.tracking.fits import rhythm_fit
from toolkit.model import find_model
from toolkit.tracking.runs import (
    Artifact,
    LoggedBacktest,
    TrackedBacktest,
    TrackedRun,
    log_backtest,
)
from toolkit.tracking.store import Store
from toolkit.validation import write

DAYS = (date(2019, 4, 1), date(2019, 7, 1))
RHYTHM = rhythm_fit().version
CONJUGATE = find_model("pair_conjugate").version
GOOD = {"product_week/coverage_80": 0.79, "product_week/pit_ks": 0.012, "pair/log_loss": 0.34}
BETTER = (-0.05, -0.02)
"""The interval of a difference that no noise explains."""

CHOICE = {
    "overall": {"min_orders": 3, "min_confidence": 0.2},
    "by_product": {"2": [1, 0.0]},
    "known_before": "2022-06-06",
    "evidence": "1bbdf4be",
}

type Interval = tuple[float | None, float | None]


def difference(
    score: str, version: str, against: str, values: tuple[float, float], interval: Interval
) -> Difference:
    """A row of a comparison."""
    return Difference(
        level="pair",
        score=score,
        title=f"title of {score}",
        version=version,
        against=against,
        value=values[0],
        value_against=values[1],
        difference=values[0] - values[1],
        low=interval[0],
        high=interval[1],
        share_better=0.9,
        rows=1000,
        verdict="",
    )


def comparison(log_loss: Interval = BETTER, quantile_loss: Interval = BETTER) -> Comparison:
    """Of rhythm against pair_conjugate, on the two scores the gate looks at by itself."""
    return comparison_of(
        [
            difference("log_loss", "rhythm", "pair_conjugate", (0.34, 0.38), log_loss),
            difference(
                "weighted_quantile_loss", "rhythm", "pair_conjugate", (0.25, 0.27), quantile_loss
            ),
        ]
    )


def comparison_of(rows: Sequence[Difference], share: float = 0.95) -> Comparison:
    """What a run's folder holds of them."""
    versions = tuple(dict.fromkeys(name for row in rows for name in (row.against, row.version)))
    return Comparison(versions, DAYS, share, 1000, 1, tuple(rows), (), (), ())


def log(
    store: Store,
    key: str,
    versions: Mapping[str, tuple[str, str]] | None = None,
    compared: Comparison | None = None,
    is_compared: bool = True,
    scores: Mapping[str, float] | None = None,
    failed: int = 0,
    complete: bool = True,
) -> LoggedBacktest:
    """Log a backtest of ``versions`` (label: model and version) at two dates, of 4 shards each.

    ``scores`` are those of the label rhythm, of whose shards ``failed`` failed.
    """
    tried = versions or {
        "pair_conjugate": ("pair_conjugate", CONJUGATE),
        "rhythm": ("rhythm", RHYTHM),
    }
    file = Path(store.file.parent) / f"{key}" / "comparison.json"
    file.parent.mkdir()
    write(file, compared or comparison())
    told = {f"rhythm/{name}": value for name, value in {**GOOD, **(scores or {})}.items()}
    runs = tuple(
        TrackedRun(
            label=label,
            as_of_date=day,
            params={"model": model, "model_version": version},
            metrics={"shards": 4, "failed_shards": failed if label == "rhythm" else 0},
        )
        for label, (model, version) in tried.items()
        for day in DAYS
    )
    backtest = TrackedBacktest(
        name="versions",
        key=key,
        data={"sha256": "ab" * 32},
        code_version="c0de",
        metrics=told,
        tags={"complete": "true" if complete else "false"},
        artifacts=(Artifact(file),) if is_compared else (),
        runs=runs,
    )
    return log_backtest(store, backtest)
