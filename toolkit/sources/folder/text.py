"""CSV files as other systems write them: their encoding, first lines, delimiter and line numbers.

What is not UTF-8 is copied as UTF-8 into a folder of the import's own, in a stream.
"""

import codecs
import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolkit.sources.folder.rows import one_of_each

_DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 20
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WESTERN = ("cp1252", "latin-1")
_FORGIVING = "cp1252"
UTF_8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True, slots=True)
class CsvText:
    """A CSV file in UTF-8: ``skip`` lines come before its header.

    ``source`` is the file that was given, ``encoding`` that of it; ``breaks`` counts its lines'
    ends, the last one's too.
    """

    source: Path
    path: Path
    encoding: str
    header: tuple[str, ...]
    delimiter: str
    skip: int
    breaks: int


def open_csv(path: Path, expected: Iterable[str], encoding: str | None, room: Path) -> CsvText:
    """Find out how a CSV file is written; ``expected`` are columns that it may have.

    A copy in UTF-8 goes into the folder ``room`` where the file is in another encoding. Raises
    ``csv.Error`` for an empty file, ``UnreadableError`` for a header that cannot be used,
    ``UnicodeDecodeError`` and ``OSError``.
    """
    found = encoding or _encoding_of(path)
    readable = path
    if codecs.lookup(found).name not in UTF_8:
        readable = _as_utf_8(path, found, room)
    breaks = _breaks(readable)
    with _opened(readable) as file:
        first = file.readline().decode("utf-8-sig")
        told = first.strip().strip('"').lower()
        skip = int(told.startswith("sep=") and len(told) <= len("sep=;"))
        if skip:
            said = first.strip().strip('"')[len("sep=") :]
            first = file.readline().decode()
            delimiters: tuple[str, ...] = (said,) if said in _DELIMITERS else _DELIMITERS
        else:
            delimiters = _DELIMITERS
    header, delimiter = _header(first, set(expected), delimiters)
    return CsvText(path, readable, found, one_of_each(header), delimiter, skip, breaks)


def row_lines(text: CsvText) -> Iterator[int]:
    """The line of the file on which each row begins; blank lines, and odd or empty rows, are none.

    A row has as many fields as the header: DuckDB sets others aside.
    """
    with _opened(text.path) as file:
        lines = codecs.getreader("utf-8-sig")(file)
        for _ in range(text.skip):
            lines.readline()
        reader = csv.reader(_with_ends(lines), delimiter=text.delimiter)
        begin = 1
        for number, row in enumerate(reader):
            if number and len(row) == len(text.header) and any(row):
                yield begin + text.skip
            begin = reader.line_num + 1


def line_at(text: CsvText, position: int) -> int:
    """The line that holds a byte of the file in UTF-8, from 1."""
    left, line = position, 1
    with _opened(text.path) as file:
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            line += chunk.count(b"\n")
            left -= len(chunk)
    return line


def _with_ends(lines: Iterable[str]) -> Iterator[str]:
    """Lines cut at ``\\n`` only: other signs may stand within a field."""
    kept = ""
    for line in lines:
        kept += line
        if line.endswith("\n"):
            yield kept
            kept = ""
    if kept:
        yield kept


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _chunks(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _breaks(path: Path) -> int:
    """How many lines a file has, the last one's end counted if it has none."""
    count, last = 0, b"\n"
    for chunk in _chunks(path):
        count += chunk.count(b"\n")
        last = chunk[-1:]
    return count + (last != b"\n")


def _encoding_of(path: Path) -> str:
    """By its mark, else UTF-8 if all of it is, else as Windows writes Western Europe's letters."""
    first = next(_chunks(path), b"")
    for mark, encoding in _MARKS.items():
        if first.startswith(mark):
            return encoding
    zeros = [first[:200:2].count(0), first[1:200:2].count(0)]
    if max(zeros) > 20:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    for encoding in ("utf-8", *_WESTERN):
        if _holds(path, encoding):
            return encoding
    return _FORGIVING


def _holds(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _as_utf_8(path: Path, encoding: str, room: Path) -> Path:
    copy = room / f"utf8-{len(list(room.iterdir()))}.csv"
    decoder = codecs.getincrementaldecoder(encoding)()
    with copy.open("wb") as file:
        for chunk in _chunks(path):
            file.write(decoder.decode(chunk).encode())
        file.write(decoder.decode(b"", final=True).encode())
    return copy


def _header(first: str, expected: set[str], delimiters: Sequence[str]) -> tuple[list[str], str]:
    """The column names, cut by the delimiter that yields most of the expected, or most."""

    def cut(delimiter: str) -> list[str]:
        return [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]

    delimiter = max(delimiters, key=lambda d: (len(set(cut(d)) & expected), len(cut(d))))
    header = cut(delimiter)
    if not header:
        raise csv.Error("it is empty")
    return header, delimiter
