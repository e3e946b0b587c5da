"""Where an import writes to: a database file, a folder of Parquet, or both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def import_target(db: Path | None, to: str | None) -> Iterator[Path | None]:
    """The database file to import into, None for none; in the end it is written ``to`` a folder.

    Without a file of its own there is one by the way. Whether the folder may be written is asked
    before the import begins. Raises ``SourceError`` where it cannot be.
    """
    if to is None:
        yield db
        return
    from toolkit.cli.progress import status
    from toolkit.sources.parquet.writing import writing_to

    with writing_to(to) as writing:
        database = db or writing.room / "orders.duckdb"
        yield database
        with status("Importing") as tell:
            writing.write(database, tell)


def named(db: Path | None, to: str | None) -> str:
    """How a report begins."""
    written = [str(place) for place in (db, to) if place is not None]
    return f"Imported into {' and '.join(written)}" if written else "Would be imported"


def places(db: Path | None, to: str | None) -> dict[str, object]:
    """The same as JSON."""
    folder = {} if to is None else {"folder": to}
    return {"database": None if db is None else str(db), **folder}
