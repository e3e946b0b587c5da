"""Rules of a folder: each by a fault that breaks it, and all at once."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.sources.helpers import edit, to_parquet
from toolkit.errors import DataError
from toolkit.sources.folder.importer import import_folder


def found_in(folder, target):
    """The findings of an import that must fail, and leave nothing behind."""
    with pytest.raises(DataError) as caught:
        import_folder(folder, target)
    assert sorted(path.name for path in target.parent.iterdir()) == [folder.name]
    return [str(finding) for finding in caught.value.findings]


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
    "blank id": (
        ("order_lines", "2,102,1,", "  ,102,1,"),
        "order_lines: order_id is not a whole number (int64) or text (1 row; e.g. line 4:   )",
    ),
    "decimal comma": (
        ("order_lines", ",4,5.5", ',"4,5",5.5'),
        "order_lines: quantity is not a number (1 row; e.g. line 4: 4,5)",
    ),
    "no date": (
        ("order_lines", "2024-01-05", "the 5th"),
        "order_lines: ordered_at is not a date (2024-01-31, 2024-01-31 09:30:00, with or without "
        "a time zone) (1 row; e.g. line 4: the 5th)",
    ),
    "day first": (
        ("order_lines", "2024-01-05", "05/01/2024"),
        "order_lines: ordered_at has the year last, so that day and month cannot be told apart: "
        "write 2024-01-31, which pandas.to_datetime(…, dayfirst=True) makes of 31/01/2024 "
        "(1 row; e.g. line 4: 05/01/2024)",
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
    "quantity too large": (
        ("order_lines", ",4,5.5", ",-1e308,5.5"),
        "order_lines: quantity is beyond 1e+12 (1 row; e.g. line 4: -1e308)",
    ),
    "price too large": (
        ("order_lines", ",4,5.5", ",4,1e308"),
        "order_lines: unit_price is beyond 1e+12 (1 row; e.g. line 4: 1e308)",
    ),
    "year 9999": (
        ("order_lines", "2024-01-05", "9999-12-31"),
        "order_lines: ordered_at lies outside 1990-01-01 … today (1 row; e.g. line 4: 9999-12-31)",
    ),
    "date infinite": (
        ("order_lines", "2024-01-05", "infinity"),
        "order_lines: ordered_at lies outside 1990-01-01 … today (1 row; e.g. line 4: infinity)",
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
        ("order_lines", "unit_price", "unit_price_net"),
        "order_lines: column unit_price is missing; the columns are order_id, customer_id, "
        "product_id, ordered_at, quantity, unit_price_net: rename unit_price_net to unit_price, "
        "or give --map unit_price=unit_price_net (4 rows)",
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
    edit(folder, "order_lines", "1,101,1,2024-01-02 08:30:00,2,5.0", ",101,7,soon,nan,-5")
    edit(folder, "order_lines", ",4,5.5", ",0,")
    edit(folder, "products", "product_id,name", "product_id,title")
    findings = [finding.partition(" (")[0] for finding in found_in(folder, target)]
    assert findings == [
        "order_lines: order_id is null",
        "order_lines: ordered_at is not a date",
        "order_lines: unit_price is null",
        "order_lines: quantity is not finite",
        "order_lines: quantity is 0",
        "order_lines: unit_price is not above 0",
        "order_lines: product_id is not in products",
        "products: column name is missing; the columns are product_id, title: "
        "rename the one that holds it to name",
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


WRONG_TYPES = {
    "order_id": ("order_id % 2 = 0", "BOOLEAN, not a whole number (int64) or text"),
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
        "order_lines: order_id is not a whole number (int64) or text (4 rows; e.g. row 1: 1.5"
    )
    assert findings[1].startswith("order_lines: quantity is not finite (4 rows; e.g. row 1: nan")
