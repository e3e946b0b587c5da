"""``toolkit import`` and ``toolkit check``; each imports what it needs when it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Config, Json, MaybeDatabase, Mssql, one_of
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from toolkit.sources.folder.mapping import OrderMapping
    from toolkit.sources.folder.quarantine import Quarantine
    from toolkit.sources.folder.understood import Understood
    from toolkit.sources.sqlserver.settings import SqlServer


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("import")(import_)
    app.command()(check)


def import_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of order lines (Parquet, CSV, Excel), folders of their parts, or a folder "
            "that holds order_lines, products, customers."
        ),
    ] = None,
    db: Annotated[Path | None, typer.Option("--db", help="The database file to write.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Write Parquet into this folder, or s3://BUCKET/FOLDER: in place of a database "
            "file, or besides."
        ),
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
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, as customer_id=CustomerID.")
    ] = None,
    date_format: Annotated[
        str | None,
        typer.Option(
            help="day-first, month-first, year-first, excel-days, named-months, or like %d.%m.%Y."
        ),
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal sign of the files: . or , or per-file.")
    ] = None,
    thousands: Annotated[str | None, typer.Option(help="What sets thousands apart.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the files: cp1252, …")] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook.")] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option(
            "--constant",
            help="FIELD=VALUE where no column has it: customer_id=ALL, unit_price=unknown.",
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="Time zone of the business, whose days count: Europe/Berlin."),
    ] = None,
    exclude_products: Annotated[
        str | None, typer.Option(help="Codes whose lines are left out: POST,M")
    ] = None,
    replaces: Annotated[
        Path | None,
        typer.Option(help="CSV of replaced products: old_product, new_product, date."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="TOML that --save-mapping wrote; may be missing if that writes it now."),
    ] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(help="Write how the files were read, for --mapping.")
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="Set broken lines aside in this CSV file.")
    ] = None,
    quarantine_limit: Annotated[
        float | None, typer.Option(help="Refuse above so many percent of broken lines; default 5.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try it, write no database.")] = False,
    as_json: Json = False,
) -> None:
    """Read order lines from files, or a SQL Server, into a database file or a folder of Parquet.

    One file is enough: products and customers are those of its lines. From a SQL Server only what
    is new is read, however often the command is run.
    """
    from toolkit.sources.sqlserver.settings import read_server

    of_a_server = {"config": config, "until": until, "months": months}
    one_of("FILES", bool(files), mssql, **of_a_server)
    of_files = {
        "columns": columns,
        "date_format": date_format,
        "decimal": decimal,
        "thousands": thousands,
        "encoding": encoding,
        "sheet": sheet,
        "constants": constants,
        "timezone": timezone,
        "exclude_products": exclude_products,
    }
    if mssql:
        others = {"save_mapping": save_mapping, "quarantine": quarantine,
                  "quarantine_limit": quarantine_limit, "dry_run": dry_run or None}  # fmt: skip
        _refuse_with_server({**of_files, **others, "timezone": None})
        described = read_server(config, mapping=mapping, timezone=timezone)
        replaced = replaces or described.replaces
        if db is None:
            raise ArgumentError("--db has to be given: the database file to write")
        _import_from_server(db, to, described, until, months, replaced, as_json)
        return
    if db is None and to is None and not dry_run:
        raise ArgumentError("--db or --to has to be given: the database file, or folder, to write")
    _import_files(
        files or [],
        (None, None) if dry_run else (db, to),
        _mapping(mapping, save_mapping, {**of_files, "replaces": replaces and str(replaces)}),
        _quarantine(quarantine, quarantine_limit),
        save_mapping,
        as_json,
    )


def _refuse_with_server(options: Mapping[str, object]) -> None:
    called = {"columns": "--map", "constants": "--constant"}
    idle = [called.get(n, f"--{n.replace('_', '-')}") for n, value in options.items() if value]
    if idle:
        raise ArgumentError(f"{' and '.join(idle)}: of files only, not with --mssql")


def _mapping(
    file: Path | None, save_to: Path | None, options: Mapping[str, object]
) -> "OrderMapping":
    from toolkit.sources.folder.mapping import OrderMapping, fields_given

    excluded = options["exclude_products"]
    first = file is not None and file == save_to and not file.exists()
    saved = OrderMapping() if file is None or first else OrderMapping.read(file)
    codes = [code.strip() for code in str(excluded or "").split(",")]
    return saved.with_options(
        {
            **options,
            "columns": fields_given(
                _texts(options["columns"]), "--map", "FIELD=COLUMN, as in customer_id=CustomerID"
            ),
            "constants": fields_given(
                _texts(options["constants"]), "--constant", "FIELD=VALUE, as in customer_id=ALL"
            ),
            "exclude_products": [code for code in codes if code],
        }
    )


def _texts(values: object) -> list[str]:
    return values if isinstance(values, list) else []


def _quarantine(file: Path | None, limit: float | None) -> "Quarantine | None":
    from toolkit.sources.folder.quarantine import LIMIT, Quarantine

    if file is None:
        if limit is not None:
            raise ArgumentError("--quarantine-limit: only with --quarantine FILE")
        return None
    return Quarantine(file, LIMIT if limit is None else limit)


def _import_files(
    files: list[Path],
    targets: tuple[Path | None, str | None],
    mapping: "OrderMapping",
    quarantine: "Quarantine | None",
    save_mapping: Path | None,
    as_json: bool,
) -> None:
    from toolkit.cli.display import answer, print_plain
    from toolkit.cli.questions import until_settled
    from toolkit.cli.targets import import_target, named, places
    from toolkit.sources.folder.inputs import find_inputs
    from toolkit.sources.folder.mapping import holds_mapping
    from toolkit.sources.folder.places import check_place
    from toolkit.validation import plain

    db, to = targets
    if save_mapping is not None:
        read = (path for parts in find_inputs(files).parts.values() for path in parts)
        others = [*read, db, None if quarantine is None else quarantine.file]
        check_place(save_mapping, "the mapping", others, holds_mapping)

    def show(understood: "Understood") -> None:
        if not as_json and (targets == (None, None) or not understood.usual):
            print_plain(f"{understood}\n")

    with import_target(db, to) as target:
        report = until_settled(files, target, mapping, quarantine, show, may_ask=not as_json)
    if save_mapping is not None and report.understood is not None:
        report.understood.mapping.save(save_mapping)
    answer(f"{named(db, to)}: {report}", {**places(db, to), **plain(report)}, as_json)


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


def _import_from_server(
    db: Path,
    to: str | None,
    server: "SqlServer",
    until: str | None,
    months: int | None,
    replaces: Path | None,
    as_json: bool,
) -> None:
    from toolkit.cli.display import answer
    from toolkit.cli.progress import status
    from toolkit.cli.targets import import_target, named, places
    from toolkit.sources.sqlserver.dialect import connect
    from toolkit.sources.sqlserver.importer import import_server
    from toolkit.stages.arguments import parse_date
    from toolkit.validation import plain

    day = None if until is None else parse_date(until)
    with (
        import_target(db, to),
        status("Importing") as tell,
        connect(server.settings) as conn,
    ):
        place = server.settings.place
        report = import_server(
            conn, db, place, server.names,
            until=day, months=months, replaces=replaces, progress=tell,
        )  # fmt: skip
    content = plain(report)
    content = {**content.pop("imported"), **content}
    answer(f"{named(db, to)}: {report}", {**places(db, to), **content}, as_json)


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
