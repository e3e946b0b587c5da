"""What is measured: speed of every stage, each on a real database."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb

from models.pair_conjugate import MODEL
from models.parts.pair.forecast import simulate_paths
from models.parts.pair.results import Results
from tests.bench import numpy_twin
from tests.bench.figure import DRAWS, HORIZON_WEEKS, Figure, seconds
from tests.bench.fits import measure_fits
from tests.bench.imports import measure_imports
from tests.bench.releases import measure_releases
from tests.bench.service import measure_service
from tests.bench.sqlserver import measure_sqlserver
from tests.sources.helpers import PyformatConnection, write_folder
from toolkit.cache.server import embedded_server
from toolkit.engine import ForecastEngine
from toolkit.model import Streams
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import PatternAnalyzer


def measure(folder: Path | None, as_of: date | None, fits: bool) -> Iterator[Figure]:
    """All figures, on the order lines in ``folder`` or on generated ones; of ``fits``, too."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        if folder is None:
            folder = work / "orders"
            folder.mkdir()
            write_folder(
                generate_orders(Truth(customers=300, products=3000, pairs=60_000), 1), folder
            )
        database = work / "orders.duckdb"
        report = import_folder(folder, database)
        million = report.lines / 1e6
        yield Figure("import, per 1 M lines", report.seconds / million, "s", 10)
        yield from measure_imports(work)
        as_of = as_of or report.last_date + timedelta(1) - timedelta(weeks=HORIZON_WEEKS)
        with open_database(database) as conn:
            yield from _batch(conn, as_of)
            yield from _kernel(conn, as_of)
            yield from _cache(conn, as_of)
            yield from measure_releases(conn, as_of)
        yield from measure_service()
        yield from _commands(database, as_of, work)
        yield from measure_sqlserver(database, as_of, work)
        if fits:
            yield from measure_fits(database, as_of, work / "fits")
    yield from _products_of_known_size()


def busiest_products(conn: duckdb.DuckDBPyConnection, as_of: date, count: int) -> list[int]:
    """The products with the most orders before ``as_of``."""
    rows = conn.execute(
        "SELECT ProductID FROM dbo.OrderItem WHERE Created < $as_of"
        " GROUP BY ProductID ORDER BY count(DISTINCT OrderID) DESC, ProductID LIMIT $count",
        {"as_of": as_of, "count": count},
    ).fetchall()
    return [product_id for (product_id,) in rows]


def _batch(conn: duckdb.DuckDBPyConnection, as_of: date) -> Iterator[Figure]:
    products = busiest_products(conn, as_of, 1000)
    counted = PyformatConnection(conn)
    engine = ForecastEngine(counted)
    engine.generate_forecasts(products[:1], as_of)
    yield Figure("queries, 1 product", len(counted.queries), "", 3)
    counted.queries.clear()
    engine.generate_forecasts(products, as_of)
    yield Figure(f"queries, {len(products):,} products", len(counted.queries), "", 3)
    engine = ForecastEngine(conn)
    took = seconds(lambda: engine.generate_forecasts(products, as_of), 3)
    yield Figure(f"forecasts of {len(products):,} products", took, "s", 10)


def _kernel(conn: duckdb.DuckDBPyConnection, as_of: date) -> Iterator[Figure]:
    events = as_source(conn).order_events(as_of)
    patterns, _ = PatternAnalyzer(as_source(conn)).analyze(events)
    patterns = patterns.select(patterns.split(30_000)[0])
    outlook = MODEL.outlook(patterns)
    products = len(patterns.product_offsets()[0])

    def kernel() -> object:
        results = Results.empty(products, len(patterns), DRAWS, HORIZON_WEEKS)
        return simulate_paths(patterns, outlook, Streams(1), results)

    def prediction() -> object:
        return MODEL.predict(patterns, weeks=HORIZON_WEEKS, draws=DRAWS, streams=Streams(1))

    few = patterns.select(patterns.split(3_000)[0])
    numpy = seconds(lambda: numpy_twin.simulate(few, HORIZON_WEEKS, DRAWS, 1))
    ours, plain = len(patterns) / seconds(kernel, 3), len(few) / numpy
    whole = len(patterns) / seconds(prediction, 3)
    yield Figure("prediction kernel, pairs/s on one core", ours, "", 25_000, at_most=False)
    yield Figure("plain NumPy, pairs/s", plain, "")
    yield Figure("kernel over plain NumPy", ours / plain, "×")
    yield Figure("with dates, quantiles, confidence, pairs/s", whole, "")


def _cache(conn: duckdb.DuckDBPyConnection, as_of: date) -> Iterator[Figure]:
    engine = ForecastEngine(conn)
    with embedded_server() as server, server.client() as client:
        product, size = _product_of_20_kb(engine, busiest_products(conn, as_of, 2000), as_of)
        engine.generate_forecast_cached(product, client, as_of)
        hit = seconds(lambda: engine.generate_forecast_cached(product, client, as_of), 1000)
    yield Figure(f"cache hit, forecast of {size / 1000:.0f} KB, median", 1000 * hit, "ms", 0.5)


def _product_of_20_kb(engine: ForecastEngine, products: list[int], as_of: date) -> tuple[int, int]:
    """The product whose forecast is nearest to 20 KB of JSON, and its size."""
    forecasts = engine.generate_forecasts(products, as_of)
    sizes = {i: len(json.dumps(f.to_dict())) for i, f in forecasts.items() if f is not None}
    product = min(sizes, key=lambda i: abs(sizes[i] - 20_000))
    return product, sizes[product]


def _commands(database: Path, as_of: date, work: Path) -> Iterator[Figure]:
    def run(*arguments: str) -> None:
        subprocess.run([tool, *arguments], check=True, capture_output=True)

    tool = str(Path(sys.executable).with_name("toolkit"))
    common = ["--db", str(database), "--as-of", str(as_of), "--out", str(work / "predictions")]
    took = seconds(lambda: run("predict", "pair_conjugate", *common))
    yield Figure("toolkit predict, all products", took, "s", 30)
    yield Figure("toolkit --help", seconds(lambda: run("--help"), 5), "s", 0.4)


def _products_of_known_size() -> Iterator[Figure]:
    """Single uncached forecasts of products with 50 and 500 customers among a million lines."""
    sizes = (50, 500, *(60,) * 900)
    truth = Truth(customers=600, customers_per_product=sizes)
    with duckdb.connect() as conn:
        load_orders(generate_orders(truth, 2), conn)
        engine = ForecastEngine(conn)
        as_of = truth.start_date + timedelta(truth.days)
        for product, (customers, target) in enumerate(((50, 40), (500, 100)), start=1):
            took = seconds(lambda p=product: engine.generate_forecast(p, as_of), 15)
            yield Figure(f"product with {customers} customers, uncached", 1000 * took, "ms", target)
