"""Tokens of which the server's messages consist."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.tds.columns import COLLATION, TDS_72, ColumnType
from tests.tds.text import long_text, short_text

SERVER_NAME = "TESTSQL"
VERSION = bytes([16, 0, 0x10, 0])
_VERSIONS = {0x71: 0x71000001, 0x72: 0x72090002, 0x73: 0x730B0003, 0x74: 0x74000004}
_ERROR, _INFO = 0xAA, 0xAB
_MORE, _FAILED, _COUNTED, _CANCELLED = 0x01, 0x02, 0x10, 0x20
SELECT, UPDATE = 0xC1, 0xC5


@dataclass(frozen=True, slots=True)
class SqlError:
    """An error with a number, as SQL Server reports it."""

    number: int
    text: str
    severity: int = 16


class SqlErrors(Exception):  # noqa: N818 - what it carries are the errors
    """What is wrong with a login or a batch; there may be several errors."""

    def __init__(self, *errors: SqlError) -> None:
        super().__init__(*errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Tokens:
    """Builds tokens in the form of one version of the protocol (0x71 to 0x74)."""

    tds: int

    def done(self, command: int = 0, count: int | None = None, more: bool = False) -> bytes:
        """A statement has ended; ``count``: with so many rows."""
        status = (_MORE if more else 0) | (_COUNTED if count is not None else 0)
        return self._done(status, command, count or 0)

    def failed(self, *errors: SqlError) -> bytes:
        """A statement has ended with errors."""
        return b"".join(map(self.error, errors)) + self._done(_FAILED, 0, 0)

    def cancelled(self) -> bytes:
        """What ends a statement that the client does not want any more."""
        return self._done(_CANCELLED, 0, 0)

    def error(self, error: SqlError) -> bytes:
        """One error."""
        return self._message(_ERROR, error.number, error.text, error.severity)

    def columns(self, names: Sequence[str], types: Sequence[ColumnType]) -> bytes:
        """What the columns of the rows that follow are."""
        layout = "<IH" if self.tds >= TDS_72 else "<HH"
        nullable = struct.pack(layout, 0, 9)
        described = [nullable + t.info + short_text(n) for n, t in zip(names, types, strict=True)]
        return b"\x81" + struct.pack("<H", len(types)) + b"".join(described)

    def logged_in(self, database: str, packet_bytes: int, old_packet_bytes: int) -> bytes:
        """Everything that a successful login is answered with."""
        version = struct.pack(">I", _VERSIONS[self.tds])
        known = b"\x01" + version + short_text("Microsoft SQL Server") + VERSION
        sizes = short_text(str(packet_bytes)), short_text(str(old_packet_bytes))
        return b"".join(
            [
                _changed(1, short_text(database), short_text("master")),
                self._message(_INFO, 5701, f"Changed database context to '{database}'.", 0),
                _changed(7, b"\x05" + COLLATION, b"\0"),
                b"\xad" + struct.pack("<H", len(known)) + known,
                _changed(4, *sizes),
                self.done(),
            ]
        )

    def _message(self, token: int, number: int, text: str, severity: int) -> bytes:
        line = struct.pack("<I" if self.tds >= TDS_72 else "<H", 1)
        body = struct.pack("<iBB", number, 1, severity)
        body += long_text(text) + short_text(SERVER_NAME) + short_text("") + line
        return bytes([token]) + struct.pack("<H", len(body)) + body

    def _done(self, status: int, command: int, count: int) -> bytes:
        layout = "<BHHQ" if self.tds >= TDS_72 else "<BHHI"
        return struct.pack(layout, 0xFD, status, command, count)


def _changed(kind: int, new: bytes, old: bytes) -> bytes:
    body = bytes([kind]) + new + old
    return b"\xe3" + struct.pack("<H", len(body)) + body
