"""SQL Server through pymssql: its dialect, and connections that the toolkit opens itself.

Only ever reads. Everything bound is a plain number or date; dates are days, so no session setting
of how dates are written matters. One connection has one reader at a time: a second query on it
would silently take the rows that the first has not fetched yet.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, cast

from toolkit.errors import ArgumentError
from toolkit.installed import need
from toolkit.sources.dialects import Cursor, DbApiDialect, Parameters, ResultColumn
from toolkit.sources.names import PLAIN_NAMES, Names
from toolkit.sources.sqlserver.faults import PATIENCE, LostRowsError, Patience, fault_of, persist
from toolkit.sources.sqlserver.settings import SqlServerSettings

if TYPE_CHECKING:
    import pymssql

APP_NAME = "interorder-toolkit"
SQL_SERVER_SESSION = (
    "SET ANSI_NULLS ON;",
    "SET ANSI_PADDING ON;",
    "SET ANSI_WARNINGS ON;",
    "SET ARITHABORT ON;",
    "SET CONCAT_NULL_YIELDS_NULL ON;",
    "SET QUOTED_IDENTIFIER ON;",
    "SET TEXTSIZE 2147483647;",
    "SET DATEFORMAT ymd;",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
    # Where the database keeps versions of rows, readers and writers never wait for each other.
    "IF (SELECT d.snapshot_isolation_state FROM sys.databases d WHERE d.name = DB_NAME()) = 1"
    " SET TRANSACTION ISOLATION LEVEL SNAPSHOT;",
    # Where production and a forecast stand in each other's way, the forecast gives way.
    "SET DEADLOCK_PRIORITY LOW;",
    "SET LOCK_TIMEOUT 30000;",
)
"""How the toolkit's own connections are set up; none of it writes."""

_UNCOUNTED = -1
_TDS_VERSION = "7.4"  # without it the driver tries several, and a time-out lasts that much longer


class SqlServerDialect(DbApiDialect):
    """pymssql: what may pass is tried again, and a result is whole or an error.

    ``renewed``: whether ``cursor()`` of a connection that died comes from a fresh one.
    """

    is_tsql = True

    def __init__(
        self, names: Names = PLAIN_NAMES, patience: Patience = PATIENCE, renewed: bool = False
    ) -> None:
        self.names, self._patience, self._renewed = names, patience, renewed
        self._reader = threading.Lock()

    def bind(self, sql: str, parameters: Parameters) -> tuple[str, dict[str, object]]:
        """As any DB-API driver's, on the tables as they are called in this database."""
        sql, bound = super().bind(sql, parameters)
        return self.names.applied_to(sql), bound

    def fetch(self, cursor: Cursor, dtypes: Sequence[str]) -> list[ResultColumn]:
        """Rows in portions; raises if they are not as many as the server counted."""
        with whole_result(cursor) as counted:
            columns = super().fetch(cursor, dtypes)
            counted(len(columns[0]))
        return columns

    def run[T](self, subject: str, read: Callable[[], T]) -> T:
        """Tried again where that may help; readers of one connection wait for each other."""
        with self._reader:
            return persist(subject, read, self._patience, self._renewed)


@contextmanager
def whole_result(cursor: Cursor) -> Iterator[Callable[[int], None]]:
    """While a result is read; tell the function how many rows it had in the end.

    Raises ``LostRowsError`` if the server counted others. After an error the rest is cancelled,
    lest the server keep the query open until somebody uses the connection.
    """

    def counted(rows: int) -> None:
        total = getattr(cursor, "rowcount", _UNCOUNTED)
        if total not in (_UNCOUNTED, rows):
            raise LostRowsError(f"{rows} rows were read, {total} were sent")

    try:
        yield counted
    except BaseException:
        with suppress(Exception):
            cast("pymssql.Cursor[tuple[object, ...]]", cursor).connection._conn.cancel()
        raise


def is_pymssql(connection: object) -> bool:
    """Whether it is one of pymssql's connections, from a pool or not."""
    return "pymssql" in (_package(type(connection).__module__), _pooled_driver(connection))


def is_renewed(connection: object) -> bool:
    """Whether somebody replaces it when it is dead: a pool does, or the toolkit for its own."""
    return _package(type(connection).__module__) != "pymssql"


class SqlServerConnection:
    """A connection that the toolkit opens, and opens again where it has died.

    Meets ``Connection``. Opened by ``connect``; each cursor belongs to the one that is alive.
    """

    def __init__(self, settings: SqlServerSettings) -> None:
        self.settings = settings
        self._raw: pymssql.Connection | None = None

    def cursor(self) -> Cursor:
        """A cursor of a living connection. Raises the driver's errors."""
        raw = self._raw
        if raw is not None and not raw._conn.connected:
            self.close()
            raw = None
        if raw is None:
            raw = self._raw = _open(self.settings)
        return cast("Cursor", raw.cursor())

    def dbapi(self) -> object:
        """The driver's module, as a pooled connection would tell."""
        return _driver()

    def close(self) -> None:
        """Close it; a later ``cursor()`` opens another."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with suppress(Exception):
                raw.close()


@contextmanager
def connect(
    settings: SqlServerSettings, patience: Patience = PATIENCE
) -> Iterator[SqlServerConnection]:
    """A connection of the toolkit's own, closed at the end.

    Raises ``SourceError`` if the server cannot be reached or refuses the login, and
    ``ArgumentError`` if pymssql is not installed.
    """
    _driver()
    with closing(SqlServerConnection(settings)) as connection:
        persist(
            str(settings),
            lambda: connection.cursor().close(),
            patience,
            headline="cannot connect to {}",
            judge=fault_of,
        )
        yield connection


def _open(settings: SqlServerSettings) -> "pymssql.Connection":
    raw = _driver().connect(
        server=settings.host,
        port=str(settings.port),
        user=settings.user,
        password=settings.password,
        database=settings.database,
        encryption=settings.encryption,
        timeout=settings.query_timeout_seconds,
        login_timeout=settings.login_timeout_seconds,
        appname=APP_NAME,
        tds_version=_TDS_VERSION,
        conn_properties=SQL_SERVER_SESSION,
        autocommit=True,
        read_only=settings.application_intent == "ReadOnly",
    )
    return cast("pymssql.Connection", raw)


def _driver() -> ModuleType:
    return need("pymssql", "reading a SQL Server", ArgumentError)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _pooled_driver(connection: object) -> str | None:
    """The package of the driver behind a connection of a pool's, if the pool tells."""
    tells = getattr(connection, "dbapi", None)
    if not callable(tells):
        return None
    with suppress(Exception):
        return _package(tells().__name__)
    return None
