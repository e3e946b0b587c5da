"""Check of a SQL Server before it is read: everything that is wrong with it at once.

Fatal is what forecasts cannot be made with. What only makes them slow, or wait, is a notice: an
index that would hold what a query reads, with its statement; readers that wait for writers.
What the rows hold is checked where they are copied to: ``checks.check_database``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from toolkit.errors import Finding, SourceError
from toolkit.sources.dialects import Connection
from toolkit.sources.embedded.tables import OPTIONAL, TABLES
from toolkit.sources.names import Names, quoted
from toolkit.sources.sqlserver.catalog import (
    INDEXES,
    SNAPSHOT,
    VERSION,
    WANTED,
    held_indexes,
    type_problem,
)
from toolkit.sources.sqlserver.columns import (
    MERGED,
    NO_ZONE,
    OWNERS,
    TEXTS,
    Columns,
    columns_there,
    find_column,
    is_instant,
    key_problem,
    made_of,
)
from toolkit.sources.sqlserver.copy import Server
from toolkit.sources.sqlserver.faults import PATIENCE, Patience

OLDEST = (13, "2016")
WITH_UTF8 = 15  # 2019
AZURE = {5: "Azure SQL Database", 8: "Azure SQL Managed Instance"}
"""By edition of the engine; both are up to date, and report version 12 for ever."""
_ONLINE = {3, *AZURE}  # Enterprise, Developer and Evaluation are one edition


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server holds (rows per table, day of the latest order line) and lacks.

    ``has_categories``: whether its table of products has a column for them.
    """

    product: str
    version: str
    rows: Mapping[str, int]
    last_date: date | None
    has_categories: bool
    fatal: tuple[Finding, ...]
    notices: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether forecasts can be made from it."""
        return not self.fatal

    def __str__(self) -> str:
        """A few lines for a person."""
        counts = ", ".join(f"{table} {rows:,}" for table, rows in self.rows.items())
        return "\n".join(
            [
                f"{self.product} {self.version}; rows: {counts}; "
                f"latest order line {self.last_date}"
                f"{'; products have categories' if self.has_categories else ''}",
                *(f"  - fatal: {finding}" for finding in self.fatal),
                *(f"  - notice: {finding}" for finding in self.notices),
            ]
        )


def check_server(
    connection: Connection, names: Names, patience: Patience = PATIENCE, counted: bool = True
) -> ServerReport:
    """Check tables, columns, types, rows, rights and indexes, on a connection of the caller's.

    Unless ``counted``, a table's rows are 1 where it has any, and no table is read as a whole.
    Raises ``SourceError`` only if the server cannot be read at all.
    """
    return check_and_settle(connection, names, patience, counted)[0]


def check_and_settle(
    connection: Connection, names: Names, patience: Patience, counted: bool
) -> tuple[ServerReport, Names]:
    """The same, and the names with what has to be made of columns of other types."""
    check = _Check(Server(connection, names, patience), names, counted)
    report = check.report()
    return report, check.names


class _Check:
    """The questions, asked one after the other."""

    def __init__(self, server: Server, names: Names, counted: bool) -> None:
        self._server, self._names, self._counted = server, names, counted
        self.names, self._too_old = names, False
        self._fatal: list[Finding] = []
        self._notices: list[Finding] = []

    def report(self) -> ServerReport:
        edition, version = self._version()
        found = columns_there(self._server, self._names)
        self.names = made_of(self._names, found)
        usable = [table for table in TABLES if self._has_columns(table, found)]
        rows = {}
        for table in usable:
            counted = self._count(table)
            if counted is not None:
                rows[table] = counted
        last = self._last_date() if self._counted and rows.get("OrderItem") else None
        if rows.get("OrderItem") == 0:
            self._fatal.append(Finding(self._shown("OrderItem"), "there are no order lines", 0))
        if self._counted and len(usable) == len(TABLES):
            self._merged(found)
        self._indexes(usable, online=edition in _ONLINE)
        self._snapshot()
        product = AZURE.get(edition, "SQL Server")
        has_categories = find_column(self._names, "Product", "Category", found) is not None
        return ServerReport(
            product, version, rows, last, has_categories, tuple(self._fatal), tuple(self._notices),
        )  # fmt: skip

    def _shown(self, table: str, column: str = "") -> str:
        names = self._names[table]
        return names.shown + (f".{names.column(column)}" if column else "")

    def _version(self) -> tuple[int, str]:
        """The engine's edition, and the version."""
        ((version, edition),) = self._server.ask("the server's version", VERSION)
        if edition not in AZURE and int(str(version).partition(".")[0]) < OLDEST[0]:
            rule = f"is version {version}; {OLDEST[1]} ({OLDEST[0]}.0) or newer is needed"
            self._fatal.append(Finding("SQL Server", rule, 0))
        major = int(str(version).partition(".")[0])
        self._too_old = edition not in AZURE and major < WITH_UTF8
        return int(str(edition)), str(version)

    def _has_columns(self, table: str, found: Columns) -> bool:
        names = self._names[table]
        place = (names.schema.lower(), names.table.lower())
        if not any(key[:2] == place for key in found):
            rule = "is missing, or hidden from this user"
            self._fatal.append(Finding(self._shown(table), rule, 0))
            return False
        whole = True
        for column, expected in TABLES[table].items():
            known = find_column(self._names, table, column, found)
            problem = "is missing" if known is None else type_problem(expected, *known)
            if column in self.names[table].made:
                problem = key_problem(self._names, table, column, found)
                if self._too_old and known is not None and known[0].lower() in TEXTS:
                    problem = f"is {known[0]}: keys that are text need SQL Server 2019 or newer"
            elif known is not None and is_instant(column, known[0]):
                problem = NO_ZONE
            if problem is not None:
                self._fatal.append(Finding(self._shown(table, column), problem, 0))
                whole = False
        for column in OPTIONAL.get(table, ()):
            if column in names.columns and find_column(self._names, table, column, found) is None:
                self._fatal.append(Finding(self._shown(table, column), "is missing", 0))
        return whole

    def _count(self, table: str) -> int | None:
        """Rows of a table; None, and a finding, if they may not be read."""
        sql = f"SELECT COUNT_BIG(*) AS Lines FROM {self._names[table].quoted}"
        if not self._counted:
            some = f"SELECT 1 FROM {self._names[table].quoted}"
            sql = f"SELECT CASE WHEN EXISTS ({some}) THEN 1 ELSE 0 END AS Lines"
        try:
            ((rows,),) = self._server.ask(f"table {self._shown(table)}", sql)
        except SourceError as exc:
            if exc.transient:
                raise
            self._fatal.append(Finding(self._shown(table), str(exc), 0))
            return None
        return int(str(rows))

    def _last_date(self) -> date | None:
        names = self.names["OrderItem"]
        sql = f"SELECT MAX({quoted(names.column('Created'))}) AS Latest FROM {names.quoted}"
        if names.made:
            sql = "SELECT MAX(oi.Created) AS Latest FROM dbo.OrderItem oi"
        ((latest,),) = self._server.named(self.names).ask("the latest order line", sql)
        day = latest.date() if isinstance(latest, datetime) else latest
        return day if isinstance(day, date) else None

    def _merged(self, found: Columns) -> None:
        """Keys that the server takes as equal though they are written otherwise."""
        for (table, column), owner in OWNERS.items():
            known = find_column(self._names, table, column, found)
            if known is None or known[0].lower() not in TEXTS:
                continue
            here, there = self._names[table], self._names[owner]
            sql = MERGED.format(
                here=here.quoted, column=quoted(here.column(column)),
                there=there.quoted, id=quoted(there.column("ID")),
            )  # fmt: skip
            ((rows, example),) = self._server.ask(f"the keys of {here.shown}", sql)
            if int(str(rows)):
                of = self._shown(owner, "ID")
                rule = f"is written otherwise than {of}, which the server takes as equal: it is one"
                finding = Finding(self._shown(table, column), rule, int(str(rows)), (str(example),))
                self._notices.append(finding)

    def _indexes(self, usable: Sequence[str], online: bool) -> None:
        tables = [self._names[table].table for table in TABLES]
        try:
            found = self._server.ask("the indexes", INDEXES, {"tables": tables})
        except SourceError as exc:
            if exc.transient:
                raise
            self._notices.append(Finding("indexes", f"could not be looked at: {exc}", 0))
            return
        held = held_indexes(found)
        for index in WANTED:
            names = self._names[index.table]
            there = held.get((names.schema.lower(), names.table.lower()), [])
            lacking = index.lacking(self._names, there)
            if index.table in usable and lacking != []:
                holds = f" and holds {', '.join(lacking)}" if lacking else ""
                create = index.create(self._names, online)
                rule = f"no index begins with it{holds}, {index.purpose}; {create}"
                self._notices.append(Finding(self._shown(index.table, index.keys[0]), rule, 0))

    def _snapshot(self) -> None:
        try:
            rows = self._server.ask("the database's settings", SNAPSHOT)
        except SourceError as exc:
            if exc.transient:
                raise
            return
        if rows and not any(rows[0]):
            rule = "is off: reading waits for whoever writes, and the other way round"
            self._notices.append(Finding("READ_COMMITTED_SNAPSHOT", rule, 0))
