"""Import of a folder: what comes in, every rule by a fault that breaks it, nothing by halves."""

import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import duckdb
import pandas as pd
import pytest

from tests.sources.helpers import assert_same_events, rows_of
from toolkit.errors import DataError, SourceError
from toolkit.sources.base import ProductInfo
from toolkit.sources.embedded import create_tables, open_database
from toolkit.sources.generator import Truth, generate, load, write_folder
from toolkit.sources.importer import import_folder
from toolkit.sources.sql import as_source

ORDER_LINES = """order_id,customer_id,product_id,ordered_at,quantity,unit_price
1,101,1,2024-01-02 08:30:00,2,5.0
1,101,2,2024-01-02 09:30:00,1.5,3
2,102,1,2024-01-05,4,5.5
3,101,1,2024-02-01 10:00:00,1,6
"""
PRODUCTS = "product_id,name\n1,Nuts\n2,Bolts\n"
CUSTOMERS = "customer_id,name\n101,Ann\n102,Bob\n"
AS_OF = date(2024, 3, 4)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "orders"
    folder.mkdir()
    texts = {"order_lines": ORDER_LINES, "products": PRODUCTS, "customers": CUSTOMERS}
    for table, text in texts.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "orders.duckdb"


def edit(folder, table, old, new):
    path = folder / f"{table}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def to_parquet(folder, table="order_lines", **casts):
    """The table as Parquet in place of CSV, columns cast as asked (in SQL)."""
    path = folder / f"{table}.csv"
    casts = ", ".join(f"{cast} AS {column}" for column, cast in casts.items())
    replaced = f" REPLACE ({casts})" if casts else ""
    duckdb.sql(f"SELECT *{replaced} FROM '{path}'").write_parquet(str(path.with_suffix(".parquet")))
    path.unlink()


def found_in(folder, target):
    """The findings of an import that must fail, and leave nothing behind."""
    with pytest.raises(DataError) as caught:
        import_folder(folder, target)
    assert sorted(path.name for path in target.parent.iterdir()) == [folder.name]
    return [str(finding) for finding in caught.value.findings]


def all_rows(conn):
    tables = ("Product", "Client", "ClientAgreement", "Order", "OrderItem")
    return [
        conn.execute(f'SELECT * FROM dbo."{table}" ORDER BY ALL').fetchall() for table in tables
    ]


def test_fills_the_tables_that_production_has(folder, target):
    report = import_folder(folder, target)
    with open_database(target) as conn:
        products, clients, agreements, orders, items = all_rows(conn)
    assert products == [(1, "Nuts"), (2, "Bolts")]
    assert clients == [(101, "Ann"), (102, "Bob")]
    assert agreements == [(101, 101), (102, 102)]
    assert orders == [
        (1, 101, datetime(2024, 1, 2, 8, 30)),
        (2, 102, datetime(2024, 1, 5)),
        (3, 101, datetime(2024, 2, 1, 10)),
    ]
    assert items == [
        (1, 1, 1, 2.0, 5.0, datetime(2024, 1, 2, 8, 30)),
        (2, 2, 1, 4.0, 5.5, datetime(2024, 1, 5)),
        (3, 3, 1, 1.0, 6.0, datetime(2024, 2, 1, 10)),
        (4, 1, 2, 1.5, 3.0, datetime(2024, 1, 2, 9, 30)),
    ]
    assert (report.lines, report.orders, report.customers) == (4, 3, 2)
    assert (report.products, report.pairs, report.notices) == (2, 3, ())
    assert (report.first_date, report.last_date) == (date(2024, 1, 2), date(2024, 2, 1))
    assert str(report).startswith("4 order lines in 3 orders, 2024-01-02 … 2024-02-01\n2 customers")


def test_is_read_back_as_order_events(folder, target):
    import_folder(folder, target)
    with open_database(target) as conn:
        source = as_source(conn)
        assert rows_of(source.order_events(date(2024, 2, 1))) == [
            (1, 101, -30, 2.0),
            (1, 102, -27, 4.0),
            (2, 101, -30, 1.5),
        ]
        assert source.products(AS_OF, [1]) == {1: ProductInfo("Nuts", 6.0)}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_round_trip_keeps_every_event(tmp_path, target, file_format):
    orders = generate(Truth(customers=30, products=8, pairs=120, days=200), seed=4)
    folder = tmp_path / file_format
    folder.mkdir()
    write_folder(orders, folder, file_format)
    report = import_folder(folder, target)
    as_of = orders.truth.start_date + timedelta(150)
    with open_database(target) as imported, duckdb.connect() as loaded:
        load(orders, loaded)
        one, other = as_source(imported), as_source(loaded)
        assert_same_events(one.order_events(as_of), other.order_events(as_of))
        assert one.products(as_of, range(1, 9)) == other.products(as_of, range(1, 9))
        assert all_rows(imported) == all_rows(loaded)
    assert (report.lines, report.notices) == (len(orders.order_lines), ())


def test_the_order_of_rows_leaves_no_trace(tmp_path, target):
    orders = generate(Truth(customers=30, products=8, pairs=120, days=200), seed=4)
    seen = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        write_folder(orders, folder)
        shuffled = orders.order_lines.sample(frac=1, random_state=seed)
        shuffled.to_parquet(folder / "order_lines.parquet", index=False)
        import_folder(folder, target)
        with open_database(target) as conn:
            seen.append(conn.execute("SELECT * FROM dbo.OrderItem").fetchall())
    assert seen[0] == seen[1]


# What is done to which table, and what is found. Lines of the file count from 1, its header.
FAULTS = {
    "null id": (
        ("order_lines", "2,102,1,", ",102,1,"),
        "order_lines: order_id is null (1 row; e.g. line 4)",
    ),
    "null customer": (
        ("order_lines", "2,102,1,", "2,,1,"),
        "order_lines: customer_id is null (1 row; e.g. line 4)",
    ),
    "null product": (
        ("order_lines", "2,102,1,", "2,102,,"),
        "order_lines: product_id is null (1 row; e.g. line 4)",
    ),
    "null date": (
        ("order_lines", "2024-01-05", ""),
        "order_lines: ordered_at is null (1 row; e.g. line 4)",
    ),
    "null quantity": (
        ("order_lines", ",4,5.5", ",,5.5"),
        "order_lines: quantity is null (1 row; e.g. line 4)",
    ),
    "null price": (
        ("order_lines", ",4,5.5", ",4,"),
        "order_lines: unit_price is null (1 row; e.g. line 4)",
    ),
    "text id": (
        ("order_lines", "2,102,1,", "A7,102,1,"),
        "order_lines: order_id is not a whole number (int64) (1 row; e.g. line 4: A7)",
    ),
    "broken id": (
        ("order_lines", "2,102,1,", "2.5,102,1,"),
        "order_lines: order_id is not a whole number (int64) (1 row; e.g. line 4: 2.5)",
    ),
    "id beyond int64": (
        ("order_lines", "2,102,1,", "9223372036854775808,102,1,"),
        "order_lines: order_id is not a whole number (int64) "
        "(1 row; e.g. line 4: 9223372036854775808)",
    ),
    "decimal comma": (
        ("order_lines", ",4,5.5", ',"4,5",5.5'),
        "order_lines: quantity is not a number (1 row; e.g. line 4: 4,5)",
    ),
    "no date": (
        ("order_lines", "2024-01-05", "05/01/2024"),
        "order_lines: ordered_at is not a date (2024-01-31, 2024-01-31 09:30:00, with or without "
        "a time zone) (1 row; e.g. line 4: 05/01/2024)",
    ),
    "quantity NaN": (
        ("order_lines", ",4,5.5", ",nan,5.5"),
        "order_lines: quantity is not finite (1 row; e.g. line 4: nan)",
    ),
    "quantity 0": (
        ("order_lines", ",4,5.5", ",0,5.5"),
        "order_lines: quantity is 0 (1 row; e.g. line 4: 0)",
    ),
    "price infinite": (
        ("order_lines", ",4,5.5", ",4,inf"),
        "order_lines: unit_price is not finite (1 row; e.g. line 4: inf)",
    ),
    "price 0": (
        ("order_lines", ",4,5.5", ",4,0.0"),
        "order_lines: unit_price is not above 0 (1 row; e.g. line 4: 0.0)",
    ),
    "price negative": (
        ("order_lines", ",4,5.5", ",4,-1"),
        "order_lines: unit_price is not above 0 (1 row; e.g. line 4: -1)",
    ),
    "too old": (
        ("order_lines", "2024-01-05", "1989-12-31 23:59:59"),
        "order_lines: ordered_at lies outside 1990-01-01 … today "
        "(1 row; e.g. line 4: 1989-12-31 23:59:59)",
    ),
    "unknown product": (
        ("order_lines", "2,102,1,", "2,102,9,"),
        "order_lines: product_id is not in products (1 row; e.g. line 4: 9)",
    ),
    "unknown customer": (
        ("order_lines", "2,102,1,", "2,909,1,"),
        "order_lines: customer_id is not in customers (1 row; e.g. line 4: 909)",
    ),
    "mixed zones": (
        ("order_lines", "2024-01-02 09:30:00", "2024-01-02 09:30:00+01:00"),
        "order_lines: ordered_at has no time zone, where other rows have one (3 rows; "
        "e.g. line 2: 2024-01-02 08:30:00, line 4: 2024-01-05, line 5: 2024-02-01 10:00:00)",
    ),
    "order of two customers": (
        ("order_lines", "2,102,1,", "1,102,1,"),
        "order_lines: order_id belongs to more than one customer (3 rows; e.g. line 2: order 1, "
        "customer 101, line 3: order 1, customer 101, line 4: order 1, customer 102)",
    ),
    "product twice": (
        ("products", "2,Bolts", "2,Bolts\n1,Nails"),
        "products: product_id is not unique (2 rows; e.g. line 2: 1, line 4: 1)",
    ),
    "customer twice": (
        ("customers", "102,Bob", "102,Bob\n102,Bert"),
        "customers: customer_id is not unique (2 rows; e.g. line 3: 102, line 4: 102)",
    ),
    "product without id": (
        ("products", "2,Bolts", "2,Bolts\n,Nails"),
        "products: product_id is null (1 row; e.g. line 4)",
    ),
    "column missing": (
        ("order_lines", "unit_price", "price"),
        "order_lines: column unit_price is missing; the columns are "
        "order_id, customer_id, product_id, ordered_at, quantity, price (4 rows)",
    ),
    "column twice": (
        ("products", "product_id,name", "name,name"),
        "products: products.csv cannot be read: column name appears twice",
    ),
    "line too short": (
        ("order_lines", "2,102,1,2024-01-05,4,5.5", "2,102,1,2024-01-05"),
        "order_lines: lines cannot be read (1 row; e.g. line 4: Expected Number of Columns: 6",
    ),
    "line too long": (
        ("order_lines", ",4,5.5", ",4,5.5,6.6"),
        "order_lines: lines cannot be read (1 row; e.g. line 4: Expected Number of Columns: 6",
    ),
}


@pytest.mark.parametrize(("change", "expected"), FAULTS.values(), ids=FAULTS)
def test_each_broken_rule_is_named_with_its_rows(folder, target, change, expected):
    edit(folder, *change)
    (finding,) = found_in(folder, target)
    assert finding.startswith(expected)


def test_a_date_after_today_is_refused_and_today_is_not(folder, target):
    today = datetime.now(UTC).date()
    edit(folder, "order_lines", "2024-01-05", f"{today} 00:00:00")
    import_folder(folder, target)
    edit(folder, "order_lines", f"{today} 00:00:00", f"{today + timedelta(2)}")
    with pytest.raises(DataError, match="ordered_at lies outside"):
        import_folder(folder, target)


def test_all_that_is_wrong_is_found_at_once(folder, target):
    edit(folder, "order_lines", "1,101,1,2024-01-02 08:30:00,2,5.0", "x,101,7,soon,nan,-5")
    edit(folder, "order_lines", ",4,5.5", ",0,")
    edit(folder, "products", "product_id,name", "product_id,title")
    (folder / "customers.csv").unlink()
    findings = [finding.partition(" (")[0] for finding in found_in(folder, target)]
    assert findings == [
        "order_lines: order_id is not a whole number",
        "order_lines: ordered_at is not a date",
        "order_lines: unit_price is null",
        "order_lines: quantity is not finite",
        "order_lines: quantity is 0",
        "order_lines: unit_price is not above 0",
        "order_lines: product_id is not in products",
        "products: column name is missing; the columns are product_id, title",
        "customers: the file is missing: neither customers.parquet nor customers.csv",
    ]


def test_no_more_than_five_examples_are_shown(folder, target):
    more = "".join(f"9,101,{product},2024-01-06,1,1\n" for product in range(20, 29))
    edit(folder, "order_lines", "3,101,1,", f"{more}3,101,1,")
    (finding,) = found_in(folder, target)
    assert "(9 rows; e.g." in finding
    assert finding.count("line ") == 5


def test_a_missing_folder(tmp_path, target):
    with pytest.raises(DataError, match="there is no such folder"):
        import_folder(tmp_path / "nowhere", target)


def test_a_table_in_two_formats_is_ambiguous(folder, target):
    (folder / "products.parquet").write_bytes(b"")
    (finding,) = found_in(folder, target)
    assert finding.startswith("products: there are both products.parquet and products.csv")


@pytest.mark.parametrize("table", ["order_lines", "products"])
def test_a_table_without_rows(folder, target, table):
    header = (folder / f"{table}.csv").read_text(encoding="utf-8").splitlines()[0]
    (folder / f"{table}.csv").write_text(f"{header}\n", encoding="utf-8")
    assert any(
        finding.startswith(f"{table}: there are no rows") for finding in found_in(folder, target)
    )


def test_an_empty_file(folder, target):
    (folder / "products.csv").write_text("", encoding="utf-8")
    (finding,) = found_in(folder, target)
    assert finding.startswith("products: products.csv cannot be read: it is empty")


def test_a_file_that_is_no_parquet(folder, target):
    (folder / "products.csv").unlink()
    (folder / "products.parquet").write_bytes(b"not parquet at all")
    (finding,) = found_in(folder, target)
    assert finding.startswith("products: products.parquet cannot be read")


def test_text_that_is_not_utf_8(folder, target):
    text = CUSTOMERS.replace("Bob", "Bödo").encode("latin-1")
    (folder / "customers.csv").write_bytes(text)
    findings = found_in(folder, target)
    assert any("lines cannot be read" in f and "utf-8" in f for f in findings)


WRONG_TYPES = {
    "order_id": ("order_id % 2 = 0", "BOOLEAN, not a whole number (int64)"),
    "quantity": ("ordered_at", "TIMESTAMP, not a number"),
    "ordered_at": ("20240105", "INTEGER, not a date"),
}


@pytest.mark.parametrize("column", WRONG_TYPES)
def test_a_parquet_column_of_a_wrong_type(folder, target, column):
    cast, expected = WRONG_TYPES[column]
    to_parquet(folder, **{column: cast})
    (finding,) = found_in(folder, target)
    assert finding.startswith(f"order_lines: column {column} is {expected}")


def test_parquet_columns_of_kindred_types_are_taken(folder, target):
    to_parquet(
        folder,
        order_id="CAST(order_id AS VARCHAR)",
        customer_id="CAST(customer_id AS DOUBLE)",
        product_id="CAST(product_id AS UTINYINT)",
        ordered_at="CAST(ordered_at AS TIMESTAMP_NS)",
        quantity="CAST(quantity AS DECIMAL(9, 2))",
        unit_price="CAST(unit_price AS FLOAT)",
    )
    report = import_folder(folder, target)
    assert (report.lines, report.orders, report.pairs) == (4, 3, 3)


def test_a_parquet_date_column(folder, target):
    to_parquet(folder, ordered_at="CAST(ordered_at AS DATE)")
    assert import_folder(folder, target).first_date == date(2024, 1, 2)


def test_broken_parquet_values_are_shown_by_row(folder, target):
    to_parquet(folder, order_id="order_id + 0.5", quantity="CAST('nan' AS DOUBLE)")
    findings = found_in(folder, target)
    assert findings[0].startswith(
        "order_lines: order_id is not a whole number (int64) (4 rows; e.g. row 1: 1.5"
    )
    assert findings[1].startswith("order_lines: quantity is not finite (4 rows; e.g. row 1: nan")


def notices_of(folder, target):
    return [str(notice) for notice in import_folder(folder, target).notices]


def ordered_at(target):
    with open_database(target) as conn:
        return [
            t for (t,) in conn.execute("SELECT Created FROM dbo.OrderItem ORDER BY 1").fetchall()
        ]


ZONED = [
    datetime(2024, 1, 1, 22, 30),
    datetime(2024, 1, 2, 9, 30),
    datetime(2024, 1, 5, 5),
    datetime(2024, 2, 1, 9),
]


def test_times_with_a_zone_become_utc(folder, target):
    edit(folder, "order_lines", "2024-01-02 08:30:00", "2024-01-02T00:30:00+02:00")
    edit(folder, "order_lines", "2024-01-02 09:30:00", "2024-01-02 09:30:00Z")
    edit(folder, "order_lines", "2024-01-05", "2024-01-05 00:00:00-05")
    edit(folder, "order_lines", "2024-02-01 10:00:00", "2024-02-01 10:00:00 Europe/Berlin")
    expected = "order_lines: times with a time zone, converted to UTC (4 rows)"
    assert notices_of(folder, target) == [expected]
    assert ordered_at(target) == ZONED


def test_a_zoned_parquet_column_becomes_utc(folder, target, monkeypatch):
    path = folder / "order_lines.parquet"
    frame = pd.read_csv(folder / "order_lines.csv").assign(
        ordered_at=pd.to_datetime(ZONED, utc=True)
    )
    frame["ordered_at"] = frame.ordered_at.dt.tz_convert("Asia/Tokyo")
    frame.to_parquet(path, index=False)
    (folder / "order_lines.csv").unlink()
    monkeypatch.setenv("TZ", "America/New_York")
    expected = "order_lines: times with a time zone, converted to UTC (4 rows)"
    assert notices_of(folder, target) == [expected]
    assert ordered_at(target) == ZONED


def test_repeated_lines_are_kept_and_counted(folder, target):
    edit(folder, "order_lines", "2,102,1,2024-01-05,4,5.5\n", "2,102,1,2024-01-05,4,5.5\n" * 3)
    assert notices_of(folder, target) == [
        "order_lines: exact repetitions of another line, kept (2 rows)"
    ]
    with open_database(target) as conn:
        assert (1, 102, -59, 12.0) in rows_of(as_source(conn).order_events(AS_OF))


def test_returns_are_kept_and_told(folder, target):
    edit(folder, "order_lines", "3,101,1,", "3,101,1,2024-02-01 11:00:00,-1,6\n3,101,1,")
    edit(
        folder,
        "order_lines",
        "2,102,1,2024-01-05,4,5.5",
        "2,102,1,2024-01-05,4,5.5\n2,102,1,2024-01-05,-1.5,5",
    )
    assert notices_of(folder, target) == [
        "order_lines: returns, netted per customer, product and day: 2.5 units; "
        "1 such days net to nothing and are no order events (2 rows)"
    ]
    with open_database(target) as conn:
        events = rows_of(as_source(conn).order_events(AS_OF))
    assert events == [(1, 101, -62, 2.0), (1, 102, -59, 2.5), (2, 101, -62, 1.5)]


def test_extra_columns_and_files_are_told(folder, target):
    edit(folder, "products", "name\n1,Nuts\n2,Bolts", "name,colour,Weight\n1,Nuts,red,1\n2,Bolts,,")
    (folder / "credit_notes.csv").write_text("x", encoding="utf-8")
    (folder / ".hidden").write_text("x", encoding="utf-8")
    notices = notices_of(folder, target)
    assert notices[0] == "products: columns not read: colour, Weight (2 rows)"
    assert notices[1].startswith("credit_notes.csv: is not read")
    assert len(notices) == 2


DIALECTS = {
    "semicolons": lambda text: text.replace(",", ";"),
    "tabs": lambda text: text.replace(",", "\t"),
    "byte order mark": lambda text: "\ufeff" + text,
    "Windows lines": lambda text: text.replace("\n", "\r\n"),
    "no last newline": lambda text: text.rstrip("\n"),
    "quoted": lambda text: text.replace("Nuts", '"Nuts"').replace("order_id", '"order_id"'),
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_csv_of_other_houses(folder, target, dialect):
    for path in folder.iterdir():
        path.write_bytes(dialect(path.read_text(encoding="utf-8")).encode())
    report = import_folder(folder, target)
    assert (report.lines, report.products, report.customers) == (4, 2, 2)
    with open_database(target) as conn:
        assert as_source(conn).products(AS_OF, [1])[1].name == "Nuts"


def test_names_are_kept_as_text(folder, target):
    edit(folder, "products", "1,Nuts\n2,Bolts", '1,"Nuts, ""big"";\n5 kg"\n2,')
    import_folder(folder, target)
    with open_database(target) as conn:
        products = as_source(conn).products(AS_OF, [1, 2])
    assert [products[1].name, products[2].name] == ['Nuts, "big";\n5 kg', None]


@pytest.mark.parametrize("name", ["it's", "a[1]*", "a b ü", "what?"])
def test_any_folder_name(folder, target, name):
    renamed = folder.rename(folder.with_name(name))
    assert import_folder(renamed, target).lines == 4
    to_parquet(renamed.rename(folder))
    assert import_folder(folder.rename(renamed), target).lines == 4


@pytest.mark.parametrize("name", ["it's", "a[1]*", "a b ü"])
def test_any_database_name(folder, target, name):
    database = target.with_name(f"{name}.duckdb")
    import_folder(folder, database)
    import_folder(folder, database)
    open_database(database).close()


def test_a_question_mark_in_the_database_name_is_refused(folder, target):
    with pytest.raises(SourceError, match="must hold no question mark"):
        import_folder(folder, target.with_name("what?.duckdb"))


def test_the_stages_are_told(folder, target):
    stages = []
    import_folder(folder, target, progress=stages.append)
    assert stages == [
        "reading order_lines",
        "reading products",
        "reading customers",
        "checking",
        "writing the database",
    ]


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


IMPORTS = """
import sys
from pathlib import Path
from toolkit.sources.importer import import_folder
try:
    import_folder(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda s: print(s, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_while_the_database_works(tmp_path, target):
    folder = tmp_path / "many"
    folder.mkdir()
    write_folder(generate(Truth(products=300, pairs=30_000), seed=1), folder)
    command = [sys.executable, "-c", IMPORTS, str(folder), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line == "checking\n":
                os.kill(process.pid, signal.SIGINT)
                break
        assert process.stdout.read().endswith("interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["many"]


def test_opening_names_what_is_wrong(tmp_path):
    with pytest.raises(SourceError, match="there is no database"):
        open_database(tmp_path / "nowhere.duckdb")
    (tmp_path / "text.duckdb").write_text("no database", encoding="utf-8")
    with pytest.raises(SourceError, match="is not a DuckDB database"):
        open_database(tmp_path / "text.duckdb")
    foreign_database(tmp_path / "other.duckdb")
    with pytest.raises(SourceError, match=r"lacks dbo\.Client, dbo\.ClientAgreement"):
        open_database(tmp_path / "other.duckdb")
    with pytest.raises(SourceError, match="is not a file"):
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
