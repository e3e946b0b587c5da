"""Opens the orders at an address: ``duckdb:///FILE``, ``parquet:///FOLDER``, ``s3://BUCKET/FOLDER``
or ``mssql://USER@HOST:PORT/DATABASE``.

A new kind of source is one line of ``OPENERS``.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from toolkit.errors import ArgumentError
from toolkit.sources.base import OrderSource
from toolkit.sources.codes import NO_CODES, Codes
from toolkit.sources.embedded.database import open_database
from toolkit.sources.parquet.place import place_at
from toolkit.sources.parquet.remote import SCHEMES, is_remote
from toolkit.sources.sql import as_source, sqlserver_source
from toolkit.sources.sqlserver.columns import (
    codes_there,
    columns_there,
    made_of,
    refuse_without_zone,
)
from toolkit.sources.sqlserver.copy import Server
from toolkit.sources.sqlserver.dialect import connect
from toolkit.sources.sqlserver.faults import PATIENCE
from toolkit.sources.sqlserver.settings import PREFIX, SqlServer, read_server


@dataclass(frozen=True, slots=True)
class OpenSource:
    """Orders that can be read, and the codes of their ids."""

    source: OrderSource
    codes: Codes = NO_CODES


QUERY = (
    "encryption", "application_intent", "login_timeout_seconds", "query_timeout_seconds",
)  # fmt: skip
"""What an address of a SQL Server may say after ``?``."""

type Opener = Callable[[SplitResult], AbstractContextManager[OpenSource]]


def open_source(address: str) -> AbstractContextManager[OpenSource]:
    """The orders at ``address``, until the context ends.

    ``duckdb:///orders.duckdb`` is a file in the working folder, ``duckdb:////data/orders.duckdb``
    one by its absolute path; so is ``parquet:///orders`` a folder that an import wrote, and
    ``s3://bucket/orders`` is one in an object store.
    ``mssql://reader@sql.example.com:1433/Sales?encryption=require`` is a SQL Server; its password
    comes from ``TOOLKIT_MSSQL_PASSWORD``. Raises ``ArgumentError`` for
    an address of no known kind, and what opening the source raises.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ArgumentError("the orders' address is not a URL") from None
    if parts.scheme not in OPENERS:
        known = ", ".join(f"{scheme}://" for scheme in OPENERS)
        scheme = f"{parts.scheme}://" if parts.scheme else "none of them"
        raise ArgumentError(f"an address begins with one of {known}; got {scheme}")
    if parts.password is not None:
        raise ArgumentError(f"a password belongs into the environment, as {PREFIX}PASSWORD")
    if port == 0:
        raise ArgumentError("port has to be a whole number from 1 to 65,535, got 0")
    return OPENERS[parts.scheme](parts)


def file_address(path: Path) -> str:
    """The address of a DuckDB file, or of a folder of orders in Parquet."""
    if is_remote(path):
        return place_at(path).name
    return f"{'parquet' if path.is_dir() else 'duckdb'}:///{quote(str(path))}"


@contextmanager
def open_server(server: SqlServer) -> Iterator[OpenSource]:
    """The orders of a SQL Server that a file and the environment describe."""
    with connect(server.settings) as conn:
        reading = Server(conn, server.names, PATIENCE)
        found = columns_there(reading, server.names)
        refuse_without_zone(server.names, found)
        names = made_of(server.names, found)
        codes = Codes(codes_there(reading, names))
        yield OpenSource(sqlserver_source(conn, names), codes)


@contextmanager
def _open_file(parts: SplitResult) -> Iterator[OpenSource]:
    plain = not (parts.netloc or parts.query or parts.fragment)
    if not (plain and parts.path.startswith("/") and parts.path.strip("/")):
        form = f"{parts.scheme}:///{'FILE' if parts.scheme == 'duckdb' else 'FOLDER'}"
        raise ArgumentError(f"a file's address is {form}, without a host and without ? or #")
    with open_database(unquote(parts.path[1:])) as conn:
        yield OpenSource(as_source(conn), Codes.of(conn))


@contextmanager
def _open_store(parts: SplitResult) -> Iterator[OpenSource]:
    if not (parts.netloc and parts.path.strip("/")) or parts.query or parts.fragment:
        raise ArgumentError(f"an address is {parts.scheme}://BUCKET/FOLDER, without ? or #")
    with open_database(parts.geturl()) as conn:
        yield OpenSource(as_source(conn), Codes.of(conn))


def _open_server_at(parts: SplitResult) -> AbstractContextManager[OpenSource]:
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(asked.keys() - {*QUERY})
    if unknown or parts.fragment:
        raise ArgumentError(
            f"after ? an address takes {', '.join(QUERY)}; got {', '.join(unknown) or '#'}"
        )
    given = {
        "host": parts.hostname,
        "port": parts.port and str(parts.port),
        "user": parts.username and unquote(parts.username),
        "database": unquote(parts.path.strip("/")),
        **asked,
    }
    said = {f"{PREFIX}{name.upper()}": value for name, value in given.items() if value}
    return open_server(read_server(environment={**os.environ, **said}))


OPENERS: dict[str, Opener] = {
    "duckdb": _open_file,
    "parquet": _open_file,
    **dict.fromkeys(SCHEMES, _open_store),
    "mssql": _open_server_at,
}
"""What opens each kind of address."""
