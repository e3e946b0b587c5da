"""The database file: replaced whole or not at all, opened with a clear word."""

import os
import signal
import stat
import subprocess
import sys

import duckdb
import pytest

from tests.processes import error_of, run, run_text
from tests.sources.helpers import (
    AS_OF,
    edit,
    write_folder,
)
from toolkit.errors import DataError, SourceError
from toolkit.sources.embedded.database import create_tables, open_database
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.generator import Truth, generate_orders
from toolkit.sources.sql import as_source


def test_an_order_database_is_replaced(folder, target):
    import_folder(folder, target)
    edit(folder, "products", "Nuts", "Nails")
    import_folder(folder, target)
    with open_database(target) as conn:
        assert as_source(conn).products(AS_OF, [1])[1].name == "Nails"
    assert sorted(path.name for path in target.parent.iterdir()) == ["orders", "orders.duckdb"]


def test_the_old_databases_log_does_not_reach_the_new_one(folder, target):
    import_folder(folder, target)
    dies = (
        "import duckdb, os, sys; conn = duckdb.connect(sys.argv[1]);"
        "conn.execute('INSERT INTO dbo.Client VALUES (666, NULL)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", dies, str(target)], check=True)
    assert target.with_name("orders.duckdb.wal").exists()
    import_folder(folder, target)
    with open_database(target) as conn:
        assert conn.execute("SELECT count(*) FROM dbo.Client").fetchone() == (2,)


def test_no_progress_bar_among_what_is_printed(folder, target):
    """DuckDB prints one after two seconds wherever a process has no script: ``python -c``."""
    import_folder(folder, target)
    asks = (
        "import sys; from toolkit.sources.embedded.database import open_database;"
        "conn = open_database(sys.argv[1]);"
        "print(conn.execute(\"SELECT current_setting('enable_progress_bar')\").fetchone())"
    )
    printed = subprocess.check_output([sys.executable, "-c", asks, str(target)], text=True)
    assert printed.strip() == "(False,)"


def test_replacing_can_be_refused(folder, target):
    import_folder(folder, target)
    with pytest.raises(SourceError, match="exists already"):
        import_folder(folder, target, replace=False)


def foreign_database(path):
    with duckdb.connect(str(path)) as conn:
        conn.execute("CREATE TABLE diary (day DATE)")


FOREIGN = {
    "text": lambda path: path.write_text("my diary", encoding="utf-8"),
    "empty": lambda path: path.touch(),
    "another database": foreign_database,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_order_database_is_never_replaced(folder, target, make):
    make(target)
    before = target.read_bytes() if target.is_file() else None
    with pytest.raises(SourceError, match="refused to replace what is there"):
        import_folder(folder, target)
    assert (target.read_bytes() if target.is_file() else None) == before
    with pytest.raises(SourceError):
        open_database(target)


def test_a_folder_for_the_database_that_is_missing(folder, target):
    with pytest.raises(SourceError, match="there is no folder"):
        import_folder(folder, target.parent / "nowhere" / "orders.duckdb")


def test_a_failed_import_leaves_the_old_database(folder, target):
    import_folder(folder, target)
    before = target.read_bytes()
    edit(folder, "order_lines", ",4,5.5", ",0,5.5")
    with pytest.raises(DataError):
        import_folder(folder, target)
    assert target.read_bytes() == before
    assert len(list(target.parent.iterdir())) == 2


def test_a_database_that_cannot_be_written_is_a_source_error(folder, target):
    def vanish(stage):
        if stage == "writing the database":
            for path in target.parent.glob(".orders.duckdb.import-*/orders.duckdb"):
                path.unlink()

    with pytest.raises(SourceError, match="could not be written"):
        import_folder(folder, target, progress=vanish)
    assert [path.name for path in target.parent.iterdir()] == [folder.name]


@pytest.fixture
def heeded():
    """Ctrl-C interrupts, as it does at a terminal; it is ignored in a job in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_leaves_nothing(folder, target):
    import_folder(folder, target)
    before = target.read_bytes()

    def interrupt(stage):
        if stage == "writing the database":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        import_folder(folder, target, progress=interrupt)
    assert target.read_bytes() == before
    assert len(list(target.parent.iterdir())) == 2


def many_orders(folder):
    folder.mkdir()
    write_folder(generate_orders(Truth(customers=60, products=9, pairs=300), seed=1), folder)
    return folder


def test_a_full_disk_is_one_sentence_and_leaves_the_old_database(folder, target, tmp_path):
    import_folder(folder, target)
    before, listed = target.read_bytes(), sorted(target.parent.iterdir())
    many = many_orders(tmp_path / "many")
    done = run("import", many, "--db", target, cwd=tmp_path, most_bytes=100_000)
    assert error_of(done) == (
        f"Error: {target} could not be written: no space is left on its disk; make room there, or "
        "name a file on another one"
    )
    assert done.returncode == 1
    assert target.read_bytes() == before
    assert sorted(target.parent.iterdir()) == sorted([*listed, many])


KILLED = """
import os, signal, sys
from pathlib import Path
from toolkit.sources.folder.importer import import_folder
def kill(stage):
    if stage == "writing the database":
        os.kill(os.getpid(), signal.SIGKILL)
import_folder(Path(sys.argv[1]), Path(sys.argv[2]), progress=kill)
"""


def test_what_a_killed_import_left_is_removed_by_the_next(folder, target):
    done = run_text(KILLED, folder, target, cwd=folder)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(target.parent.glob(".orders.duckdb.import-*"))) == 1
    import_folder(folder, target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["orders", "orders.duckdb"]


def test_an_import_leaves_another_one_at_work_alone(folder, target):
    def import_as_well(stage):
        if stage == "writing the database":
            import_folder(folder, target)

    assert import_folder(folder, target, progress=import_as_well).lines == 4
    assert sorted(path.name for path in target.parent.iterdir()) == ["orders", "orders.duckdb"]


def test_links_and_mode_of_a_database_stay(folder, target):
    (target.parent / "data").mkdir()
    real = target.parent / "data" / "real.duckdb"
    import_folder(folder, real)
    real.chmod(0o640)
    target.symlink_to(real)
    edit(folder, "products", "Nuts", "Nails")
    import_folder(folder, target)
    assert target.readlink() == real
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert [path.name for path in real.parent.iterdir()] == ["real.duckdb"]
    with open_database(real) as conn:
        assert as_source(conn).products(AS_OF, [1])[1].name == "Nails"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_the_owner_of_a_database_stays(folder, target):
    import_folder(folder, target)
    os.chown(target, 12345, 54321)
    import_folder(folder, target)
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 54321)


IMPORTS = """
import signal, sys
from pathlib import Path
from toolkit.sources.folder.importer import import_folder
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job in the background
try:
    import_folder(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda s: print(s, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_while_the_database_works(tmp_path, target):
    folder = tmp_path / "many"
    folder.mkdir()
    write_folder(generate_orders(Truth(products=300, pairs=30_000), seed=1), folder)
    command = [sys.executable, "-c", IMPORTS, str(folder), str(target)]
    for _ in range(5):  # DuckDB misses an interrupt now and then, and the import ends well
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line == "checking\n":
                    os.kill(process.pid, signal.SIGINT)
                    break
            interrupted = process.stdout.read().endswith("interrupted\n")
        left = [path.name for path in tmp_path.iterdir() if path.name != "many"]
        assert left == ([] if interrupted else [target.name])
        if interrupted:
            return
        target.unlink()
    pytest.fail("five imports in a row were not interrupted")


def test_opening_names_what_is_wrong(tmp_path):
    with pytest.raises(SourceError, match="there is no database"):
        open_database(tmp_path / "nowhere.duckdb")
    (tmp_path / "text.duckdb").write_text("no database", encoding="utf-8")
    with pytest.raises(SourceError, match="is not a DuckDB database"):
        open_database(tmp_path / "text.duckdb")
    foreign_database(tmp_path / "other.duckdb")
    with pytest.raises(SourceError, match=r"lacks dbo\.Client, dbo\.ClientAgreement"):
        open_database(tmp_path / "other.duckdb")
    with pytest.raises(SourceError, match=r"holds no manifest\.json"):
        open_database(tmp_path)


def test_opening_names_the_column_that_is_missing(tmp_path):
    path = tmp_path / "old.duckdb"
    with duckdb.connect(str(path)) as conn:
        create_tables(conn)
        conn.execute("ALTER TABLE dbo.OrderItem DROP COLUMN PricePerItem")
    with pytest.raises(SourceError, match=r"lacks dbo\.OrderItem\.PricePerItem$"):
        open_database(path)


HOLDS = """
import sys, duckdb
conn = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_database_that_another_process_writes_is_named_so(folder, target):
    import_folder(folder, target)
    command = [sys.executable, "-c", HOLDS, str(target)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(SourceError, match="in use by another process"):
            open_database(target)
        with pytest.raises(SourceError, match="refused to replace what is there"):
            import_folder(folder, target)
        process.stdin.close()
    open_database(target).close()


def test_an_opened_database_is_read_only_unless_asked(folder, target):
    import_folder(folder, target)
    with open_database(target) as conn, pytest.raises(duckdb.InvalidInputException):
        conn.execute("DELETE FROM dbo.Client")
    with open_database(target, read_only=False) as conn:
        conn.execute("DELETE FROM dbo.Client")
