"""``toolkit rollback`` and ``history``; each imports what it needs when it runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Brief, Json, StoreUri

if TYPE_CHECKING:
    from toolkit.cache.releases.catalog import Release, Releases
    from toolkit.tracking.history import History
    from toolkit.tracking.promotion import Promotion
    from toolkit.tracking.store import Store

EXPORT = "`toolkit export --as-of DATE` makes its forecasts what production reads"

Reason = Annotated[str | None, typer.Option(help="Why; the history keeps it.")]
To = Annotated[
    str | None, typer.Option("--to", help="An earlier champion. Default the one before.")
]
Redis = Annotated[
    str | None, typer.Option("--redis", help="Make its kept release current there, too.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(rollback)
    app.command("history")(show)


def rollback(
    to: To = None,
    reason: Reason = None,
    redis: Redis = None,
    store: StoreUri = None,
    as_json: Json = False,
) -> None:
    """Make the previous champion the champion again; with --redis its kept release, too.

    Nothing is computed. Exit code 1 if that release cannot be made current; the alias has moved
    then, and readers have what they had.
    """
    from toolkit.errors import CacheError
    from toolkit.tracking.promotion import roll_back
    from toolkit.tracking.store import open_store

    opened = open_store(store)
    if redis is None:
        _show_rollback(roll_back(opened, to, reason), None, as_json)
        return
    try:
        with _releases(redis) as releases:  # that it answers is known before anything moves
            done = roll_back(opened, to, reason)
            _show_rollback(done, _activate(opened, releases, done), as_json)
    except CacheError as exc:
        typer.echo(f"Error: {exc}", err=True)
        raise typer.Exit(1) from exc


def show(store: StoreUri = None, brief: Brief = False, as_json: Json = False) -> None:
    """Who promoted, rolled back and released what, when and why, newest last.

    The entries are verified: exit code 1 if one was changed or is missing, or if the champion is
    not the version that the last one made it.
    """
    from toolkit.tracking.history import history
    from toolkit.tracking.promotion import settle
    from toolkit.tracking.store import masked, open_store

    opened = open_store(store)
    settle(opened)
    found = history(opened)
    _show_history(found, masked(opened.uri), as_json, brief)
    for problem in found.problems:
        typer.echo(f"DOES NOT FIT: {problem}", err=True)
    if found.problems:
        raise typer.Exit(1)


def _show_rollback(done: "Promotion", release: "Release | None", as_json: bool) -> None:
    """What a rollback did; ``release`` is the one that is current now, if that was asked."""
    from toolkit.cli.display import answer

    id_, then = None, f"Next: {EXPORT}."
    if release is not None:
        id_ = release.release_id
        then = f"Production reads release {id_}, as of {release.as_of_date}."
    content = {"rolled_back": done.entry is not None, **done.to_dict(), "release": id_}
    answer(f"{done}\n{then}", content, as_json)


def _show_history(found: "History", where: str, as_json: bool, brief: bool) -> None:
    """All entries, oldest first."""
    from toolkit.cli.display import print_json, print_plain, show_card

    card = found.to_card()
    if as_json:
        entries = [entry.to_dict() for entry in found.entries]
        print_json({"entries": entries, "problems": list(found.problems)})
    elif not found.entries:
        print_plain(f"Nothing has been promoted or released in {where} yet.")
    elif brief:
        print_plain("\n".join([*map(str, found.entries), *card.sentences]))
    else:
        show_card(replace(card, warnings=()))  # they go to stderr


@contextmanager
def _releases(url: str) -> "Iterator[Releases]":
    """The releases in the Redis at ``url``."""
    from toolkit.cache.releases.catalog import Releases
    from toolkit.cache.server import connect
    from toolkit.errors import ArgumentError

    with ExitStack() as stack:
        try:
            client = stack.enter_context(connect(url))
        except ValueError as exc:
            raise ArgumentError(str(exc)) from exc
        yield Releases(client)


def _activate(store: "Store", releases: "Releases", done: "Promotion") -> "Release":
    """Make the newest kept release of the champion current, and write it down.

    That of a current one of the champion is left as it is, and written down if nobody has: who made
    it current was killed. ``CacheError`` if none can be.
    """
    from toolkit.errors import CacheError
    from toolkit.tracking.entries import Event
    from toolkit.tracking.history import append_release

    number, moved = done.version.number, f"{done.version} is the champion; "
    release, why = releases.current(), "current already when its version was rolled back to"
    if release is None or release.details.get("registered_version") != number:
        kept = [r for r in releases.kept() if r.details.get("registered_version") == number]
        if not kept:
            raise CacheError(f"{moved}no release of it is kept: `toolkit export` makes one")
        try:
            release = releases.activate(kept[0].release_id)
        except CacheError as exc:
            raise CacheError(f"{moved}its release could not be made current: {exc}") from exc
        why = "made current again by a rollback"
    append_release(
        store,
        Event("release", number, done.version.fit, why=why, release=release.release_id),
    )
    return release
