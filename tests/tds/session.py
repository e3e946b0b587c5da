"""One client's connection: greeting, login, then one batch after the other."""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from tests.tds.columns import TDS_72, column_type
from tests.tds.faults import Drop, Fail, Fault, Stall
from tests.tds.rows import encode_rows
from tests.tds.tokens import SELECT, UPDATE, VERSION, SqlError, SqlErrors, Tokens
from tests.tds.tsql import (
    Setting,
    counts_rows,
    is_setting,
    settings,
    sql_errors,
    to_duckdb,
    transaction,
)
from tests.tds.wire import ATTENTION, BATCH, LOGIN7, PRELOGIN, ConnectionOverError, Wire

if TYPE_CHECKING:
    from tests.tds.server import TdsServer

ROWS_AT_ONCE = 20_000
FATAL_SEVERITY = 20  # from here on, the server ends the connection
_QUERY = re.compile(r"\s*(SELECT|WITH|VALUES|\()", re.IGNORECASE)
_NO_ENCRYPTION, _ENCRYPTION = b"\x02", b"\x01"
_READ_ONLY_INTENT = 0x20


@dataclass(frozen=True, slots=True)
class Login:
    """What a client said of itself."""

    user: str
    password: str
    database: str
    app: str
    tds: int
    packet_bytes: int
    read_only: bool


class Session:
    """Talks to one client until it goes, or is hung up on."""

    def __init__(self, server: "TdsServer", wire: Wire) -> None:
        self._server, self._wire = server, wire
        self._tokens = Tokens(0x74)
        self._conn: duckdb.DuckDBPyConnection | None = None
        self._database = "master"
        self._in_transaction = False
        self._counts = True

    def run(self) -> None:
        """Answer every message; return when the connection is over."""
        answers: dict[int, Callable[[bytes], None]] = {
            PRELOGIN: self._greet,
            LOGIN7: self._log_in,
            BATCH: self._answer_batch,
            ATTENTION: lambda body: self._wire.send(self._tokens.cancelled()),
        }
        reset = False
        try:
            while True:
                kind, body = self._wire.read()
                answers.get(kind, self._refuse)(body)
        except _ResetError:
            reset = True
        except OSError:
            pass
        finally:
            if self._conn is not None:
                self._conn.close()
            self._wire.close(reset)

    def _greet(self, body: bytes) -> None:
        context = self._server.tls
        encryption = _NO_ENCRYPTION if context is None else _ENCRYPTION
        options = [(0, VERSION + b"\0\0"), (1, encryption), (2, b"\0"), (3, b""), (4, b"\0")]
        start = 5 * len(options) + 1
        head, data = b"", b""
        for option, value in options:
            head += struct.pack(">BHH", option, start + len(data), len(value))
            data += value
        self._wire.send(head + b"\xff" + data)
        if context is not None:
            self._wire.encrypt(context)

    def _log_in(self, body: bytes) -> None:
        login = read_login(body)
        self._tokens = Tokens(login.tds)
        try:
            self._play(self._server.login_seen(login))
            self._server.admit(login)
        except SqlErrors as exc:
            self._wire.send(self._tokens.failed(*exc.errors))
            raise ConnectionOverError from exc
        self._database = login.database
        self._conn = self._server.databases[login.database].cursor()
        old, new = self._wire.packet_bytes, max(512, min(login.packet_bytes or 4096, 32767))
        self._wire.send(self._tokens.logged_in(login.database, new, old))
        self._wire.packet_bytes = new

    def _refuse(self, body: bytes) -> None:
        self._wire.send(self._tokens.failed(SqlError(2812, "Only SQL batches are served here.")))

    def _answer_batch(self, body: bytes) -> None:
        headers = struct.unpack_from("<I", body)[0] if self._tokens.tds >= TDS_72 else 0
        sql = body[headers:].decode("utf-16-le")
        with self._server.batch_seen(self, sql) as fault:
            middle = fault if getattr(fault, "after_rows", None) is not None else None
            try:
                if middle is None:
                    self._play(fault)
                rest = self._run(sql, middle)
            except (SqlErrors, duckdb.Error) as exc:
                errors = sql_errors(exc)
                self._wire.send(self._tokens.failed(*errors))
                if max(error.severity for error in errors) >= FATAL_SEVERITY:
                    raise ConnectionOverError from exc
            else:
                self._wire.send(rest)
            if isinstance(fault, Drop):
                self._wire.cut_after(None)

    def _play(self, fault: Fault | None) -> None:
        match fault:
            case Fail():
                raise SqlErrors(fault.error)
            case Stall():
                self._wire.wait(fault.seconds)
            case Drop(after_bytes=0, reset=reset):
                raise _ResetError if reset else ConnectionOverError
            case Drop():
                self._wire.cut_after(fault.after_bytes)

    def _run(self, sql: str, middle: Fault | None) -> bytes:
        """Run a batch; returns what of the answer has not been sent yet."""
        begun = transaction(sql)
        if begun is not None:
            word, remainder = begun
            self._switch(word)
            return self._run(remainder, middle) if remainder.strip() else self._tokens.done()
        if is_setting(sql):
            self._server.seen.settings += [s.text for s in settings(sql) if self._holds(s)]
            self._counts = counts_rows(sql, self._counts)
            return self._tokens.done()
        rest = b""
        statements = to_duckdb(sql, self._facts())
        for number, statement in enumerate(statements, start=1):
            more = number < len(statements)
            if _QUERY.match(statement):
                rest = self._query(statement, rest, more, middle)
            else:
                rest += self._change(statement, more)
        return rest or self._tokens.done()

    def _holds(self, setting: Setting) -> bool:
        """Whether a setting's condition does; without a catalog, none does."""
        if setting.condition is None:
            return True
        (query,) = to_duckdb(setting.condition, self._facts())
        try:
            return self._duck.execute(query).fetchall() == [(1,)]
        except duckdb.CatalogException:
            return False

    def _switch(self, word: str) -> None:
        if (word == "BEGIN") != self._in_transaction:
            self._duck.execute(word)
            self._in_transaction = word == "BEGIN"

    def _facts(self) -> dict[str, str]:
        return {
            "@@TRANCOUNT": str(int(self._in_transaction)),
            "@@SPID": "51",
            "DB_NAME()": f"'{self._database}'",
            **self._server.facts,
        }

    @property
    def _duck(self) -> duckdb.DuckDBPyConnection:
        if self._conn is None:
            raise ConnectionOverError  # a batch before the login
        return self._conn

    def _query(self, statement: str, rest: bytes, more: bool, middle: Fault | None) -> bytes:
        result = self._duck.sql(statement)
        server, tds = self._server, self._tokens.tds
        types = [column_type(str(d), tds, server.datetime2) for d in result.types]
        rest += self._tokens.columns(result.columns, types)
        count = 0
        for batch in self._batches(result, middle):
            count += batch.num_rows
            rest = self._wire.send_part(rest + encode_rows(batch, types, server.datetime2))
            if middle is not None and count == getattr(middle, "after_rows", None):
                self._wire.flush(rest)
                rest = b""
                self._play(middle)
        return rest + self._tokens.done(SELECT, count if self._counts else None, more)

    def _batches(
        self, result: duckdb.DuckDBPyRelation, middle: Fault | None
    ) -> Iterator[pa.RecordBatch]:
        """The result in portions, one of which ends where the fault is due."""
        first = getattr(middle, "after_rows", None) or 0
        for batch in result.to_arrow_reader(ROWS_AT_ONCE):
            if 0 < first < batch.num_rows:
                yield batch.slice(0, first)
                yield batch.slice(first)
            else:
                yield batch
            first -= batch.num_rows

    def _change(self, statement: str, more: bool) -> bytes:
        self._duck.execute(statement)
        changed = self._duck.fetchone() if self._duck.description else None
        count = changed[0] if changed and isinstance(changed[0], int) else 0
        return self._tokens.done(UPDATE, count, more)


class _ResetError(ConnectionOverError):
    """Hang up without a farewell."""


def read_login(body: bytes) -> Login:
    """The fields of a LOGIN7 message."""
    tds, packet_bytes = struct.unpack_from("<II", body, 4)

    def raw(at: int) -> bytes:
        offset, length = struct.unpack_from("<HH", body, at)
        return body[offset : offset + 2 * length]

    # Each byte of the password has its halves swapped and every other bit turned.
    clear = bytes(((c ^ 0xA5) << 4 | (c ^ 0xA5) >> 4) & 255 for c in raw(44))
    user, app, database = (raw(at).decode("utf-16-le") for at in (40, 48, 68))
    read_only = bool(body[26] & _READ_ONLY_INTENT)
    password = clear.decode("utf-16-le")
    return Login(user, password, database, app, tds >> 24, packet_bytes, read_only)
