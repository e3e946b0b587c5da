"""The server: databases, users, what it saw, and hooks that make it fail."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import duckdb

from tests.tds.faults import Fault
from tests.tds.session import Login, Session
from tests.tds.tokens import SqlError, SqlErrors
from tests.tds.tsql import is_setting, transaction
from tests.tds.wire import Wire

USER, PASSWORD = "reader", "s3cret!"
FACTS = {
    "SERVERPROPERTY('ProductVersion')": "'16.0.1000.6'",
    "SERVERPROPERTY('EngineEdition')": "3",
}

type BatchHook = Callable[[str], Fault | None]
type LoginHook = Callable[[Login], Fault | None]


@dataclass
class Seen:
    """What the server saw; sessions and batches are counted up and down."""

    logins: list[Login] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    open_sessions: int = 0
    most_sessions: int = 0
    open_batches: int = 0

    @property
    def queries(self) -> list[str]:
        """The batches that ask for something: no settings, no transaction's begin or end."""
        return [b for b in self.batches if not is_setting(b) and transaction(b) is None]


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    owner: "TdsServer"


class _Handler(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        self.server.owner.serve(Wire(self.request))


class TdsServer:
    """``with TdsServer({"Sales": conn}) as server: pymssql.connect(**server.address, …)``.

    ``databases`` are DuckDB connections by the name that a client logs in to. ``tls`` switches
    encryption on. ``datetime2`` sends timestamps to the microsecond, else as ``datetime``.
    """

    def __init__(
        self,
        databases: Mapping[str, duckdb.DuckDBPyConnection],
        *,
        users: Mapping[str, str] | None = None,
        on_batch: BatchHook | None = None,
        on_login: LoginHook | None = None,
        facts: Mapping[str, str] = FACTS,
        tls: ssl.SSLContext | None = None,
        datetime2: bool = False,
        port: int = 0,
    ) -> None:
        self.databases = dict(databases)
        self.users = {USER: PASSWORD} if users is None else users
        self.on_batch, self.on_login = on_batch, on_login
        self.facts, self.tls, self.datetime2 = facts, tls, datetime2
        self.seen = Seen()
        self._changed = threading.Condition()
        self._listener = _Listener(("127.0.0.1", port), _Handler)
        self._listener.owner = self
        self.host, self.port = "127.0.0.1", int(self._listener.server_address[1])

    def __enter__(self) -> Self:
        """Start to listen."""
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to listen; sessions that are open stay so until their client goes."""
        self._listener.shutdown()
        self._listener.server_close()

    @property
    def address(self) -> dict[str, str]:
        """Where, as the driver wants it."""
        return {"server": self.host, "port": str(self.port)}

    def serve(self, wire: Wire) -> None:
        """One session, from its first byte to its last."""
        with self._changed:
            self.seen.open_sessions += 1
            self.seen.most_sessions = max(self.seen.most_sessions, self.seen.open_sessions)
        try:
            Session(self, wire).run()
        finally:
            with self._changed:
                self.seen.open_sessions -= 1
                self._changed.notify_all()

    def wait_for_sessions(self, count: int, seconds: float = 5.0) -> int:
        """Wait until so many sessions are open: a client's farewell takes a moment to arrive.

        Returns how many are open in the end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.seen.open_sessions == count, seconds)
            return self.seen.open_sessions

    def wait_for_batches(self, count: int, seconds: float = 5.0) -> int:
        """Wait until so many batches are being answered; returns how many there are in the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.seen.open_batches == count, seconds)
            return self.seen.open_batches

    def login_seen(self, login: Login) -> Fault | None:
        """Note a login; the fault to play for it."""
        self.seen.logins.append(login)
        return self.on_login(login) if self.on_login else None

    def admit(self, login: Login) -> None:
        """Raise ``SqlErrors`` if user, password or database are not known."""
        failed = SqlError(18456, f"Login failed for user '{login.user}'.", 14)
        if self.users.get(login.user) != login.password:
            raise SqlErrors(failed)
        if login.database not in self.databases:
            text = f'Cannot open database "{login.database}" requested by the login.'
            raise SqlErrors(SqlError(4060, f"{text} The login failed.", 11), failed)

    @contextmanager
    def batch_seen(self, session: Session, sql: str) -> Iterator[Fault | None]:
        """Note a batch, open until it is answered; the fault to play for it."""
        with self._changed:
            self.seen.batches.append(sql)
            self.seen.open_batches += 1
        try:
            ignored = is_setting(sql) or transaction(sql) is not None
            yield self.on_batch(sql) if self.on_batch and not ignored else None
        finally:
            with self._changed:
                self.seen.open_batches -= 1
                self._changed.notify_all()
