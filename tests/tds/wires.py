"""One server for many small databases, each reached by a connection of the real driver."""

import itertools

import duckdb
import pymssql

from tests.tds.server import PASSWORD, USER, TdsServer


class Wires:
    """Connections to DuckDB databases through TDS; the server starts with the first of them."""

    def __init__(self) -> None:
        self._names = map("Sales_{}".format, itertools.count(1))
        self._server: TdsServer | None = None
        self._open: list[tuple[str, pymssql.Connection]] = []

    def connect(self, conn: duckdb.DuckDBPyConnection) -> pymssql.Connection:
        """A connection to a database; ``hang_up`` closes it."""
        if self._server is None:
            self._server = TdsServer({}).__enter__()
        name = next(self._names)
        self._server.databases[name] = conn
        wire = pymssql.connect(
            server=self._server.host,
            port=str(self._server.port),
            user=USER,
            password=PASSWORD,
            database=name,
            autocommit=True,
            tds_version="7.4",
        )
        self._open.append((name, wire))
        return wire

    def hang_up(self) -> None:
        """Close all connections, and wait until the server has noticed."""
        if self._server is None:
            return
        while self._open:
            name, wire = self._open.pop()
            wire.close()
            del self._server.databases[name]
        self._server.wait_for_sessions(0)
