"""Columns of a result: how DuckDB's types are described and their values encoded in TDS."""

import re
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any

from tests.tds.text import utf16

COLLATION = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS
TDS_72, TDS_73 = 0x72, 0x73

_NULL, _NULL_SHORT = b"\0", b"\xff\xff"
_FIRST_DATETIME, _FIRST_DAY = datetime(1900, 1, 1), date(1, 1, 1)
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_EXACT = Context(prec=60)

type Encoder = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type as COLMETADATA describes it, and how one of its values (None: NULL) is encoded."""

    info: bytes
    encode: Encoder


def column_type(duck: str, tds: int, datetime2: bool) -> ColumnType:
    """The TDS type of a DuckDB type; what has no counterpart is sent as text."""
    duck = duck.upper()
    if found := _DECIMAL.fullmatch(duck):
        return _decimal(int(found[1]), int(found[2]))
    if duck.startswith("TIMESTAMP"):
        return _datetime2() if datetime2 and tds >= TDS_73 else _datetime()
    if duck == "DATE":
        return _date() if tds >= TDS_73 else _datetime()
    return _FIXED.get(duck, _text)()


def _nullable(encode: Encoder, null: bytes = _NULL) -> Encoder:
    return lambda value: null if value is None else encode(value)


def _whole(size: int) -> ColumnType:
    def encode(value: int) -> bytes:
        return bytes([size]) + value.to_bytes(size, "little", signed=size > 1)

    return ColumnType(bytes([0x26, size]), _nullable(encode))


def _float(size: int) -> ColumnType:
    layout = "<Bd" if size == 8 else "<Bf"
    return ColumnType(bytes([0x6D, size]), _nullable(lambda v: struct.pack(layout, size, v)))


def _bit() -> ColumnType:
    return ColumnType(b"\x68\x01", _nullable(lambda v: bytes([1, bool(v)])))


def _decimal(precision: int, scale: int) -> ColumnType:
    limits = ((9, 4), (19, 8), (28, 12), (38, 16))
    size = next(size for digits, size in limits if precision <= digits)

    def encode(value: Decimal | int) -> bytes:
        digits = int(Decimal(value).scaleb(scale, _EXACT))
        return bytes([size + 1, digits >= 0]) + abs(digits).to_bytes(size, "little")

    return ColumnType(bytes([0x6A, size + 1, precision, scale]), _nullable(encode))


def _text() -> ColumnType:
    def encode(value: object) -> bytes:
        raw = utf16(str(value))[:8000]
        return struct.pack("<H", len(raw)) + raw

    info = b"\xe7" + struct.pack("<H", 8000) + COLLATION
    return ColumnType(info, _nullable(encode, _NULL_SHORT))


def _binary() -> ColumnType:
    def encode(value: bytes) -> bytes:
        return struct.pack("<H", len(value)) + bytes(value)

    return ColumnType(b"\xa5" + struct.pack("<H", 8000), _nullable(encode, _NULL_SHORT))


def _identifier() -> ColumnType:
    return ColumnType(b"\x24\x10", _nullable(lambda v: b"\x10" + uuid.UUID(str(v)).bytes_le))


def _date() -> ColumnType:
    def encode(value: date) -> bytes:
        return b"\3" + (value - _FIRST_DAY).days.to_bytes(3, "little")

    return ColumnType(b"\x28", _nullable(encode))


def _datetime() -> ColumnType:
    """Days since 1900 and three-hundredths of a second."""

    def encode(value: date) -> bytes:
        moment = value if isinstance(value, datetime) else datetime(*value.timetuple()[:3])
        since = moment - _FIRST_DATETIME
        ticks = round((since.seconds + since.microseconds / 1e6) * 300)
        return b"\x08" + struct.pack("<iI", since.days, ticks)

    return ColumnType(b"\x6f\x08", _nullable(encode))


def _datetime2() -> ColumnType:
    """Units of 100 ns since midnight, and days since the year 1."""

    def encode(value: datetime) -> bytes:
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        ticks = seconds * 10**7 + value.microsecond * 10
        days = (value.date() - _FIRST_DAY).days
        return b"\x08" + ticks.to_bytes(5, "little") + days.to_bytes(3, "little")

    return ColumnType(b"\x2a\x07", _nullable(encode))


_FIXED: dict[str, Callable[[], ColumnType]] = {
    "BIGINT": lambda: _whole(8),
    "INTEGER": lambda: _whole(4),
    "SMALLINT": lambda: _whole(2),
    "TINYINT": lambda: _whole(2),
    "UTINYINT": lambda: _whole(1),
    "USMALLINT": lambda: _whole(4),
    "UINTEGER": lambda: _whole(8),
    "UBIGINT": lambda: _decimal(20, 0),
    "HUGEINT": lambda: _decimal(38, 0),
    "DOUBLE": lambda: _float(8),
    "FLOAT": lambda: _float(4),
    "BOOLEAN": _bit,
    "BLOB": _binary,
    "UUID": _identifier,
}
