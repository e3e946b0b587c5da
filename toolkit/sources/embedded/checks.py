"""Check of an order database that somebody else filled: every broken rule at once.

Fatal is what makes forecasts wrong without a word: lines that no query reaches or that count
twice, quantities and prices that are no amounts. The rest is handled by a stated rule (returns
are offset against what they reverse, a customer without a name is called by the id) and is told as
a notice.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date

import duckdb

from toolkit.data.tables import MAX_AMOUNT
from toolkit.data.zones import today_in
from toolkit.errors import Finding, SourceError
from toolkit.sources.codes import Codes
from toolkit.sources.embedded.database import missing_columns
from toolkit.sources.embedded.returned import OFFSET, returned
from toolkit.sources.embedded.session import is_interrupt
from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.embedded.zone import zone_of
from toolkit.sources.folder.rules import EARLIEST, LATEST, ImportRule, beyond, findings
from toolkit.sources.parquet.reading import damaged_files, lines_as_tables

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")

_TYPE_FAMILIES = {
    "BIGINT": ("a whole number", _WHOLE),
    "DOUBLE": ("a number", (*_WHOLE, "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")),
    "TIMESTAMP": ("a date or time without a zone", ("TIMESTAMP", "DATE")),
    "VARCHAR": ("text", ("VARCHAR", "ENUM")),
}

_UNKNOWN = {
    ("OrderItem", "OrderID"): ("Order", True),
    ("Order", "ClientAgreementID"): ("ClientAgreement", True),
    ("ClientAgreement", "ClientID"): ("Client", False),
    ("OrderItem", "ProductID"): ("Product", False),
}
"""Foreign key: the table it points into, and whether orders are lost if it points nowhere."""

_LINE_TABLES = {"OrderItem", "Order", "ClientAgreement"}
_LINES = """
    SELECT oi.ProductID AS product_id, ca.ClientID AS customer_id,
           CAST(oi.Created AS DATE) AS day, oi.Qty AS quantity
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
    WHERE oi.ProductID IS NOT NULL AND ca.ClientID IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a database holds (rows per table, first and last day of its lines) and breaks.

    A day that Python has no date for, such as one before the year 1, is text.
    """

    rows: Mapping[str, int]
    first_date: date | str | None
    last_date: date | str | None
    fatal: tuple[Finding, ...]
    notices: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether forecasts can be made from it."""
        return not self.fatal

    def __str__(self) -> str:
        """A few lines for a person."""
        counts = ", ".join(f"{table} {rows:,}" for table, rows in self.rows.items())
        found = f"rows: {counts}; order lines {self.first_date} … {self.last_date}"
        return "\n".join(
            [
                found if self.rows else "damaged, and not looked into",
                *(f"  - fatal: {finding}" for finding in self.fatal),
                *(f"  - notice: {finding}" for finding in self.notices),
            ]
        )


def check_database(conn: duckdb.DuckDBPyConnection) -> CheckReport:
    """Check the tables of schema ``dbo``; what is missing or broken is in the report.

    Raises ``SourceError`` if the database cannot be read at all.
    """
    try:
        with closing(conn.cursor()) as cursor:
            return _check(cursor)
    except (duckdb.Error, RuntimeError) as exc:
        if is_interrupt(exc):
            raise KeyboardInterrupt from exc
        raise SourceError(f"the database could not be checked: {exc}") from exc


def _check(conn: duckdb.DuckDBPyConnection) -> CheckReport:
    damaged = damaged_files(conn)
    if damaged:
        return CheckReport({}, None, None, tuple(damaged), ())
    lines_as_tables(conn)
    fatal = [Finding(name, "is missing", 0) for name in missing_columns(conn)]
    fatal += _wrong_types(conn)
    usable = [t for t in TABLES if not any(_concerns(finding, t) for finding in fatal)]
    notices, today = [], today_in(zone_of(conn))
    for table in usable:
        relation, shown = f'dbo."{table}"', f"dbo.{table}"
        fatal += findings(conn, shown, relation, _fatal_rules(table, usable))
        notices += findings(conn, shown, relation, _notice_rules(table, usable, today))
    if {*usable} >= _LINE_TABLES:
        unmatched = returned(conn, _LINES).finding("dbo.OrderItem", Codes.of(conn))
        notices += [] if unmatched is None else [unmatched]
    rows = {table: _count(conn, table) for table in usable}
    first, last = _span(conn) if "OrderItem" in usable else (None, None)
    if rows.get("OrderItem") == 0:
        fatal.append(Finding("dbo.OrderItem", "there are no order lines", 0))
    return CheckReport(rows, first, last, tuple(fatal), tuple(notices))


def _concerns(finding: Finding, table: str) -> bool:
    return finding.table == f"dbo.{table}" or finding.table.startswith(f"dbo.{table}.")


def _wrong_types(conn: duckdb.DuckDBPyConnection) -> list[Finding]:
    found = conn.execute(
        "SELECT lower(table_name), lower(column_name), data_type"
        " FROM information_schema.columns"
        " WHERE table_schema = 'dbo' AND table_catalog = current_catalog()"
    ).fetchall()
    types = {(table, column): type_ for table, column, type_ in found}
    wrong = []
    for table, columns in TABLES.items():
        for column, expected in columns.items():
            type_ = types.get((table.lower(), column.lower()))
            name, family = _TYPE_FAMILIES[expected]
            zoned = type_ is not None and "TIME ZONE" in type_
            if type_ is not None and (zoned or not type_.startswith(family)):
                wrong.append(Finding(f"dbo.{table}.{column}", f"is {type_}, not {name}", 0))
    return wrong


def _fatal_rules(table: str, usable: Iterable[str]) -> list[ImportRule]:
    rules = [
        ImportRule("ID is null", "ID IS NULL", "'a row'"),
        ImportRule(
            "ID is not unique",
            f'ID IN (SELECT ID FROM dbo."{table}" GROUP BY ID HAVING count(*) > 1)',
            "'ID ' || ID",
        ),
    ]
    if "Created" in TABLES[table]:
        rules.append(_rule("Created", "is null", "IS NULL"))
        rules.append(_rule("Created", f"lies before {EARLIEST}", f"< DATE '{EARLIEST}'"))
        late = f"CAST(Created AS DATE) >= DATE '{LATEST}'"  # beyond nanoseconds since 1970
        rules.append(ImportRule(f"Created lies after {LATEST}", late, _example("Created")))
    rules += _unknown_rules(table, usable, fatal=True)
    if table == "OrderItem":
        price = "PricePerItem"
        rules += [
            _rule("Qty", "is null", "IS NULL"),
            ImportRule("Qty is not finite", "NOT isfinite(CAST(Qty AS DOUBLE))", _example("Qty")),
            ImportRule(
                f"{price} is not finite", f"NOT isfinite(CAST({price} AS DOUBLE))", _example(price)
            ),
            _rule(price, "is not above 0", "<= 0"),
            *(
                ImportRule(f"{column} is beyond {MAX_AMOUNT:g}", beyond(column), _example(column))
                for column in ("Qty", price)
            ),
        ]
    return rules


def _notice_rules(table: str, usable: Iterable[str], today: date) -> list[ImportRule]:
    rules = _unknown_rules(table, usable, fatal=False)
    if "Created" in TABLES[table]:
        day = "CAST(Created AS DATE)"
        future = f"{day} > DATE '{today}' AND {day} < DATE '{LATEST}'"
        rules.append(ImportRule("Created lies in the future", future, _example("Created")))
    if table == "OrderItem":
        rules += [
            _rule("Qty", f"is negative: a return, {OFFSET}", "< 0"),
            _rule("Qty", "is 0", "= 0"),
            _rule("PricePerItem", "is null: the price is taken from other lines", "IS NULL"),
        ]
    return rules


def _unknown_rules(table: str, usable: Iterable[str], fatal: bool) -> list[ImportRule]:
    """Keys that point nowhere; one that is null loses the row's orders in any case."""
    rules = []
    for (owner, column), (other, loses) in _UNKNOWN.items():
        if owner != table:
            continue
        if fatal:
            rules.append(_rule(column, "is null", "IS NULL"))
        if fatal == loses and other in usable:
            ids = f'(SELECT ID FROM dbo."{other}" WHERE ID IS NOT NULL)'
            rules.append(_rule(column, f"is not in dbo.{other}", f"NOT IN {ids}"))
    return rules


def _rule(column: str, text: str, comparison: str) -> ImportRule:
    return ImportRule(f"{column} {text}", f"{column} {comparison}", _example(column))


def _example(column: str) -> str:
    return f"'ID ' || coalesce(CAST(ID AS VARCHAR), 'null') || coalesce(': ' || {column}, '')"


def _count(conn: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(conn.execute(f'SELECT count(*) FROM dbo."{table}"').fetchall()[0][0])


def _span(conn: duckdb.DuckDBPyConnection) -> tuple[date | str | None, date | str | None]:
    first, last = conn.execute(
        "SELECT CAST(min(Created) AS DATE), CAST(max(Created) AS DATE) FROM dbo.OrderItem"
    ).fetchall()[0]
    return first, last
