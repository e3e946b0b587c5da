"""SQL Server at the command line, and as its guide shows it, there and from Python."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.conftest import AS_OF, known_products
from tests.processes import TOOLKIT, error_of
from tests.processes import run as run_command
from tests.tds.catalog import add_catalog
from tests.tds.faults import DENIED, Stall
from tests.tds.server import PASSWORD, USER, TdsServer
from toolkit.engine import ForecastEngine
from toolkit.sources.sql import weekly_quantities
from toolkit.sources.sqlserver.settings import read_server

GUIDE = (Path(__file__).parents[1] / "docs" / "sql_server.md").read_text()


@pytest.fixture
def server(database):
    add_catalog(database)
    with TdsServer({"Sales": database}, datetime2=True) as server:
        yield server
        assert server.wait_for_sessions(0) == 0


@pytest.fixture
def environment(server):
    return {
        "TOOLKIT_MSSQL_HOST": server.host,
        "TOOLKIT_MSSQL_PORT": str(server.port),
        "TOOLKIT_MSSQL_USER": USER,
        "TOOLKIT_MSSQL_PASSWORD": PASSWORD,
        "TOOLKIT_MSSQL_DATABASE": "Sales",
        "TOOLKIT_MSSQL_ENCRYPTION": "off",
    }


@pytest.fixture
def run(environment, tmp_path):
    def run(*arguments, **changed):
        return run_command(*arguments, cwd=tmp_path, **(environment | changed))

    return run


def test_check_import_and_forecast(run, database, tmp_path):
    done = run("check", "--mssql", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["fatal"] == []
    assert "CREATE INDEX" in found["notices"][0]["rule"]
    assert found["server"].startswith(f"mssql://{USER}:***@127.0.0.1:")
    done = run("import", "--mssql", "--db", "orders.duckdb", "--json")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)
    lines = database.execute("SELECT count(*) FROM dbo.OrderItem").fetchone()[0]
    assert imported["lines"] == imported["rows_read"]["OrderItem"] == lines
    done = run("import", "--mssql", "--db", "orders.duckdb", "--months", "3")
    assert "whose counts and sums are the server's" in done.stdout
    (tmp_path / "replaces.csv").write_text("old_product,new_product,date\n1,2,2000-01-01\n")
    (tmp_path / "mapping.toml").write_text("replaces = 'replaces.csv'\n")
    run("import", "--mssql", "--db", "replaced.duckdb", "--mapping", "mapping.toml")
    done = run("forecast", 1, "--db", "replaced.duckdb", "--as-of", AS_OF)
    assert "product 2 has replaced it since 2000-01-01" in done.stderr
    done = run("check", "--db", "orders.duckdb")
    assert done.returncode == 0, done.stdout
    done = run("forecast", 1, "--db", "orders.duckdb", "--as-of", AS_OF, "--json")
    forecast = json.loads(done.stdout)
    expected = ForecastEngine(database).generate_forecast(1, AS_OF).to_dict()
    for each in (forecast, expected):
        del each["model_metadata"]["generated_at"]
    assert forecast == expected


def test_a_forecast_straight_from_the_server_is_the_files(run, database, environment, tmp_path):
    environment.pop("TOOLKIT_MSSQL_USER")
    (tmp_path / "server.toml").write_text(f'[mssql]\nuser = "{USER}"\n')
    asked = ("forecast", 1, "--mssql", "--config", "server.toml", "--as-of", AS_OF)
    done = run(*asked, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = ForecastEngine(database).generate_forecast(1, AS_OF).to_dict()
    for each in (found, expected):
        del each["model_metadata"]["generated_at"]
    assert found == expected
    done = run(*asked, "--plot", "weeks.png")
    assert done.returncode == 0, done.stderr
    units = sum(weekly_quantities(database, 1, AS_OF, 12))
    assert f"What was then ordered: {units:,.0f} units in all, " in done.stdout
    assert run("import", "--db", "o.duckdb", *asked[2:5]).returncode == 0
    file = run("forecast", 1, "--db", "o.duckdb", "--as-of", AS_OF)
    assert file.stdout == done.stdout
    assert (tmp_path / "weeks.png").stat().st_size > 10_000
    done = run("forecast", 4711, *asked[2:])
    assert done.returncode == 3
    assert f"nothing to forecast for product 4711: nobody ordered it before {AS_OF}." in done.stderr
    asked = ("forecast", *asked[2:], "--customer")
    by_id = run(*asked, 100_003)
    assert by_id.returncode == 0, by_id.stderr
    assert run(*asked, "shop 100003").stdout == by_id.stdout


BAD = {
    "a bad password": (["check"], {"TOOLKIT_MSSQL_PASSWORD": "wr0ng"}, "no such database (18456)"),
    "no password": (["check"], {"TOOLKIT_MSSQL_PASSWORD": ""}, "MSSQL_PASSWORD: is missing"),
    "an unknown database": (["check"], {"TOOLKIT_MSSQL_DATABASE": "X"}, "no such database"),
    "encryption that is not there": (
        ["import", "--db", "o.duckdb"],
        {"TOOLKIT_MSSQL_ENCRYPTION": "require"},
        "not with this encryption (20002)",
    ),
    "a file that is not there": (["check", "--config", "no.toml"], {}, "no.toml cannot be read"),
    "two sources": (["import", "folder", "--db", "o.duckdb"], {}, "FILES and --mssql"),
    "both": (["check", "--db", "o.duckdb"], {}, "--db and --mssql has to be given, got both"),
    "no date": (["import", "--db", "o.duckdb", "--until", "soon"], {}, "got 'soon'"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "changed", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_without_a_traceback(run, tmp_path, arguments, changed, message):
    done = run(*arguments, "--mssql", **changed)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "wr0ng" not in done.stderr + done.stdout
    assert PASSWORD not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # it is waited for: 51 s
def test_a_server_that_is_away_is_no_wrong_call(run):
    done = run("check", "--mssql", TOOLKIT_MSSQL_PORT="1")
    assert done.returncode == 1
    assert "no server answers at this address (20009), 5 times in 5" in done.stderr
    assert "Traceback" not in done.stderr


def test_neither_source_is_refused(run):
    for command in (["check"], ["import", "--db", "o.duckdb"], ["forecast", "1"]):
        done = run(*command)
        assert done.returncode == 2
        assert "got neither" in done.stderr


def test_what_only_a_server_heeds_is_refused_without_one(run, tmp_path):
    """A folder was imported as a whole, whatever ``--until`` said."""
    for command, idle in (
        (["import", "folder", "--db", "o.duckdb", "--until", "2021-01-01"], "--until"),
        (["import", "folder", "--db", "o.duckdb", "--months", "3"], "--months"),
        (["check", "--db", "o.duckdb", "--config", "server.toml"], "--config"),
        (["forecast", "1", "--db", "o.duckdb", "--config", "server.toml"], "--config"),
    ):
        done = run(*command)
        assert error_of(done) == f"Error: {idle}: of a SQL Server only, with --mssql"
        assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_lacks_something_is_exit_code_2(run, server):
    server.on_batch = lambda sql: DENIED if "COUNT_BIG" in sql else None
    done = run("check", "--mssql")
    assert done.returncode == 2
    assert done.stdout.count("fatal:") == 5


def shown(language):
    """The guide's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_guides_commands_import(environment, database, tmp_path):
    """Its server's address is an example's; the environment prevails."""
    (commands,) = shown("sh")
    (tmp_path / "server.toml").write_text(shown("toml")[0])
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=tmp_path,
        env=os.environ | environment | {"PATH": f"{Path(TOOLKIT[0]).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(tmp_path / "orders.duckdb", read_only=True) as conn:
        (lines,) = conn.execute("SELECT count(*) FROM dbo.OrderItem").fetchone()
    assert lines == database.execute("SELECT count(*) FROM dbo.OrderItem").fetchone()[0] > 0


@pytest.fixture
def run_guide(environment, database):
    """What the guide shows in Python, on a product that there is; ``more`` comes after it."""

    def run_guide(more="", **changed):
        blocks = shown("python")
        assert len(blocks) == 2
        product = known_products(database)[0]
        code = "\n".join([*blocks, more]).replace("770", str(product))
        for old, new in {"2017-10-02": str(AS_OF), **changed}.items():
            assert old in code
            code = code.replace(old, new)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return product, done

    return run_guide


def test_what_the_guide_shows_in_python_runs_and_agrees(run_guide, database, server):
    product, done = run_guide("assert forecast.summary == pooled.summary\nprint(forecast.summary)")
    assert done.returncode == 0, done.stderr
    settings = [batch for batch in server.seen.batches if "SET " in batch]
    assert len(settings) == len(server.seen.logins) == 2
    assert all(login.read_only for login in server.seen.logins)
    for batch in settings:
        assert "SET LOCK_TIMEOUT 30000;" in batch
        assert "SET DEADLOCK_PRIORITY LOW;" in batch
    expected = ForecastEngine(database).generate_forecast(product, AS_OF)
    assert done.stdout.strip() == str(expected.summary)


def test_a_query_of_the_guides_ends_at_its_limit(run_guide, server):
    server.on_batch = lambda sql: Stall(60)
    _, done = run_guide(**{'"timeout": 300': '"timeout": 1'})
    assert done.returncode == 1
    assert "did not answer in time (20003)" in done.stderr


def test_the_guides_file_is_understood(tmp_path):
    path = tmp_path / "server.toml"
    first_what_is_of_no_table = sorted(shown("toml"), key=lambda block: block.startswith("["))
    path.write_text("\n".join(first_what_is_of_no_table))
    found = read_server(path, {"TOOLKIT_MSSQL_PASSWORD": PASSWORD})
    assert found.settings.place == "sql.example.com:1433/Sales"
    assert found.names.timezone == "Europe/Berlin"
    assert found.names["OrderItem"].columns == {"Qty": "Amount", "Created": "Added"}
