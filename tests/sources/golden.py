"""The T-SQL that is sent, each statement by name: ``python -m tests.sources.golden`` writes it.

Statements are taken from where they arrive, at the server.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb

from tests.sources.sales import Sales
from tests.tds.catalog import add_catalog
from tests.tds.server import TdsServer
from toolkit.data.ids import KINDS
from toolkit.sources.generator import Truth, generate_orders, load_orders
from toolkit.sources.names import PLAIN_NAMES, Names, TableNames
from toolkit.sources.sql import sqlserver_source
from toolkit.sources.sqlserver.check import check_server
from toolkit.sources.sqlserver.importer import import_server

FOLDER = Path(__file__).with_name("golden")
AS_OF = date(2021, 9, 6)
RENAMED = Names(
    {
        "Order": TableNames("sales", "Orders"),
        "Product": TableNames("sales", "Articles", {"Category": "Group"}),
        "OrderItem": TableNames("sales", "order lines", {"Qty": "Amount", "Created": "Added"}),
    }
)


def statements() -> dict[str, str]:
    """Every statement of forecasts, check and import, by the name of its file."""
    found: dict[str, str] = {}
    with duckdb.connect() as duck:
        load_orders(
            generate_orders(Truth(customers=5, products=3, pairs=12, days=200), seed=1), duck
        )
        duck.execute("CREATE SCHEMA sales")
        duck.execute('CREATE VIEW sales.Orders AS SELECT * FROM dbo."Order"')
        duck.execute("CREATE VIEW sales.Articles AS SELECT *, 'x' AS \"Group\" FROM dbo.Product")
        duck.execute(
            'CREATE VIEW sales."order lines" AS SELECT * EXCLUDE (Qty, Created),'
            " Qty AS Amount, Created AS Added FROM dbo.OrderItem"
        )
        add_catalog(duck)
        with TdsServer({"Sales": duck}, datetime2=True) as server:
            for name, act in _acts(Sales(duck, server)):
                server.seen.batches.clear()
                act()
                for number, sql in enumerate(dict.fromkeys(server.seen.batches), start=1):
                    dated = sql.replace(f"'{date.today()}'", "'TODAY'")
                    found[f"{name}_{number:02}"] = dated.strip() + "\n"
    return found


def _acts(sales: Sales) -> Iterator[tuple[str, Callable[[], object]]]:
    with closing(sales.steady()) as conn:
        yield "connect", conn.cursor
        for word, names in (("plain", PLAIN_NAMES), ("renamed", RENAMED)):
            source = sqlserver_source(conn, names)
            yield f"all_order_events_{word}", lambda s=source: s.order_events(AS_OF)
            yield f"order_events_{word}", lambda s=source: s.order_events(AS_OF, [1, 2])
            yield f"customer_days_{word}", lambda s=source: s.customer_days(AS_OF, [7, 8])
            yield f"ordered_products_{word}", lambda s=source: s.ordered_products(AS_OF, [7, 8])
            yield f"products_{word}", lambda s=source: s.products(AS_OF, [1, 2])
            yield f"categories_{word}", lambda s=source: s.categories([1, 2])
            yield f"all_categories_{word}", lambda s=source: s.categories()
            yield f"customer_names_{word}", lambda s=source: s.customer_names([7, 8])
            for kind in KINDS:
                yield f"all_{kind}_names_{word}", lambda s=source, k=kind: s.all_names(k)
            yield f"last_day_{word}", source.last_order_day
            yield f"check_{word}", lambda n=names: check_server(conn, n)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "orders.duckdb"
            for word, until in (("first", date(2021, 3, 20)), ("again", date(2021, 3, 25))):
                yield (
                    f"import_{word}",
                    lambda u=until: import_server(conn, target, "sql:1433/Sales", until=u),
                )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.sql"):
        old.unlink()
    for name, sql in statements().items():
        (FOLDER / f"{name}.sql").write_text(sql, encoding="utf-8")
