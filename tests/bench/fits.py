"""What fits cost, and what they are worth beside the model whose rates are sampled."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from subprocess import DEVNULL

import arviz as az
import duckdb
import numpy as np
import xarray as xr

from models.parts.fitting.posterior import ANY
from models.parts.fitting.sampling import Diagnostics, sample
from models.parts.gamma.data import FitData
from models.parts.gamma.posterior import GammaPosterior
from models.parts.gamma.version import REGULARITIES, choose_pairs
from models.parts.rhythm.version import ROWS
from tests.bench.figure import DRAWS, HORIZON_WEEKS, Figure, peak_until_the_end, seconds
from tests.models.graphs import OfModel
from tests.models.uncollapsed import uncollapsed
from toolkit.data.tables import Patterns
from toolkit.fits import load_fit
from toolkit.model import FitSettings, Streams
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import PatternAnalyzer

VERSIONS = {"pooled_gamma": 120.0, "lapse_gamma": 120.0, "rhythm": 75.0}
"""Seconds that a fit with the default settings should take at most."""
COMPARED_PAIRS = 2000
COMPARED = ("shape", "log_typical", "customer_scale", "product_scale", "regularity")
COMPARED_SETTINGS = FitSettings(draws=1000, tune=500, chains=2)


def measure_fits(database: Path, as_of: date, work: Path) -> Iterator[Figure]:
    """Time, memory and health of every version's fit, its predictions, and the plain model."""
    with open_database(database) as conn:
        patterns = _patterns(conn, as_of)
    yield from _beside_plain_model(patterns)
    some = patterns.select(patterns.split(30_000)[0])
    for name, target in VERSIONS.items():
        yield from _fit(name, database, as_of, work, target)
        model = load_fit(name, work)
        took = seconds(
            lambda m=model: m.predict(some, weeks=HORIZON_WEEKS, draws=DRAWS, streams=Streams(1)),
            3,
        )
        yield Figure(f"{name}: predictions, pairs/s on one core", len(some) / took, "")
    for rows in (ROWS // 2, 2 * ROWS):
        yield from _by_other_rows(some, rows, database, as_of, work)


def _patterns(conn: duckdb.DuckDBPyConnection, as_of: date) -> Patterns:
    source = as_source(conn)
    patterns, _ = PatternAnalyzer(source, customer_days=True).analyze(source.order_events(as_of))
    return patterns


def _fit(
    name: str, database: Path, as_of: date, work: Path, target: float | None, *settings: str
) -> Iterator[Figure]:
    """``toolkit fit`` in a process of its own."""
    tool = str(Path(sys.executable).with_name("toolkit"))
    data = ["--db", str(database), "--as-of", str(as_of), "--fits", str(work)]
    started = time.perf_counter()
    with subprocess.Popen(
        [tool, "fit", name, *data, *settings], stdout=DEVNULL, stderr=DEVNULL
    ) as child:
        peak = peak_until_the_end(child)
    took = time.perf_counter() - started
    if child.returncode:
        raise RuntimeError(f"toolkit fit {name} ended with {child.returncode}")
    card = json.loads(next((work / name).glob("*/card.json")).read_text())
    health = Diagnostics(**card["diagnostics"])
    rows = "rows" if name == "rhythm" else "pairs"
    yield Figure(f"{name}: fit to {card['pairs']:,} {rows}", took, "s", target)
    yield Figure(f"{name}: peak memory", peak / 1000, "GB")
    yield Figure(f"{name}: R-hat of {health.r_hat_worst}", health.r_hat, "", 1.01)
    yield Figure(f"{name}: bulk ESS of {health.ess_bulk_worst}", health.ess_bulk, "", 400, False)
    yield Figure(f"{name}: tail ESS of {health.ess_tail_worst}", health.ess_tail, "", 400, False)
    yield Figure(f"{name}: divergences", health.divergences, "", 0)


def _by_other_rows(
    patterns: Patterns, rows: int, database: Path, as_of: date, work: Path
) -> Iterator[Figure]:
    """Whether the rows that ``rhythm`` is fitted to stand for all."""
    others = work / f"{rows}"
    yield from _fit("rhythm", database, as_of, others, None, "--pairs", str(rows))
    own, other = (
        load_fit("rhythm", fits).predict(
            patterns, weeks=HORIZON_WEEKS, draws=DRAWS, streams=Streams(1)
        )
        for fits in (work, others)
    )
    error = own.products.orders.sum(axis=1).std(axis=1) / np.sqrt(DRAWS)
    apart = (other.products.expected_orders - own.products.expected_orders).sum(axis=1) / error
    typical = float(np.sqrt(np.mean(np.square(apart[error > 0]))))
    name = f"rhythm: orders of 12 weeks by {rows:,} rows apart, in Monte Carlo errors"
    yield Figure(name, typical, "", 1)


def _beside_plain_model(patterns: Patterns) -> Iterator[Figure]:
    """Seconds per effective draw of both, and how far their posterior means lie apart."""
    data = FitData.of(patterns, choose_pairs(patterns, COMPARED_PAIRS, 1), REGULARITIES)
    ours, _, ours_health = sample(GammaPosterior(data, lapse=False), COMPARED_SETTINGS, 1)
    theirs, _, theirs_health = sample(
        OfModel(uncollapsed(data), trajectories=ANY), COMPARED_SETTINGS, 2
    )
    costs = [
        health.seconds / _least_ess(posterior)
        for posterior, health in ((ours, ours_health), (theirs, theirs_health))
    ]
    pairs = f"{len(data.count):,} pairs"
    yield Figure(f"collapsed model, {pairs}, per effective draw", 1000 * costs[0], "ms")
    yield Figure(f"rates sampled, {pairs}, per effective draw", 1000 * costs[1], "ms")
    yield Figure("collapsed over rates sampled", costs[1] / costs[0], "×", 50, at_most=False)
    yield Figure("means apart, in Monte Carlo errors, at most", _apart(ours, theirs), "", 3.5)


def _least_ess(posterior: xr.Dataset) -> float:
    ess = az.ess(posterior[list(COMPARED)], method="bulk")
    return float(min(array.min() for array in ess.values()))


def _apart(one: xr.Dataset, other: xr.Dataset) -> float:
    """The largest difference of posterior means, over its Monte Carlo error."""
    worst = 0.0
    for name in COMPARED:
        means = [p[name].mean(("chain", "draw")).to_numpy() for p in (one, other)]
        errors = [az.mcse(p[[name]])[name].to_numpy() for p in (one, other)]
        apart = np.abs(means[0] - means[1]) / np.hypot(*errors)
        worst = max(worst, float(np.max(apart)))
    return worst
