"""An import that is killed at any moment: nothing is half imported, and the next one works."""

import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.sources.helpers import write_folder
from toolkit.data.fingerprint import Fingerprint
from toolkit.sources.embedded.database import open_database
from toolkit.sources.generator import Truth, generate_orders
from toolkit.sources.sql import as_source, last_order_day

KILLS = 10
HOUR_S = 3600.0
IMPORT = """
import sys, time
from pathlib import Path
from toolkit.sources.folder.importer import import_folder
print(time.process_time(), flush=True)
import_folder(Path(sys.argv[1]), Path(sys.argv[2]))
print(time.process_time(), flush=True)
"""


def contents(database):
    if not database.exists():
        return None
    with open_database(database) as conn:
        source = as_source(conn)
        return Fingerprint.of(source.order_events(last_order_day(source))).sha256


def work_of(process):
    times = process.cpu_times()
    return times.user + times.system


def killed(command, after_s):
    """SIGKILL once the import has worked for so long, however busy the machine."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        begun_s = float(process.stdout.readline())
        watched = psutil.Process(process.pid)
        while process.poll() is None and work_of(watched) < begun_s + after_s:
            time.sleep(0.002)
        process.kill()
    return process.returncode == -signal.SIGKILL


def grow_old(folder):
    """A workplace that has no lock yet is left alone for a minute."""
    for path in folder.rglob("*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - HOUR_S), follow_symlinks=False)


@pytest.mark.slow
@pytest.mark.parametrize("over", ["an old database", "nothing"])
def test_a_kill_at_any_moment_leaves_the_old_database_or_the_new_one(over, tmp_path):
    target, orders, others = (tmp_path / name for name in ("orders.duckdb", "orders", "others"))
    for folder, seed in ((orders, 1), (others, 2)):
        folder.mkdir()
        write_folder(generate_orders(Truth(products=100, pairs=3000), seed=seed), folder)
    to_old, to_new = ([sys.executable, "-c", IMPORT, f, target] for f in (others, orders))
    subprocess.check_output(to_old)
    old, kept = contents(target) if over != "nothing" else None, target.read_bytes()
    said = subprocess.check_output(to_new, text=True)
    begun_s, ended_s = map(float, said.split())
    new, chance, kills = contents(target), random.Random(22), 0
    listed = {target.name, orders.name, others.name}
    for _ in range(KILLS):
        target.unlink()
        if old is not None:
            target.write_bytes(kept)
        kills += killed(to_new, chance.random() * (ended_s - begun_s))
        assert contents(target) in (old, new)
        grow_old(tmp_path)
        subprocess.check_output(to_new)
        assert contents(target) == new != old
        assert {path.name for path in tmp_path.iterdir()} == listed
    assert kills > KILLS / 2
