"""Predictions and exports of orders in Parquet are those of the same orders in DuckDB.

And imports that are killed at any moment leave the old orders or the new ones.
"""

import random
import subprocess
import sys

import pandas as pd
import pytest

from tests.conftest import AS_OF, NOON
from tests.sources.helpers import write_folder
from tests.sources.test_killed_imports import contents, killed
from toolkit.cache.server import embedded_server
from toolkit.engine import ForecastEngine
from toolkit.export.job import ExportSettings, export_release
from toolkit.fits import load_fit
from toolkit.sources.embedded.database import open_database
from toolkit.sources.generator import Truth, generate_orders
from toolkit.sources.parquet.place import Folder, read_manifest
from toolkit.sources.sql import as_source
from toolkit.stages.patterns import patterns_in_parts
from toolkit.stages.predict_tables import write_predictions
from toolkit.stages.prediction import CustomerPredictor

KILLS = 4
IMPORT = """
import sys, time
from pathlib import Path
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.parquet.writing import writing_to
print(time.process_time(), flush=True)
with writing_to(sys.argv[2], lines_per_bucket=2000) as writing:
    import_folder(Path(sys.argv[1]), writing.room / "orders.duckdb")
    writing.write(writing.room / "orders.duckdb")
print(time.process_time(), flush=True)
"""


def test_predictions_are_those_of_the_database(file, written, tmp_path):
    predictor = CustomerPredictor(load_fit("pair_conjugate", tmp_path), 5, 40, 3)
    for database in (file, written):
        with open_database(database) as conn:
            parts = (patterns for patterns, _ in patterns_in_parts(as_source(conn), AS_OF))
            write_predictions(predictor, parts, tmp_path / database.name)
    for table in ("pairs", "product_weeks"):
        one, other = (
            pd.read_parquet(tmp_path / name / f"{table}.parquet")
            for name in (file.name, written.name)
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_an_export_is_that_of_the_database(file, written):
    released = []
    with embedded_server() as server, server.client() as client:
        for database in (file, written):
            client.flushall()
            with open_database(database) as conn:
                engine = ForecastEngine(conn, clock=lambda: NOON)
                export_release(engine, client, ExportSettings(AS_OF))
            keys = sorted(client.keys("forecast:product:*"))
            released.append({key: client.get(key) for key in keys})
    assert released[0] == released[1] != {}


@pytest.mark.slow
@pytest.mark.parametrize("over", ["old orders", "nothing"])
def test_a_kill_at_any_moment_leaves_the_old_orders_or_the_new_ones(over, tmp_path):
    target, orders, others = (tmp_path / name for name in ("parquet", "orders", "others"))
    for folder, seed in ((orders, 1), (others, 2)):
        folder.mkdir()
        write_folder(generate_orders(Truth(products=100, pairs=3000), seed=seed), folder)
    to_old, to_new = ([sys.executable, "-c", IMPORT, f, target] for f in (others, orders))
    old = None
    if over != "nothing":
        subprocess.check_output(to_old)
        old = contents(target)
    said = subprocess.check_output([*to_new[:-1], tmp_path / "once"], text=True)
    begun_s, ended_s = map(float, said.split())
    new, chance, kills = contents(tmp_path / "once"), random.Random(22), 0
    for part in range(KILLS):  # one kill in each quarter of the work
        kills += killed(to_new, (part + chance.random()) / KILLS * (ended_s - begun_s))
        assert whole(target) in (old, new)
        subprocess.check_output(to_old if old else to_new)
        assert whole(target) == (old or new)
        left = {path.name for path in target.iterdir()}
        assert len(left) <= 4  # the manifest, the lock, its parts and those of the import before
        assert read_manifest(Folder(target)).parts in left
    assert kills > KILLS / 2
    assert old != new


def whole(target):
    return contents(target) if (target / "manifest.json").exists() else None
