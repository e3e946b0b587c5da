"""Small order databases, and a DB-API driver with ``%(name)s`` parameters over DuckDB."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import duckdb
import numpy as np

from toolkit.sources.embedded.database import create_tables
from toolkit.sources.generator import GeneratedOrders

AS_OF = date(2024, 3, 4)
NAMES = {101: "Ann", 102: "Bob", 103: "Cay"}
ORDER_LINES_CSV = """order_id,customer_id,product_id,ordered_at,quantity,unit_price
1,101,1,2024-01-02 08:30:00,2,5.0
1,101,2,2024-01-02 09:30:00,1.5,3
2,102,1,2024-01-05,4,5.5
3,101,1,2024-02-01 10:00:00,1,6
"""
PRODUCTS_CSV = "product_id,name\n1,Nuts\n2,Bolts\n"
CUSTOMERS_CSV = "customer_id,name\n101,Ann\n102,Bob\n"
PRODUCTS = {1: "Nuts", 2: "Bolts", 3: "Nails"}


def moment(day, hour=0):
    """A day relative to ``AS_OF``, with a clock time."""
    return datetime(AS_OF.year, AS_OF.month, AS_OF.day, hour) + timedelta(day)


def write_folder(orders: GeneratedOrders, folder, file_format="parquet"):
    """Write the tables as an importer reads them into an existing folder."""
    for table in ("order_lines", "products", "customers"):
        frame, path = getattr(orders, table), folder / f"{table}.{file_format}"
        if file_format == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)


@dataclass(frozen=True)
class Line:
    """An order line; ``day`` and ``added`` (its own, else its order's) count from ``AS_OF``."""

    order_id: int
    customer_id: int
    product_id: int
    day: int
    quantity: float | None = 1.0
    price: float | None = 1.0
    added: int | None = None
    hour: int = 0

    def item_created(self):
        return moment(self.day if self.added is None else self.added, self.hour)


def database(lines, products=PRODUCTS, names=NAMES):
    """A database in memory; ids of lines follow their order here."""
    return filled(duckdb.connect(), lines, products, names)


def filled(conn, lines, products=PRODUCTS, names=NAMES):
    """The same in a database that is there, in place of all it holds: a new one takes 15 ms."""
    for schema in ("dbo", "parquet"):  # the latter is of a folder's
        conn.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    create_tables(conn)
    orders = {line.order_id: (line.order_id, line.customer_id, moment(line.day)) for line in lines}
    customers = sorted({line.customer_id for line in lines} | names.keys())
    items = [
        (i, x.order_id, x.product_id, x.quantity, x.price, x.item_created())
        for i, x in enumerate(lines, start=1)
    ]
    insert(conn, "Product", list(products.items()))
    insert(conn, "Client", [(c, names.get(c)) for c in customers])
    insert(conn, "ClientAgreement", [(c, c) for c in customers])
    insert(conn, "Order", list(orders.values()))
    insert(conn, "OrderItem", items)
    return conn


def insert(conn, table, rows):
    if rows:
        marks = ", ".join("(" + ", ".join("?" for _ in row) + ")" for row in rows)
        conn.execute(f'INSERT INTO dbo."{table}" VALUES {marks}', [v for row in rows for v in row])


def rows_of(events):
    """Events as tuples (product, customer, day, quantity), in their order."""
    columns = (events.product_id, events.customer_id, events.day, events.quantity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def assert_same_events(one, other):
    assert one.as_of_date == other.as_of_date
    for name in ("product_id", "customer_id", "day", "quantity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@dataclass
class PyformatConnection:
    """DuckDB behind the face of a driver like pymssql: ``pyformat``, scalars only, row by row."""

    conn: duckdb.DuckDBPyConnection
    as_dict: bool = False
    largest_fetch: int = 1_000_000
    open_cursors: int = 0
    queries: list[str] = field(default_factory=list)

    def cursor(self):
        self.open_cursors += 1
        return PyformatCursor(self, self.conn.cursor())


class PyformatCursor:
    def __init__(self, owner, inner):
        self.owner, self.inner = owner, inner

    def execute(self, operation, parameters=None):
        self.owner.queries.append(operation)
        for name, value in (parameters or {}).items():
            if type(value) not in (int, float, str, date, datetime):
                raise ValueError(f"unsupported type of {name}: {type(value)}")  # as pymssql does
        self.inner.execute(re.sub(r"%\((\w+)\)s", r"$\1", operation), parameters)

    def fetchmany(self, size):
        rows = self.inner.fetchmany(min(size, self.owner.largest_fetch))
        if not self.owner.as_dict:
            return rows
        names = [column[0] for column in self.inner.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self):
        self.owner.open_cursors -= 1
        self.inner.close()


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
