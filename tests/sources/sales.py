"""Orders behind the TDS server, and the ways to reach them: plain, from a pool, the toolkit's."""

from dataclasses import dataclass

import duckdb
import pymssql
from dbutils.pooled_db import PooledDB

from tests.tds.server import PASSWORD, USER, TdsServer
from toolkit.sources.sqlserver.dialect import SqlServerConnection
from toolkit.sources.sqlserver.faults import Patience
from toolkit.sources.sqlserver.settings import SqlServerSettings

QUICK = Patience((0.01, 0.02, 0.04), (0.01, 0.02, 0.04), total_seconds=30)
LONGEST_QUERY_SECONDS = 3600


@dataclass(frozen=True)
class Sales:
    """A database of orders, and the server before it."""

    duck: duckdb.DuckDBPyConnection
    server: TdsServer

    def settings(self, **changed):
        known = {
            "host": self.server.host,
            "port": self.server.port,
            "user": USER,
            "password": PASSWORD,
            "database": "Sales",
            "encryption": "off",
        }
        return SqlServerSettings(**(known | changed))

    def connect(self, **changed):
        """A plain connection of the driver's."""
        return pymssql.connect(**self.arguments(**changed))

    def pool(self, connections=3, failures=pymssql.InterfaceError, **changed):
        """As ``docs/sql_server.md`` shows it."""
        return PooledDB(
            pymssql,
            maxconnections=connections,
            blocking=True,
            failures=failures,
            **self.arguments(**changed),
        )

    def steady(self, **changed):
        """The toolkit's own connection, which opens itself again."""
        return SqlServerConnection(self.settings(**changed))

    def arguments(self, **changed):
        known = {"user": USER, "password": PASSWORD, "database": "Sales", "autocommit": True}
        return self.server.address | known | {"tds_version": "7.4"} | changed

    def forget_time_limit(self):
        """The driver's limit of a query is one for the whole process; 0 would not lift it."""
        self.connect(timeout=LONGEST_QUERY_SECONDS).close()


def strikes(fault, times=1, after=0):
    """A hook that plays a fault ``times`` times, after so many queries without."""
    left = [after, times]

    def hook(sql):
        if left[0] > 0:
            left[0] -= 1
        elif left[1] > 0:
            left[1] -= 1
            return fault
        return None

    return hook
