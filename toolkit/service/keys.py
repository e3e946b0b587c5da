"""API keys: made once, shown once, kept as hashes in a file of one line each, ``name hash``.

A key has 256 random bits, so that a plain SHA-256 of it tells nothing. A line that is taken out of
the file is a key that no longer opens anything, within seconds and without a restart.
"""

import hashlib
import os
import re
import secrets
import time
from pathlib import Path

from toolkit.errors import ArgumentError

PREFIX = "tk_"
LOOK_S = 2.0
"""How often it is looked whether the file has changed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LINE = re.compile(rf"({_NAME.pattern}) ([0-9a-f]{{64}})")


def make_key(file: Path, name: str) -> str:
    """A new key for ``name``, whose hash is added to the file, which only its owner may read.

    ``ArgumentError`` if the name is none, or has a key already.
    """
    if not _NAME.fullmatch(name):
        raise ArgumentError(
            f"the name of a key has 1 to 64 letters, digits, and ._@- between them, got {name!r}"
        )
    if file.exists() and name in read_keys(file).values():
        raise ArgumentError(f"{file} has a key of {name} already: another name, or take it out")
    key = f"{PREFIX}{secrets.token_urlsafe(32)}"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as out:
        if file.stat().st_size and not file.read_text().endswith("\n"):
            out.write("\n")
        out.write(f"{name} {hashed(key)}\n")
    return key


def hashed(key: str) -> str:
    """What the file has of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def read_keys(file: Path) -> dict[str, str]:
    """Names by hash. ``ArgumentError`` that names every line which is none."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ArgumentError(f"the keys in {file} cannot be read: {why}") from error
    found, wrong = {}, []
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            found[match[2]] = match[1]
        elif line.strip() and not line.startswith("#"):
            wrong.append(str(number))
    if wrong:
        raise ArgumentError(
            f"the keys in {file} cannot be read: `name hash` is wanted, as `toolkit key` writes"
            f" it, in line {', '.join(wrong)}"
        )
    return found


class ApiKeys:
    """The keys of a file, read again when it has changed; what cannot be read opens nothing.

    ``ArgumentError`` if it cannot be read at first, or has none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked = 0.0
        self._stamp: tuple[int, int] | None = None
        self._names = read_keys(file)
        if not self._names:
            raise ArgumentError(
                f"{file} has no key, so that nobody could ask: `toolkit key NAME --keys {file}`"
                " makes one"
            )

    def name_of(self, key: str) -> str | None:
        """Whose key it is; None if nobody's."""
        if time.monotonic() - self._looked > LOOK_S:
            self._look()
        return self._names.get(hashed(key))

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._names, self._stamp = read_keys(self._file), stamp
        except (OSError, ArgumentError):
            self._names, self._stamp = {}, None
