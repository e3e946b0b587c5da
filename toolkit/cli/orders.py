"""Where a command's orders come from: a file, or a SQL Server."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.options import one_of

if TYPE_CHECKING:
    from toolkit.sources.open import OpenSource


def orders_of(
    db: Path | None, mssql: bool, config: Path | None
) -> "AbstractContextManager[OpenSource]":
    """The orders of a file or a server, and the codes of its ids.

    Raises ``ArgumentError`` unless just one of both is given, with its own options, and what
    opening it raises.
    """
    from toolkit.sources.open import file_address, open_server, open_source
    from toolkit.sources.sqlserver.settings import read_server

    one_of("--db", db is not None, mssql, config=config)
    return open_server(read_server(config)) if db is None else open_source(file_address(db))
