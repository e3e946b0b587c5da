"""``toolkit import`` and ``toolkit check``; each imports what it needs when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Config, Database, Json, MaybeDatabase, Mssql, one_of

if TYPE_CHECKING:
    from toolkit.sources.folder.importer import ImportReport
    from toolkit.sources.sqlserver.importer import ServerImportReport


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("import")(import_)
    app.command()(check)


def import_(
    db: Database,
    folder: Annotated[
        Path | None, typer.Argument(help="Holds order_lines, products, customers.")
    ] = None,
    mssql: Mssql = False,
    config: Config = None,
    until: Annotated[
        str | None, typer.Option(help="YYYY-MM-DD; from a SQL Server, only lines before it.")
    ] = None,
    months: Annotated[
        int | None,
        typer.Option(help="From a SQL Server, compare so many of the latest months; default all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a folder of order lines (Parquet or CSV), or a SQL Server, into the embedded database.

    From a SQL Server only what is new is read, however often the command is run.
    """
    from toolkit.cli.display import answer
    from toolkit.cli.progress import status
    from toolkit.sources.folder.importer import import_folder
    from toolkit.validation import plain

    one_of("FOLDER", folder is not None, mssql, config=config, until=until, months=months)
    report: ImportReport | ServerImportReport
    if folder is None:
        report = _import_server(db, config, until, months)
        content = plain(report)
        content = {**content.pop("imported"), **content}
    else:
        with status("Importing") as tell:
            report = import_folder(folder, db, progress=tell)
        content = plain(report)
    answer(f"Imported into {db}: {report}", {"database": str(db), **content}, as_json)


def check(
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check the order data in a database, or a SQL Server, and list everything that is wrong."""
    from toolkit.cli.display import answer
    from toolkit.cli.progress import status
    from toolkit.sources.embedded.checks import check_database
    from toolkit.sources.embedded.database import open_database
    from toolkit.validation import plain

    one_of("--db", db is not None, mssql, config=config)
    if db is None:
        _check_server(config, as_json)
        return
    with status("Checking"), open_database(db) as conn:
        report = check_database(conn)
    content = {name: plain(report)[name] for name in ("rows", "fatal", "notices")}
    answer(f"{db}: {report}", {"database": str(db), **content}, as_json)
    if not report.ok:
        raise typer.Exit(2)


def _import_server(
    db: Path, config: Path | None, until: str | None, months: int | None
) -> "ServerImportReport":
    from toolkit.cli.progress import status
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.importer import import_server
    from toolkit.sources.sqlserver.settings import read_server
    from toolkit.stages.arguments import parse_date

    server = read_server(config)
    day = None if until is None else parse_date(until)
    with status("Importing") as tell, connect(server.settings) as conn:
        place = server.settings.place
        return import_server(conn, db, place, server.names, until=day, months=months, progress=tell)


def _check_server(config: Path | None, as_json: bool) -> None:
    from toolkit.cli.display import answer
    from toolkit.cli.progress import status
    from toolkit.sources.sqlserver.check import check_server
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.settings import read_server
    from toolkit.validation import plain

    server = read_server(config)
    shown = str(server.settings)
    with status("Checking"), connect(server.settings) as conn:
        report = check_server(conn, server.names)
    answer(f"{shown}: {report}", {"server": shown, **plain(report)}, as_json)
    if not report.ok:
        raise typer.Exit(2)
