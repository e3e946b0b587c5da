"""Reads all order lines from a server once: ``python -m tests.bench.read_lines WAY PORT``.

Prints seconds and this process's peak memory in MB.
"""

import json
import os
import sys
import time
from contextlib import closing
from datetime import date

import numpy as np
import pymssql

from tests.bench.figure import peak_mb
from toolkit.sources.dialects import DbApiDialect
from toolkit.sources.sqlserver.dialect import SqlServerDialect
from toolkit.sources.sqlserver.months import BEFORE, rows_query

TYPES = ("int64", "int64", "int64", "float64", "float64", "datetime64[us]")


def main() -> None:
    way, port = sys.argv[1:]
    sql, bound = DbApiDialect().bind(rows_query("OrderItem", BEFORE), {"end_date": date.max})
    with (
        closing(
            pymssql.connect(
                server="127.0.0.1", port=port, user=os.environ["USER"], autocommit=True,
                password=os.environ["PASSWORD"], database="Sales", tds_version="7.4",
            )
        ) as conn,
        closing(conn.cursor()) as cursor,
    ):  # fmt: skip
        started = time.perf_counter()
        if way != "nothing":
            cursor.execute(sql, bound)
        if way == "portions":
            SqlServerDialect().fetch(cursor, TYPES)
        if way == "fetchall":
            columns = zip(*cursor.fetchall(), strict=True)
            [np.array(c, dtype=d) for c, d in zip(columns, TYPES, strict=True)]
        took = time.perf_counter() - started
    print(json.dumps({"seconds": took, "megabytes": peak_mb()}))


if __name__ == "__main__":
    main()
