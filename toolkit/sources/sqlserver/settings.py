"""Where the SQL Server is and what its tables are called: from a TOML file and the environment.

The password comes from the environment only, and is shown nowhere.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from toolkit.sources.embedded.database import OPTIONAL, TABLES
from toolkit.sources.names import DEFAULT_SCHEMA, PLAIN_NAMES, Names, TableNames
from toolkit.validation import CLOSED, Json, has_to_be, parse, read_toml, unknown

type Encryption = Literal["off", "request", "require"]
type Intent = Literal["ReadOnly", "ReadWrite"]
type Text = Annotated[str, Field(min_length=1)]
type SqlName = Annotated[str, Field(pattern="^[^%]+$"), has_to_be("a name without %")]

PREFIX = "TOOLKIT_MSSQL_"
_SECRET = CLOSED | ConfigDict(hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, config=_SECRET)
class SqlServerSettings:
    """How to reach a SQL Server.

    ``encryption`` is ``off``, ``request`` (if the server has it) or ``require``; the driver does
    not verify the server's certificate. With the ``application_intent`` ``ReadOnly``, a listener
    may lead to a replica. Time limits are in seconds; the driver applies the query's to every
    connection of the process, the latest opened deciding.
    """

    host: Text
    user: Text
    database: Text
    password: Text = Field(repr=False)
    port: Annotated[int, Field(ge=1, le=65_535)] = 1433
    encryption: Encryption = "require"
    login_timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    query_timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    application_intent: Intent = "ReadOnly"

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


@dataclass(frozen=True, slots=True, config=CLOSED)
class _Table:
    schema: SqlName = DEFAULT_SCHEMA
    name: SqlName | None = None
    columns: Mapping[str, SqlName] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=CLOSED)
class _Description:
    mssql: SqlServerSettings
    tables: Mapping[str, _Table] = Field(default_factory=dict)


_KEYS = tuple(one.name for one in fields(SqlServerSettings))
_WHOLE = ("port", "login_timeout_seconds", "query_timeout_seconds")
_DIGITS = re.compile("[0-9]+").fullmatch


def read_server(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> SqlServer:
    """The server as a TOML file and the environment describe it; the environment prevails.

    The file holds ``[mssql]`` with the fields of ``SqlServerSettings`` except the password, and
    ``[tables.NAME]`` with ``schema``, ``name`` and ``columns`` where names differ. The environment
    has ``TOOLKIT_MSSQL_HOST`` and so on, ``TOOLKIT_MSSQL_PASSWORD`` always. Raises
    ``ArgumentError`` with everything that is wrong.
    """
    content = {"mssql": {}, **({} if path is None else read_toml(path))}
    wrong, variables = _unknown_names(content.get("tables")), _from_environment(environment)
    given = content["mssql"] if isinstance(content["mssql"], dict) else {}
    if "password" in given:
        wrong.append(f"mssql.password: belongs into the environment, as {_variable('password')}")
    if isinstance(content["mssql"], dict):
        content["mssql"] = {k: v for k, v in given.items() if k != "password"} | variables
    where = f"{path} and the environment" if path else "the environment"
    found = parse(
        _Description,
        content,
        f"the description of the SQL Server ({where})",
        called={f"mssql.{key}": _called(key, given, variables) for key in _KEYS},
        more=wrong,
    )
    tables = {
        ours: TableNames(table.schema, table.name or ours, table.columns)
        for ours, table in found.tables.items()
    }
    return SqlServer(found.mssql, Names(tables))


def _variable(key: str) -> str:
    return f"{PREFIX}{key.upper()}"


def _called(key: str, given: Json, variables: Json) -> str:
    """Where a value is, or may be."""
    if key in variables or key == "password":
        return _variable(key)
    return f"mssql.{key}" if key in given else f"mssql.{key} or {_variable(key)}"


def _from_environment(environment: Mapping[str, str]) -> Json:
    """What the environment says; a number that is none stays text, and is a mistake."""
    given = {key: environment[_variable(key)] for key in _KEYS if environment.get(_variable(key))}
    whole = {key: int(text) for key, text in given.items() if key in _WHOLE and _DIGITS(text)}
    return {**given, **whole}


def _unknown_names(tables: object) -> list[str]:
    """Tables and columns that are none of ours."""
    wrong = unknown("tables", tables, list(TABLES))
    for ours, table in tables.items() if isinstance(tables, dict) else ():
        if ours in TABLES and isinstance(table, dict):
            columns = [*TABLES[ours], *OPTIONAL.get(ours, ())]
            wrong += unknown(f"tables.{ours}.columns", table.get("columns"), columns)
    return wrong
