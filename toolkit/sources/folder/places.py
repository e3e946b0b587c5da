"""Files that an import writes beside the database: none may take the place of another file."""

from collections.abc import Callable, Iterable
from pathlib import Path

from toolkit.errors import ArgumentError


def check_place(
    place: Path, what: str, taken: Iterable[Path | None], is_one: Callable[[Path], bool]
) -> None:
    """Raise ``ArgumentError`` where ``what`` cannot be written to ``place`` without a loss.

    ``taken`` are the files that the import reads or writes otherwise. A file that is there already
    may be replaced only where it ``is_one`` itself, or empty.
    """
    if not place.parent.is_dir():
        raise ArgumentError(f"there is no folder {place.parent} to write {place.name} to")
    if place.is_dir():
        raise ArgumentError(f"{place} is a folder: name a file for {what}")
    if place.resolve() in {other.resolve() for other in taken if other is not None}:
        raise ArgumentError(f"{place} is read or written otherwise: name another file for {what}")
    if place.is_file() and place.stat().st_size and not is_one(place):
        raise ArgumentError(
            f"{place} holds something else already: name another file for {what}, or remove it"
        )
