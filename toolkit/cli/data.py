"""``toolkit import`` and ``toolkit check``; each imports what it needs when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Config, Database, Json, MaybeDatabase, Mssql, one_of

if TYPE_CHECKING:
    from toolkit.errors import Finding
    from toolkit.sources.embedded.checks import CheckReport
    from toolkit.sources.folder.importer import ImportReport
    from toolkit.sources.sqlserver.check import ServerReport
    from toolkit.sources.sqlserver.importer import ServerImportReport
    from toolkit.sources.sqlserver.settings import SqlServerSettings


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
    as_json: Json = False,
) -> None:
    """Read a folder of order lines (Parquet or CSV), or a SQL Server, into the embedded database.

    From a SQL Server only what is new is read, however often the command is run.
    """
    from toolkit.cli.progress import status
    from toolkit.sources.folder.importer import import_folder

    one_of("FOLDER", folder is not None, mssql)
    if folder is None:
        _show_server_import(_import_server(db, config, until), db, as_json)
        return
    with status("Importing") as tell:
        report = import_folder(folder, db, progress=tell)
    _show_import(report, db, as_json)


def check(
    db: MaybeDatabase = None,
    mssql: Mssql = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check the order data in a database, or a SQL Server, and list everything that is wrong."""
    from toolkit.cli.progress import status
    from toolkit.sources.embedded.checks import check_database
    from toolkit.sources.embedded.database import open_database

    one_of("--db", db is not None, mssql)
    if db is None:
        _check_server(config, as_json)
        return
    with status("Checking"), open_database(db) as conn:
        report = check_database(conn)
    _show_check(report, db, as_json)
    if not report.ok:
        raise typer.Exit(2)


def _import_server(db: Path, config: Path | None, until: str | None) -> "ServerImportReport":
    from toolkit.cli.progress import status
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.importer import import_server
    from toolkit.sources.sqlserver.settings import read_server
    from toolkit.stages.arguments import parse_date

    server = read_server(config)
    day = None if until is None else parse_date(until)
    with status("Importing") as tell, connect(server.settings) as conn:
        place = server.settings.place
        return import_server(conn, db, place, server.names, until=day, progress=tell)


def _check_server(config: Path | None, as_json: bool) -> None:
    from toolkit.cli.progress import status
    from toolkit.sources.sqlserver.check import check_server
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.settings import read_server

    server = read_server(config)
    with status("Checking"), connect(server.settings) as conn:
        report = check_server(conn, server.names)
    _show_server_check(report, server.settings, as_json)
    if not report.ok:
        raise typer.Exit(2)


def _show_import(report: "ImportReport", database: Path, as_json: bool) -> None:
    """What an import brought in."""
    from toolkit.cli.display import print_json, print_plain

    if as_json:
        print_json(_import_json(report, database))
    else:
        print_plain(f"Imported into {database}: {report}")


def _show_check(report: "CheckReport", database: Path, as_json: bool) -> None:
    """What a check found."""
    from toolkit.cli.display import print_json, print_plain

    if as_json:
        print_json(
            {
                "database": str(database),
                "rows": dict(report.rows),
                "fatal": _findings(report.fatal),
                "notices": _findings(report.notices),
            }
        )
    else:
        print_plain(f"{database}: {report}")


def _show_server_import(report: "ServerImportReport", database: Path, as_json: bool) -> None:
    """What an import from a server brought in, and read for it."""
    from toolkit.cli.display import print_json, print_plain

    if as_json:
        print_json(
            {
                **_import_json(report.imported, database),
                "until_date": report.until_date.isoformat(),
                "rows_read": report.rows_read,
                "months_compared": report.months_compared,
            }
        )
    else:
        print_plain(f"Imported into {database}: {report}")


def _show_server_check(report: "ServerReport", server: "SqlServerSettings", as_json: bool) -> None:
    """What a check of a server found."""
    from toolkit.cli.display import print_json, print_plain

    if as_json:
        last = report.last_date
        print_json(
            {
                "server": str(server),
                "version": report.version,
                "rows": dict(report.rows),
                "last_date": None if last is None else last.isoformat(),
                "fatal": _findings(report.fatal),
                "notices": _findings(report.notices),
            }
        )
    else:
        print_plain(f"{server}: {report}")


def _import_json(report: "ImportReport", database: Path) -> dict[str, object]:
    return {
        "database": str(database),
        "lines": report.lines,
        "orders": report.orders,
        "customers": report.customers,
        "products": report.products,
        "pairs": report.pairs,
        "first_date": report.first_date.isoformat(),
        "last_date": report.last_date.isoformat(),
        "notices": _findings(report.notices),
        "seconds": report.seconds,
    }


def _findings(findings: "tuple[Finding, ...]") -> list[dict[str, object]]:
    return [
        {"table": f.table, "rule": f.rule, "rows": f.rows, "examples": list(f.examples)}
        for f in findings
    ]
