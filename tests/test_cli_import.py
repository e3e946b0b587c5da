"""``toolkit import`` of files as other systems write them."""

import json

import pytest

from tests.processes import run
from tests.sources.odd_files import written
from tests.sources.test_understood import ERP, ERP_LINES, UCI, UCI_LINES


@pytest.fixture
def place(tmp_path):
    broken = "536390,30411,TRAY,6,12/15/2010 8:26,0.0,,France"
    written(tmp_path / "sales.csv", *UCI_LINES, broken, header=UCI)
    written(tmp_path / "erp.csv", *ERP_LINES, header=ERP, encoding="latin-1")
    return tmp_path


def names(place):
    return {path.name for path in place.iterdir()}


def test_one_command_reads_a_shop_s_export(place):
    asked = ("--quarantine", "broken.csv", "--quarantine-limit", 25, "--exclude-products", "POST,M")
    done = run("import", "sales.csv", "--db", "o.duckdb", *asked, cwd=place)
    assert done.returncode == 0, done.stderr
    table, _, report = done.stdout.partition("\n\n")
    assert "customer_id   CustomerID   20100 · 20101" in table
    assert "dates, month first: 2010-12-01 08:26:00" in table
    assert report.startswith("Imported into o.duckdb: 4 order lines in 4 orders")
    assert "lines set aside in broken.csv (1 row)" in report
    assert "lines of excluded products, left out (1 row)" in report
    assert (place / "broken.csv").read_text().splitlines()[1] == (
        "sales.csv,7,customer_id is null; unit_price is not above 0,536390,,30411,"
        "12/15/2010 8:26,6,0.0,"
    )
    done = run("forecast", "MUG-7A", "--db", "o.duckdb", "--as-of", "last", cwd=place)
    assert done.returncode == 0, done.stderr


def test_a_broken_line_is_refused_with_a_remedy_and_nothing_is_written(place):
    before = names(place)
    done = run("import", "sales.csv", "--db", "o.duckdb", cwd=place)
    assert done.returncode == 2
    assert "sales.csv breaks 2 rule(s)" in done.stderr
    assert "--quarantine FILE sets such lines aside" in done.stderr
    assert names(place) == before
    done = run("import", "sales.csv", "--db", "o.duckdb", "--quarantine", "b.csv", cwd=place)
    assert done.returncode == 2
    assert "1 of 6 lines would be set aside, 16.7 %" in done.stderr
    assert "give --quarantine-limit 17" in done.stderr
    assert names(place) == before


def test_a_dry_run_shows_what_a_mapping_then_says_again(place):
    done = run("import", "erp.csv", "--dry-run", "--save-mapping", "erp.toml", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "Would be imported: 2 order lines" in done.stdout
    assert names(place) == {"sales.csv", "erp.csv", "erp.toml"}
    asked = ("--db", "o.duckdb", "--mapping", "erp.toml", "--json")
    done = run("import", "erp.csv", *asked, cwd=place)
    content = json.loads(done.stdout)
    assert content["database"] == "o.duckdb"
    assert content["understood"]["mapping"]["decimal"] == ","
    assert content["understood"]["columns"][0] == {
        "field": "order_id", "column": "Belegnummer", "samples": ["7", "8"], "read_as": "",
    }  # fmt: skip


def test_a_mapping_may_be_missing_only_where_it_is_saved_now(place):
    absent = ("erp.csv", "--dry-run", "--mapping", "absent.toml")
    done = run("import", *absent, cwd=place)
    assert (done.returncode, "absent.toml" in done.stderr) == (2, True)
    both = run("import", *absent, "--save-mapping", "absent.toml", cwd=place)
    assert both.returncode == 0, both.stderr
    assert run("import", *absent, cwd=place).returncode == 0


@pytest.mark.parametrize(
    ("option", "file", "said"),
    [
        ("--save-mapping", "erp.csv", "is read or written otherwise"),
        ("--save-mapping", "o.duckdb", "is read or written otherwise"),
        ("--save-mapping", "sales.csv", "holds something else already"),
        ("--save-mapping", "none/m.toml", "there is no folder none"),
        ("--save-mapping", ".", "is a folder"),
        ("--quarantine", "erp.csv", "is read or written otherwise"),
        ("--quarantine", "o.duckdb", "is read or written otherwise"),
        ("--quarantine", "sales.csv", "holds something else already"),
        ("--quarantine", ".", "is a folder"),
    ],
)
def test_no_file_is_lost_to_another(place, option, file, said):
    before = {path: path.read_bytes() for path in place.iterdir()}
    done = run("import", "erp.csv", "--db", "o.duckdb", option, file, cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_options_say_how_a_file_is_to_be_read(place):
    written(
        place / "odd.csv",
        "1;1;2;1;01/02/2010;1.000;2",
        header="order_id;payer;receiver;product_id;on;quantity;unit_price",
    )
    asked = ("--map", "customer_id=receiver", "--map", "ordered_at=on", "--date-format",
             "%d/%m/%Y", "--decimal", ",", "--thousands", ".", "--encoding", "cp1252")  # fmt: skip
    done = run("import", "odd.csv", "--db", "o.duckdb", *asked, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["first_date"], content["customers"]) == ("2010-02-01", 1)
    assert "1000.0" in content["understood"]["columns"][4]["read_as"]


WRONG = {
    "no column": (["--map", "customer_id"], "--map has to be FIELD=COLUMN"),
    "no field": (["--map", "client=CustomerID"], "columns.client: is unknown"),
    "no format": (["--date-format", "%Q"], "date_format: has to be"),
    "no sign": (["--decimal", ";"], "decimal: has to be one of '.', ',', 'per-file'"),
    "one sign": (["--decimal", ".", "--thousands", "."], "decimal and thousands are both '.'"),
    "no encoding": (["--encoding", "ebcdic9"], "encoding: has to be an encoding like utf-8"),
    "no quarantine": (["--quarantine-limit", "9"], "only with --quarantine FILE"),
    "no percentage": (["--quarantine", "b.csv", "--quarantine-limit", "900"], "from 0 to 100"),
    "a server": (["--mssql"], "one of FILES and --mssql has to be given, got both"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_one_sentence(place, options, said):
    done = run("import", "sales.csv", "--db", "o.duckdb", *options, cwd=place)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_has_to_be_named_and_a_server_has_no_mapping(place):
    done = run("import", "sales.csv", cwd=place)
    assert (done.returncode, "--db or --to has to be given" in done.stderr) == (2, True)
    done = run("import", "--mssql", "--db", "o.duckdb", "--dry-run", "--map", "a=b", cwd=place)
    assert done.returncode == 2
    assert "--map and --dry-run: of files only, not with --mssql" in done.stderr
