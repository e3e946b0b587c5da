"""The commands of tracking, added to the command line; each imports what it needs when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import DEFAULT_FITS, Fits, Fitted, Json, StoreUri

if TYPE_CHECKING:
    from toolkit.data.fingerprint import Fingerprint
    from toolkit.model import FittedModel
    from toolkit.tracking.registry import ModelVersionRef

Database = Annotated[
    Path | None, typer.Option("--db", help="What it was fitted to, to keep its fingerprint.")
]
Alias = Annotated[str | None, typer.Option(help="An alias that is to name it: challenger, say.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("register")(register_version)


def register_version(
    model: Fitted,
    fits: Fits = DEFAULT_FITS,
    db: Database = None,
    alias: Alias = None,
    store: StoreUri = None,
    as_json: Json = False,
) -> None:
    """Make a fit a version of MLflow's registered model inter-order; one that is stays as it is."""
    from toolkit.fits import load_fit
    from toolkit.tracking.registration import register_fit
    from toolkit.tracking.registry import set_alias
    from toolkit.tracking.store import open_store

    fitted = load_fit(model, fits)
    data = None if db is None else _fingerprint(db, fitted).to_dict()
    opened = open_store(store)
    ref = register_fit(opened, fitted, data=data)
    if alias is not None:
        ref = set_alias(opened, alias, str(ref.number))
    _show(ref, as_json)


def _fingerprint(db: Path, fitted: "FittedModel") -> "Fingerprint":
    """Of the orders that were known when the model was fitted."""
    import tempfile

    from toolkit.data.fingerprint import Fingerprint
    from toolkit.engine.arguments import parse_date
    from toolkit.errors import ArgumentError
    from toolkit.results.fit import FitCard
    from toolkit.sources.embedded.database import open_database
    from toolkit.sources.sql import as_source

    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        card = FitCard.read(Path(folder))
        if card is None:
            raise ArgumentError(f"{fitted.name} was fitted to nothing: --db does not apply")
        as_of = parse_date(card.as_of_date)
    with open_database(db) as conn:
        return Fingerprint.of(as_source(conn).order_events(as_of))


def _show(ref: "ModelVersionRef", as_json: bool) -> None:
    from toolkit.cli.display import print_json

    if as_json:
        print_json(
            {
                "number": ref.number,
                "fit": ref.fit,
                "uri": ref.uri,
                "run_id": ref.run_id,
                "aliases": list(ref.aliases),
                "converged": ref.converged,
                "complaints": list(ref.complaints),
            }
        )
        return
    typer.echo(f"{ref}: {ref.uri}")
    if ref.complaints:
        typer.echo(f"NOT CONVERGED: {ref.fit}: {'; '.join(ref.complaints)}", err=True)
