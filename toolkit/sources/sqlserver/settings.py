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

from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.names import PLAIN_NAMES, Names
from toolkit.validation import CLOSED, Json, parse, read_toml

type Encryption = Literal["off", "request", "require"]
type Intent = Literal["ReadOnly", "ReadWrite"]
type Text = Annotated[str, Field(min_length=1)]

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
    """A server, what the tables are called there, and the file of replaced products, if any."""

    settings: SqlServerSettings
    names: Names = PLAIN_NAMES
    replaces: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=CLOSED)
class _Description(OrderMapping):
    mssql: SqlServerSettings


_KEYS = tuple(one.name for one in fields(SqlServerSettings))
_WHOLE = ("port", "login_timeout_seconds", "query_timeout_seconds")
_DIGITS = re.compile("[0-9]+").fullmatch


def read_server(
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    mapping: Path | None = None,
    timezone: str | None = None,
) -> SqlServer:
    """The server as a TOML file and the environment describe it; the environment prevails.

    The file is a mapping, as one of files is (``OrderMapping``), that also holds ``[mssql]`` with
    the fields of ``SqlServerSettings`` except the password. What it does not say, another
    ``mapping`` may. The environment has ``TOOLKIT_MSSQL_HOST`` and so on, and always
    ``TOOLKIT_MSSQL_PASSWORD``. Raises ``ArgumentError`` with everything that is wrong.
    """
    files = [file for file in (mapping, path) if file is not None]
    content: Json = {"mssql": {}}
    for file in files:
        content |= read_toml(file)
    content |= {"timezone": timezone} if timezone else {}
    wrong, variables = OrderMapping.mistakes(content), _from_environment(environment)
    given = content["mssql"] if isinstance(content["mssql"], dict) else {}
    if "password" in given:
        wrong.append(f"mssql.password: belongs into the environment, as {_variable('password')}")
    if isinstance(content["mssql"], dict):
        content["mssql"] = {k: v for k, v in given.items() if k != "password"} | variables
    where = " and ".join([*map(str, files), "the environment"])
    found = parse(
        _Description,
        content,
        f"the description of the SQL Server ({where})",
        called={f"mssql.{key}": _called(key, given, variables) for key in _KEYS},
        more=wrong,
    )
    replaces = None if found.replaces is None else Path(found.replaces)
    return SqlServer(found.mssql, found.names, replaces)


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
