"""Where the SQL Server is and what its tables are called: from a TOML file and the environment.

The password comes from the environment only, and is shown nowhere.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast, get_args

from toolkit.errors import ArgumentError
from toolkit.sources.embedded.database import TABLES
from toolkit.sources.names import DEFAULT_SCHEMA, PLAIN_NAMES, Names, TableNames

type Encryption = Literal["off", "request", "require"]

PREFIX = "TOOLKIT_MSSQL_"
_TEXTS = ("host", "user", "database")
_ENCRYPTIONS: tuple[str, ...] = get_args(Encryption.__value__)
_WHOLE = {
    "port": (1433, 65_535),
    "login_timeout_seconds": (10, 600),
    "query_timeout_seconds": (300, 86_400),
}
"""Default and largest value of each; the smallest is 1."""
_KEYS = (*_TEXTS, "encryption", *_WHOLE)


@dataclass(frozen=True, slots=True)
class SqlServerSettings:
    """How to reach a SQL Server.

    ``encryption`` is ``off``, ``request`` (if the server has it) or ``require``; the driver does
    not verify the server's certificate. Time limits are in seconds; the driver applies the
    query's to every connection of the process, the latest opened deciding.
    """

    host: str
    user: str
    database: str
    password: str = field(repr=False)
    port: int = 1433
    encryption: Encryption = "require"
    login_timeout_seconds: int = 10
    query_timeout_seconds: int = 300

    @property
    def place(self) -> str:
        """Where the orders are, whoever reads them: ``sql.example.com:1433/Sales``."""
        return f"{self.host}:{self.port}/{self.database}"

    def __str__(self) -> str:
        """As it may be shown: ``mssql://reader:***@sql.example.com:1433/Sales``."""
        return f"mssql://{self.user}:***@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class SqlServer:
    """A server, and what the tables are called there."""

    settings: SqlServerSettings
    names: Names = PLAIN_NAMES


def read_server(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> SqlServer:
    """The server as a TOML file and the environment describe it; the environment prevails.

    The file holds ``[mssql]`` with the fields of ``SqlServerSettings`` except the password, and
    ``[tables.NAME]`` with ``schema``, ``name`` and ``columns`` where names differ. The environment
    has ``TOOLKIT_MSSQL_HOST`` and so on, ``TOOLKIT_MSSQL_PASSWORD`` always. Raises
    ``ArgumentError`` with everything that is wrong.
    """
    problems: list[str] = []
    content = _toml(path) if path is not None else {}
    problems += _unknown("", content, ("mssql", "tables"))
    given = _table(content, "mssql", problems)
    if "password" in given:
        given.pop("password")
        problems.append(f"mssql.password: belongs into the environment, as {PREFIX}PASSWORD")
    problems += _unknown("mssql.", given, _KEYS)
    given |= _from_environment(environment, problems)
    settings = _settings(given, environment.get(f"{PREFIX}PASSWORD"), problems)
    names = _names(_table(content, "tables", problems), problems)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        where = f"{path} and the environment" if path else "the environment"
        raise ArgumentError(f"the SQL Server is not described by {where}:\n{listed}")
    return SqlServer(settings, names)


def _toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise ArgumentError(f"{path} could not be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ArgumentError(f"{path} is no TOML: {exc}") from exc


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key in _KEYS:
        text = environment.get(f"{PREFIX}{key.upper()}")
        if text is None:
            continue
        if key in _WHOLE and not (text.isascii() and text.isdigit()):
            problems.append(f"{PREFIX}{key.upper()}: has to be a whole number, got {text!r}")
        else:
            given[key] = int(text) if key in _WHOLE else text
    return given


def _settings(
    given: Mapping[str, Any], password: str | None, problems: list[str]
) -> SqlServerSettings:
    texts = {key: given.get(key) for key in _TEXTS}
    for key, value in texts.items():
        if value is None:
            problems.append(f"{key}: is missing (mssql.{key} or {PREFIX}{key.upper()})")
        elif not isinstance(value, str) or not value:
            problems.append(f"{key}: has to be text, got {value!r}")
    if not password:
        problems.append(f"password: is missing ({PREFIX}PASSWORD)")
    encryption = given.get("encryption", "require")
    if encryption not in _ENCRYPTIONS:
        allowed = ", ".join(_ENCRYPTIONS)
        problems.append(f"encryption: has to be one of {allowed}, got {encryption!r}")
    whole = {key: given.get(key, default) for key, (default, _) in _WHOLE.items()}
    for key, value in whole.items():
        high = _WHOLE[key][1]
        if type(value) is not int or not 1 <= value <= high:
            problems.append(f"{key}: has to be a whole number from 1 to {high:,}, got {value!r}")
    return SqlServerSettings(
        host=str(texts["host"]),
        user=str(texts["user"]),
        database=str(texts["database"]),
        password=password or "",
        encryption=cast("Encryption", encryption),
        **whole,
    )


def _names(tables: Mapping[str, Any], problems: list[str]) -> Names:
    problems += _unknown("tables.", tables, tuple(TABLES))
    named = {}
    for table in TABLES.keys() & tables.keys():
        where = f"tables.{table}"
        content = _table(tables, table, problems, "tables.")
        problems += _unknown(f"{where}.", content, ("schema", "name", "columns"))
        columns = _table(content, "columns", problems, f"{where}.")
        problems += _unknown(f"{where}.columns.", columns, tuple(TABLES[table]))
        schema = content.get("schema", DEFAULT_SCHEMA)
        name = content.get("name", table)
        for key, value in {"schema": schema, "name": name, **columns}.items():
            if not isinstance(value, str) or not value or "%" in value:
                problems.append(f"{where}.{key}: has to be a name without %, got {value!r}")
        named[table] = TableNames(str(schema), str(name), {c: str(v) for c, v in columns.items()})
    return Names(named)


def _table(
    content: Mapping[str, Any], key: str, problems: list[str], prefix: str = ""
) -> dict[str, Any]:
    value = content.get(key, {})
    if isinstance(value, dict):
        return dict(value)
    problems.append(f"{prefix}{key}: has to be a table, got {value!r}")
    return {}


def _unknown(prefix: str, content: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    found = []
    for key in content.keys() - set(known):
        near = get_close_matches(key, known, n=1)
        meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        found.append(f"{prefix}{key}: is unknown; {meant}")
    return sorted(found)
