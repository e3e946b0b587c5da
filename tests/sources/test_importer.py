"""Import of a folder: what comes in, and what is told."""

from datetime import date, datetime, timedelta

import duckdb
import pandas as pd
import pytest

from tests.sources.helpers import AS_OF, assert_same_events, edit, rows_of, to_parquet, write_folder
from toolkit.errors import SourceError
from toolkit.sources.base import ProductInfo
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_folder, import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.sql import as_source


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
        assert source.products(AS_OF, [1]) == {1: ProductInfo("Nuts", pytest.approx(38 / 7))}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_round_trip_keeps_every_event(tmp_path, target, file_format):
    orders = generate_orders(Truth(customers=30, products=8, pairs=120, days=200), seed=4)
    folder = tmp_path / file_format
    folder.mkdir()
    write_folder(orders, folder, file_format)
    report = import_folder(folder, target)
    as_of = orders.truth.start_date + timedelta(150)
    with open_database(target) as imported, duckdb.connect() as loaded:
        load_orders(orders, loaded)
        one, other = as_source(imported), as_source(loaded)
        assert_same_events(one.order_events(as_of), other.order_events(as_of))
        assert one.products(as_of, range(1, 9)) == other.products(as_of, range(1, 9))
        assert all_rows(imported) == all_rows(loaded)
    assert (report.lines, report.notices) == (len(orders.order_lines), ())


def test_the_order_of_rows_leaves_no_trace(tmp_path, target):
    orders = generate_orders(Truth(customers=30, products=8, pairs=120, days=200), seed=4)
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


def test_times_with_a_zone_become_times_of_the_zone_that_is_named(folder, target):
    edit(folder, "order_lines", "2024-01-02 08:30:00", "2024-01-02T00:30:00+02:00")
    edit(folder, "order_lines", "2024-01-02 09:30:00", "2024-01-02 09:30:00Z")
    edit(folder, "order_lines", "2024-01-05", "2024-01-05 00:00:00-05")
    edit(folder, "order_lines", "2024-02-01 10:00:00", "2024-02-01 10:00:00 Europe/Berlin")
    expected = "order_lines: times with an offset from UTC, taken as days in UTC (4 rows)"
    report = import_orders([folder], target, OrderMapping(timezone="UTC"))
    assert [str(notice) for notice in report.notices] == [expected]
    assert ordered_at(target) == ZONED


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_a_zoned_parquet_column_becomes_times_of_the_zone_that_is_named(
    folder, target, monkeypatch, unit
):
    path = folder / "order_lines.parquet"
    frame = pd.read_csv(folder / "order_lines.csv").assign(
        ordered_at=pd.to_datetime(ZONED, utc=True)
    )
    frame["ordered_at"] = frame.ordered_at.dt.tz_convert("Asia/Tokyo").dt.as_unit(unit)
    frame.to_parquet(path, index=False)
    (folder / "order_lines.csv").unlink()
    monkeypatch.setenv("TZ", "America/New_York")
    expected = "order_lines: times with an offset from UTC, taken as days in UTC (4 rows)"
    report = import_orders([folder], target, OrderMapping(timezone="UTC"))
    assert [str(notice) for notice in report.notices] == [expected]
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
        "order_lines: returns, offset against the same customer's orders of the product, up to 90 "
        "days before: 2.5 units; order events wholly cancelled: 1; reversing no order and left "
        "out: 0 units (2 rows)"
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
