"""Copies tables of a SQL Server into an embedded database, month by month.

A month comes whole or not at all: it is written in one transaction of the copy, which ends only if
the month's counts and sums are the server's. So an import that was broken off leaves whole months
behind, and the next one takes up where it ended.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa

from toolkit.errors import SourceError
from toolkit.sources.dialects import Connection, DuckDbDialect, Row
from toolkit.sources.embedded.tables import OPTIONAL, TABLES
from toolkit.sources.names import Names
from toolkit.sources.sqlserver.dialect import SqlServerDialect, is_renewed, whole_result
from toolkit.sources.sqlserver.faults import Patience
from toolkit.sources.sqlserver.months import (
    AHEAD,
    ALL,
    BEFORE,
    MONTH,
    NEW_IN_MONTH,
    NO_FIGURES,
    WITHOUT_DATE,
    Months,
    MonthSums,
    count_query,
    months_of,
    months_query,
    next_month,
    relation,
    rows_query,
)

ROUNDS = 3
"""How often a month is read whole before it is given up: somebody may be changing it."""

_ARROW = {
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP": pa.timestamp("us"),
    "VARCHAR": pa.string(),
}

type Values = Mapping[str, date | int | list[str]]

NO_VALUES: Values = {}


class Server:
    """The side that is read; every question is asked again where that may help."""

    def __init__(self, connection: Connection, names: Names, patience: Patience) -> None:
        self._connection, self._patience = connection, patience
        self._dialect = SqlServerDialect(names, patience, is_renewed(connection))

    def named(self, names: Names) -> "Server":
        """The same, asked by other names."""
        return Server(self._connection, names, self._patience)

    def run[T](self, subject: str, work: Callable[[], T]) -> T:
        """``work()``, anew after what may pass."""
        return self._dialect.run(subject, work)

    def portions(self, sql: str, values: Values) -> Generator[Sequence[Row]]:
        """The rows of a query, some thousands at a time; raises if they are not all."""
        statement, bound = self._dialect.bind(sql, dict(values))
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, bound)
            total = 0
            with whole_result(cursor) as counted:
                while rows := cursor.fetchmany(self._dialect.rows_per_fetch):
                    total += len(rows)
                    yield rows
                counted(total)

    def ask(self, subject: str, sql: str, values: Values = NO_VALUES) -> list[tuple[object, ...]]:
        """All rows of a small result."""
        return self.run(
            subject, lambda: [tuple(row) for rows in self.portions(sql, values) for row in rows]
        )

    def months(self, table: str, only: str, values: Values) -> Months:
        """What it holds of each month, as far as a condition is met."""
        return months_of(self.ask(f"months of {table}", months_query(table, only), values))

    def today(self) -> date:
        """The day that the server's clock shows."""
        ((day,),) = self.ask("the server's date", "SELECT CAST(CURRENT_TIMESTAMP AS DATE) AS D")
        return date.fromisoformat(str(day))

    def now(self) -> datetime:
        """The instant that the server's clock shows."""
        ((now,),) = self.ask("the server's clock", "SELECT SYSUTCDATETIME() AS Now")
        return datetime.fromisoformat(str(now)).replace(tzinfo=UTC)


class Copy:
    """The side that is written: an embedded database that nobody else uses yet."""

    def __init__(self, conn: duckdb.DuckDBPyConnection) -> None:
        self.conn = conn

    def months(self, table: str, only: str, values: Values) -> Months:
        """What it holds of each month, as far as a condition is met."""
        return months_of(self._execute(months_query(table, only), values).fetchall())

    def delete(self, table: str, only: str, values: Values) -> None:
        """Delete the rows that meet a condition."""
        self._execute(f"DELETE FROM {relation(table)} t WHERE {only}", values)

    def top_id(self, table: str, until: date) -> int | None:
        """The highest id among the rows before a day."""
        sql = f"SELECT max(t.ID) FROM {relation(table)} t WHERE {BEFORE}"
        ((top,),) = self._execute(sql, {"end_date": until}).fetchall()
        return None if top is None else int(top)

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows, of all columns or of all but the optional ones."""
        declared = [*TABLES[table].items(), *OPTIONAL.get(table, {}).items()][: len(rows[0])]
        columns = zip(declared, zip(*rows, strict=True), strict=True)
        portion = {name: pa.array(values, _ARROW[type_]) for (name, type_), values in columns}
        self.conn.register("portion", pa.table(portion))
        self.conn.execute(f"INSERT INTO {relation(table)} BY NAME SELECT * FROM portion")
        self.conn.unregister("portion")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.conn.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.conn.execute("ROLLBACK")
            raise
        self.conn.execute("COMMIT")

    def _execute(self, sql: str, values: Values) -> duckdb.DuckDBPyConnection:
        statement, bound = DuckDbDialect().bind(sql, dict(values))
        return self.conn.execute(statement, bound)


@dataclass
class Tally:
    """What an import did so far, by table."""

    rows_read: dict[str, int] = field(default_factory=dict)
    months_compared: dict[str, int] = field(default_factory=dict)
    rows_without_date: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copying:
    """A server, a copy, and the day before which lines and orders are copied.

    ``known_until``: the day before which the copy was whole when it last was; None: never.
    ``since``: the first day of the months that are compared; None: all are. ``optional``: whether
    both have the columns that a table may have, too.
    """

    server: Server
    copy: Copy
    until: date
    known_until: date | None
    since: date | None = None
    optional: bool = False
    tally: Tally = field(default_factory=Tally)

    def dated(self, table: str) -> None:
        """Bring a table of lines or orders up to date."""
        span, only = {"end_date": self.until}, BEFORE
        if self.since is not None:
            span, only = {"first_date": self.since, **span}, MONTH
        theirs = self.server.months(table, only, span)
        ours = self.copy.months(table, only, span)
        known_id = self.copy.top_id(table, self.known_until) if self.known_until else None
        for first in sorted(theirs.keys() | ours.keys()):
            month = {"first_date": first, "end_date": min(next_month(first), self.until)}
            if first not in theirs:
                self.copy.delete(table, MONTH, month)
            elif theirs[first] != ours.get(first):
                self._month(table, month, theirs[first], known_id)
        self.tally.months_compared[table] = len(theirs)
        ((count,),) = self.server.ask(f"table {table}", count_query(table, WITHOUT_DATE))
        self.tally.rows_without_date[table] = int(str(count))

    def orders_ahead(self) -> None:
        """Orders of the day or later, to which lines from before may belong already."""
        self._replaced("Order", AHEAD, {"end_date": self.until})

    def whole(self, table: str) -> None:
        """A small table, anew."""
        self._replaced(table, ALL, {})

    def _replaced(self, table: str, only: str, values: Values) -> None:
        def work() -> None:
            with self.copy.transaction():
                self.copy.delete(table, only, values)
                self._append(table, only, values)

        self.server.run(f"table {table}", work)

    def _month(
        self, table: str, month: Mapping[str, date], theirs: MonthSums, known_id: int | None
    ) -> None:
        """Add what is new; if that does not make the month the server's, read it whole."""
        first = month["first_date"]
        subject = f"{table} of {first:%Y-%m}"

        def add() -> bool:
            return self._agreed(table, month, theirs, NEW_IN_MONTH, fresh)

        def replace() -> bool:
            return self._agreed(table, month, theirs, MONTH, month, anew=True)

        if self.known_until is not None and known_id is not None:
            fresh: Values = {**month, "known_date": self.known_until, "known_id": known_id}
            if self.server.run(subject, add):
                return
        for _ in range(ROUNDS):
            if self.server.run(subject, replace):
                return
            theirs = self.server.months(table, MONTH, month).get(first, NO_FIGURES)
        raise SourceError(
            f"{subject} changes while it is read: after {ROUNDS} attempts its counts and sums are"
            " still not the server's",
            transient=True,
        )

    def _agreed(
        self,
        table: str,
        month: Mapping[str, date],
        theirs: MonthSums,
        only: str,
        values: Values,
        anew: bool = False,
    ) -> bool:
        """Read rows into the copy, but leave it as it was unless the month is then the server's."""
        try:
            with self.copy.transaction():
                if anew:
                    self.copy.delete(table, MONTH, month)
                self._append(table, only, values)
                ours = self.copy.months(table, MONTH, month).get(month["first_date"], NO_FIGURES)
                if theirs != ours:
                    raise _DisagreesError
        except _DisagreesError:
            return False
        return True

    def _append(self, table: str, only: str, values: Values) -> None:
        with closing(self.server.portions(self._rows(table, only), values)) as portions:
            for rows in portions:
                self.copy.append(table, rows)
                self.tally.rows_read[table] = self.tally.rows_read.get(table, 0) + len(rows)

    def _rows(self, table: str, only: str) -> str:
        return rows_query(table, only, self.optional)


class _DisagreesError(Exception):
    """Ends a transaction without a trace."""
