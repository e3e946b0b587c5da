"""The likeliest mistakes of the first hour, each made for real: what is said names the way out.

``docs/first_hour.md`` tells the same; what it says is said is what these tests look for.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.processes import run
from toolkit import ForecastEngine, ForecastReader, open_database
from toolkit.errors import ArgumentError, CacheError, ModelError, SourceError
from toolkit.model import find_model
from toolkit.sources.codes import Codes
from toolkit.sources.folder.importer import import_folder
from toolkit.tracking.store import open_store

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
DOCUMENT = (ROOT / "docs" / "first_hour.md").read_text()
ROWS = re.findall(r"^\| (?!mistake)([^|-][^|]*) \| `([^|]*)` \| ([^|]*) \|$", DOCUMENT, re.M)
SAID = {mistake: re.split(" … ", said) for mistake, said, _ in ROWS}
AS_OF = "2024-11-01"


def shows(text: str, mistake: str) -> None:
    """The text says what the document says that it does, and is no traceback."""
    assert all(part in text for part in SAID[mistake]), text
    assert "Traceback" not in text


def write_orders(folder: Path, **columns) -> Path:
    """Forty orders, every fourth by the same customer of the same product; columns to change."""
    day = date(2024, 1, 2)
    kept = {
        "order_id": lambda i: i,
        "customer_id": lambda i: 1 + i % 2,
        "product_id": lambda i: 1 + i // 2 % 2,
        "ordered_at": lambda i: day + timedelta(7 * i),
        "quantity": lambda i: 2,
        "unit_price": lambda i: 9.5,
    } | columns
    rows = [[of(i) for of in kept.values()] for i in range(40)]
    folder.mkdir()
    (folder / "order_lines.csv").write_text(csv_text(kept, rows))
    for table, place in (("customers", 1), ("products", 2)):
        ids = sorted({row[place] for row in rows})
        named = [[identity, f"No. {identity}"] for identity in ids]
        (folder / f"{table}.csv").write_text(csv_text([f"{table[:-1]}_id", "name"], named))
    return folder


def csv_text(heads, rows) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in [list(heads), *rows])


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("orders")
    import_folder(write_orders(folder / "orders"), folder / "orders.duckdb")
    return folder / "orders.duckdb"


def refused(tmp_path, **columns) -> str:
    """What an import says of orders with some columns changed, and leaves undone."""
    write_orders(tmp_path / "orders", **columns)
    done = run("import", "orders", "--db", "orders.duckdb", cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "orders.duckdb").exists()
    return done.stderr


def test_the_document_tells_sixteen_mistakes_and_a_remedy_of_each():
    assert len(SAID) == len(ROWS) == 16
    played = Path(__file__).read_text()
    assert [mistake for mistake in SAID if f'"{mistake}")' not in played] == []
    assert min(len(remedy) for _, _, remedy in ROWS) > 15


def test_wrong_python(tmp_path):
    for name in ("python3", "python3.11", "python"):
        fake = tmp_path / name
        fake.write_text("#!/bin/sh\nexit 1\n")  # what an older Python answers to the question
        fake.chmod(0o755)
    done = subprocess.run(
        [shutil.which("sh"), ROOT / ".ci" / "find-python"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    shows(done.stderr, "wrong Python")


def test_no_make(tmp_path):
    """The document's commands are those of the Makefile, but for what is only quieter or faster."""
    done = subprocess.run(
        [shutil.which("bash"), "-c", "make demo"],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    shows(done.stderr, "no make")
    dry = ["make", "--dry-run", "--always-make", "VENV=.venv", "demo"]
    made = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'sh .ci/setup ".venv"' in made
    steps = (ROOT / ".ci" / "setup").read_text().replace('"$venv/bin/python"', ".venv/bin/python")
    steps = re.sub(r"^ *step | --quiet| --no-compile", "", steps, flags=re.M)
    block = re.search(r"```sh\n(.*?)```", DOCUMENT, re.S)[1].splitlines()
    assert block[0] == "python3 -m venv .venv"
    assert '"$python" -m venv --without-pip "$venv"' in steps
    assert [line for line in block[1:] if line not in (made + steps).splitlines()] == []


@pytest.mark.slow  # MLflow's server takes four seconds of work to start
def test_port_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = subprocess.Popen(
            [BIN / "mlflow", "ui", "--port", port, "--backend-store-uri", "sqlite:///mlflow.db"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            said = ""
            while line := process.stdout.readline():
                said += line
                if SAID["port taken"][0] in line:
                    break
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    shows(said, "port taken")


def test_wrong_column_names(tmp_path):
    write_orders(tmp_path / "orders")
    lines = tmp_path / "orders" / "order_lines.csv"
    heads = "OrderID,CustomerID,ProductKey,When,Qty,UnitPrice"
    lines.write_text(re.sub("^.*", heads, lines.read_text(), count=1))
    done = run("import", "orders", "--db", "orders.duckdb", cwd=tmp_path)
    assert done.returncode == 2
    shows(done.stderr, "wrong column names")
    assert "rename the one that holds it to ordered_at" in done.stderr


def test_dates_as_text(tmp_path):
    def in_words(i: int) -> str:
        return f"week {i} of 2024"

    shows(refused(tmp_path, ordered_at=in_words), "dates as text")


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d-%m-%Y", "%d-%m-%y"])
def test_day_first_dates(tmp_path, form):
    def turned(i: int) -> str:
        return date(2024, 1 + i // 10, 2 + i % 10).strftime(form)

    said = refused(tmp_path, ordered_at=turned)
    shows(said, "day-first dates")
    assert "give --date-format day-first or --date-format month-first" in said
    place = ("--db", "orders.duckdb", "--date-format", "day-first")
    assert run("import", "orders", *place, cwd=tmp_path).returncode == 0


def test_product_id_that_is_text(tmp_path, database):
    done = run("forecast", "SKU-1", "--db", database, "--as-of", AS_OF, cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no product 'SKU-1'; " in done.stderr
    assert "ids in this database are numbers" in done.stderr
    write_orders(tmp_path / "orders", product_id=lambda i: f"SKU-{1 + i // 2 % 2}")
    import_folder(tmp_path / "orders", tmp_path / "codes.duckdb")
    with open_database(tmp_path / "codes.duckdb") as conn:
        engine = ForecastEngine(conn)
        with pytest.raises(ArgumentError) as told:
            engine.generate_forecast("SKU-1", AS_OF)
        shows(str(told.value), "product id that is text")
        assert "Codes.of(conn).number('product', 'SKU-1')" in str(told.value)
        assert engine.generate_forecast(Codes.of(conn).number("product", "SKU-1"), AS_OF)


def test_one_customer(tmp_path):
    write_orders(tmp_path / "orders", customer_id=lambda i: 1)
    done = run("import", "orders", "--db", "orders.duckdb", cwd=tmp_path)
    assert done.returncode == 0
    shows(done.stdout, "one customer")
    with open_database(tmp_path / "orders.duckdb") as conn:
        assert ForecastEngine(conn).generate_forecast(1, AS_OF) is not None


def test_no_repeat_orders(tmp_path):
    write_orders(tmp_path / "orders", customer_id=lambda i: i)
    place = ("--db", "orders.duckdb")
    done = run("import", "orders", *place, cwd=tmp_path)
    assert done.returncode == 0
    shows(done.stdout, "no repeat orders")
    done = run("forecast", 1, *place, "--as-of", AS_OF, cwd=tmp_path)
    assert done.returncode == 0
    assert "customers listed 0 (none passes the thresholds)" in done.stdout
    done = run("fit", "pooled_gamma", *place, "--as-of", AS_OF, cwd=tmp_path)
    assert done.returncode == 2
    assert "pair_conjugate forecasts without a fit" in done.stderr


def test_what_nobody_ordered_before_the_date_ends_with_3_and_a_sentence(tmp_path, database):
    nothing = "There is nothing to forecast for product {}: nobody ordered it before {}"
    early = ("forecast", 1, "--db", database, "--as-of", "2024-01-02")
    done = run(*early, cwd=tmp_path)
    said = (
        f"{nothing.format(1, '2024-01-02')}; its orders in {database} are from 2024-01-02 to 2024-"
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"{said}09-17.\n"
    shows(done.stderr, "nothing to forecast")
    as_json = run(*early, "--json", cwd=tmp_path)
    assert (as_json.returncode, as_json.stdout) == (3, "null\n")
    assert as_json.stderr == done.stderr
    done = run("forecast", 9, "--db", database, "--as-of", AS_OF, cwd=tmp_path)
    said = f"{nothing.format(9, AS_OF)}, and {database} holds no order of it at all.\n"
    assert (done.returncode, done.stderr) == (3, said)
    returned = write_orders(
        tmp_path / "returned", quantity=lambda i: 1 - 2 * (i % 2), customer_id=lambda i: 1,
        product_id=lambda i: 1, ordered_at=lambda i: date(2024, 1, 2) + timedelta(i // 2),
    )  # fmt: skip
    import_folder(returned, tmp_path / "returned.duckdb")
    done = run("forecast", 1, "--db", "returned.duckdb", "--as-of", AS_OF, cwd=tmp_path)
    said = f"{nothing.format(1, AS_OF)} but for what was wholly returned.\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_a_date_long_after_the_orders_has_a_forecast_of_hardly_any_demand(tmp_path, database):
    late = ("forecast", 1, "--db", database, "--as-of", "2031-01-01", "--json")
    done = run(*late, "--default-price", 2, cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"]["unit_price"] == 9.5
    assert json.loads(done.stdout)["model_metadata"]["default_price"] is None


def test_horizon_too_long(tmp_path, database):
    done = run("forecast", 1, "--db", database, "--weeks", 200, cwd=tmp_path)
    assert done.returncode == 2
    shows(done.stderr, "horizon too long")


def test_model_not_fitted(tmp_path, database):
    done = run("predict", "rhythm", "--db", database, "--out", "p", cwd=tmp_path)
    assert done.returncode == 2
    shows(done.stderr, "model not fitted")
    assert "run `toolkit fit rhythm` first" in done.stderr
    with open_database(database) as conn:
        for model in (find_model("rhythm"), "rhythm"):
            with pytest.raises(ModelError, match=r"load_fit\('rhythm', Path\('fits'\)\)"):
                ForecastEngine(conn, model=model)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """The file of an empty tracking store, to be copied."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    open_store(f"sqlite:///{file}")
    return file


def test_nothing_promoted(tmp_path, store, database):
    shutil.copy(store, tmp_path / "mlflow.db")
    here = {"cwd": tmp_path, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    done = run("promote", "rhythm", **here)
    assert done.returncode == 2
    shows(done.stderr, "nothing promoted")
    assert "`toolkit register NAME` registers a fit" in done.stderr
    done = run("rollback", **here)
    assert (done.returncode, "`toolkit promote NAME`" in done.stderr) == (2, True)
    with open_database(database) as conn:
        engine = ForecastEngine.from_registry(conn, store=f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert engine.predictor.model.name == "pair_conjugate"


def test_mlflow_store_of_another_version(tmp_path, store):
    shutil.copy(store, tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as conn, conn:
        conn.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")  # of 2019
    done = run("history", cwd=tmp_path, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert done.returncode == 2
    shows(done.stderr, "MLflow store of another version")
    assert f"mlflow db upgrade sqlite:///{tmp_path / 'mlflow.db'}" in done.stderr


def test_redis_url_wrong(tmp_path):
    done = run("read", 1, "--redis", "localhost:6379", cwd=tmp_path)
    assert done.returncode == 2
    shows(done.stderr, "Redis URL wrong")
    with pytest.raises(ValueError, match="a cache URL starts with redis://"):
        ForecastReader("localhost:6379")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(CacheError, match=f"connecting to 127.0.0.1:{port}. Connection refused"):
        ForecastReader(f"redis://127.0.0.1:{port}", patience_s=0.2).read(1)
    code = "from toolkit.cli import app, export\n"
    code += f"export.DEFAULT_REDIS = 'redis://127.0.0.1:{port}'\napp.main()"
    told = "; --redis or TOOLKIT_REDIS_URL says where the cache is, if not at"
    for url, hint in (("", True), (f"redis://127.0.0.1:{port}", False)):
        settings = os.environ | {"TOOLKIT_REDIS_URL": url}
        command = [sys.executable, "-c", code, "read", "1"]
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert (told in done.stderr) is hint


KERNEL = """
import sys, duckdb
conn = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_two_kernels_on_one_duckdb_file(tmp_path, database):
    own = shutil.copy(database, tmp_path / "orders.duckdb")
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, own], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert kernel.stdout.readline() == b"open\n"
        with pytest.raises(SourceError) as told:
            open_database(own)
        shows(str(told.value), "two kernels on one DuckDB file")
        assert "close the connection or shut the kernel down there" in str(told.value)
        done = run("forecast", 1, "--db", own, cwd=tmp_path)
        assert done.returncode == 2
        shows(done.stderr, "two kernels on one DuckDB file")
    finally:
        kernel.communicate()
    with open_database(own), open_database(own):
        pass  # many may read


def test_a_file_that_this_kernel_has_open_to_write(tmp_path, database):
    own = shutil.copy(database, tmp_path / "orders.duckdb")
    with (
        duckdb.connect(str(own)),
        pytest.raises(SourceError, match=r"this process has it open in another way, .* close"),
    ):
        open_database(own)
