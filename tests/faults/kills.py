"""SIGKILL at any moment of a command, then what a user would do next: nothing lost or silent."""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.backtests.conftest import tables
from tests.conftest import AS_OF
from tests.faults.processes import Command, asked
from tests.faults.scene import DATABASE, NEW_ORDERS, PRODUCTS, Scene, scene, served
from tests.faults.tally import Tally
from toolkit.cache.names import plain_key
from toolkit.cache.releases.catalog import Releases
from toolkit.data.fingerprint import Fingerprint
from toolkit.export import job
from toolkit.fits import load_fit
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source
from toolkit.tracking.history import History, history
from toolkit.tracking.registry import aliases
from toolkit.tracking.store import Store, open_store

LOCK_S = 2.0
"""How long the next export waits for the lock of one that was killed."""

DAY_S = 24 * 3600.0

EXPERIMENT = f"""
name = "killed"
draws = 50
pairs_per_shard = 100
dates.list = [{AS_OF}]
[[versions]]
model = "pair_conjugate"
"""


@dataclass(frozen=True)
class Work:
    """A command to be killed, and the one that follows.

    ``begin`` makes the folder in which it starts, ``look`` says what the kill has left, and
    ``settled`` checks what there is after the next command; both raise ``AssertionError``.
    """

    name: str
    command: tuple[str, ...]
    then: tuple[str, ...]
    begin: Callable[[], Path]
    look: Callable[[Path], str]
    settled: Callable[[Path], None]


SHARES = {
    "promote": 0.25,
    "rollback": 0.2,
    "export": 0.25,
    "import": 0.15,
    "fit": 0.075,
    "backtest": 0.075,
}


def kills(times: int, chance: random.Random) -> Iterator[Tally]:
    """Of all commands that write, one after the other as chance has it."""
    job.LOCK_S = LOCK_S
    with scene() as made:
        works = [make(made) for make in (_promote, _rollback, _export, _import, _fit, _backtest)]
        yield from killed([(work, round(SHARES[work.name] * times)) for work in works], chance)


def killed(wanted: Sequence[tuple[Work, int]], chance: random.Random) -> Iterator[Tally]:
    """A tally for each command, which is killed so many times while the next one is asked for."""
    tallies = [Tally(f"kills in {work.name}") for work, _ in wanted]
    yield from tallies
    whole_s = [_whole(work) for work, _ in wanted]
    order = [place for place, (_, times) in enumerate(wanted) for _ in range(times)]
    chance.shuffle(order)
    for place in order:
        work = wanted[place][0]
        while not _kill(work, tallies[place], whole_s[place], chance):
            pass


def _whole(work: Work) -> float:
    """How long it works where nobody kills it."""
    done = Command(work.begin(), work.command).ended()
    assert done.code == 0, done.said
    return done.work_s


def _kill(work: Work, tally: Tally, whole_s: float, chance: random.Random) -> bool:
    """At any moment; later ones are likelier, as commands write at their end. False if too late."""
    folder = work.begin()
    moment = whole_s * max(chance.random(), chance.random())
    if not Command(folder, work.command).killed(moment):
        return False
    with tally.case(f"after {moment:.2f} s of work"):
        tally.seen[asked(work.look, folder)] += 1
        _grow_old(folder)
        done = Command(folder, work.then).ended()
        assert done.code == 0, f"the next command ended with {done.code}: {done.said}"
        asked(work.settled, folder)
    return True


def _grow_old(folder: Path) -> None:
    """What lies there has for a day: the next command comes at the next night."""
    for path in folder.rglob("*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - DAY_S), follow_symlinks=False)


def _promote(made: Scene) -> Work:
    return Work(
        "promote",
        ("promote", "2"),
        ("history",),
        partial(made.begin, made.first),
        partial(_halfway, 1, 2),
        _history_tells,
    )


def _rollback(made: Scene) -> Work:
    redis = ("--redis", made.server.url)
    return Work(
        "rollback",
        ("rollback", *redis),
        ("rollback", "--to", "1", *redis),
        partial(made.begin, made.second),
        partial(_readers_and_champion, made, 2, 1),
        partial(_all_agree, made, 1, made.by_first),
    )


def _export(made: Scene) -> Work:
    return Work(
        "export",
        made.export,
        made.export,
        partial(made.begin, made.promoted),
        partial(_readers, made),
        partial(_all_agree, made, 2, made.by_second),
    )


def _import(made: Scene) -> Work:
    command = ("import", NEW_ORDERS, "--db", DATABASE)
    folder = made.begin(made.first)
    old = asked(_contents, folder)
    assert Command(folder, command).ended().code == 0
    beside, new = _names(folder), asked(_contents, folder)

    def look(folder: Path) -> str:
        found = _contents(folder)
        assert found in {old, new}, "the database is neither the old nor the new one"
        return "the old database" if found == old else "the new database"

    def settled(folder: Path) -> None:
        assert _contents(folder) == new, "the database is not the new one"
        assert _names(folder) == beside, f"left beside it: {_names(folder) - beside}"

    return Work("import", command, command, partial(made.begin, made.first), look, settled)


def _fit(made: Scene) -> Work:
    command = ("fit", "pooled_gamma", "--db", DATABASE, "--as-of", str(AS_OF))
    command += ("--method", "laplace", "--pairs", "100")
    folder = made.begin(made.first)
    assert Command(folder, command).ended().code == 0
    whole = _names(folder / "fits")

    def look(folder: Path) -> str:
        for path in (folder / "fits").glob("*/[!.]*"):
            load_fit(f"{path.parent.name}@{path.name}", folder / "fits")
            return "the whole fit"
        return "no fit"

    def settled(folder: Path) -> None:
        assert look(folder) == "the whole fit"
        assert _names(folder / "fits") == whole, f"{_names(folder / 'fits') ^ whole}"

    return Work("fit", command, command, partial(made.begin, made.first), look, settled)


def _backtest(made: Scene) -> Work:
    command = ("backtest", "killed.toml", "--db", DATABASE, "--jobs", "1", "--no-log")

    def begin() -> Path:
        folder = made.begin(made.first)
        (folder / "killed.toml").write_text(EXPERIMENT)
        return folder

    folder = begin()
    assert Command(folder, command).ended().code == 0
    (run,) = (folder / "runs").iterdir()
    whole, digits = _names(run), tables(run)

    def look(folder: Path) -> str:
        done = len(list(folder.glob("runs/*/tasks/*/*/[!.]*/task.json")))
        return f"{done} of {len(digits) // 2} tasks done"

    def settled(folder: Path) -> None:
        again = folder / "runs" / run.name
        assert tables(again) == digits, "the tables are not the same, byte for byte"
        assert _names(again) == whole, f"{_names(again) ^ whole}"

    return Work("backtest", command, command, begin, look, settled)


def _store(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder / 'mlflow.db'}")


def _halfway(old: int, new: int, folder: Path) -> str:
    """Before or after the move, or halfway; then the history says so."""
    return halfway(_store(folder), old, new)


def halfway(store: Store, old: int, new: int) -> str:
    """The same of any store."""
    champion, told = aliases(store).get("champion"), history(store)
    assert champion in {old, new}, f"version {champion} is the champion"
    if told.problems:
        return "halfway, and the history says so"
    assert champion == last_move(told), "the alias and the history disagree in silence"
    return "as before" if champion == old else "done"


def _history_tells(folder: Path) -> None:
    agree(_store(folder))


def agree(store: Store) -> None:
    """The aliases, and the last entry of a history in which nothing is wrong."""
    told = history(store)
    assert told.problems == (), "; ".join(told.problems)
    event = next(e.event for e in reversed(told.entries) if e.event.action != "release")
    before = {} if event.from_version is None else {"previous": event.from_version}
    expected = {"champion": event.to_version, **before}
    assert aliases(store) == expected, f"{aliases(store)} where the history says {expected}"


def last_move(told: History) -> int | None:
    """The version that the history made the champion."""
    moves = [e.event.to_version for e in told.entries if e.event.action != "release"]
    return moves[-1] if moves else None


def _readers(made: Scene, folder: Path) -> str:
    """They get one whole release, of the version exported before or of the new champion."""
    releases, said = served(made.server)
    assert len(releases) == 1, f"readers get {len(releases)} releases at once"
    assert said in (made.by_first, made.by_second), "readers get what nobody exported"
    which = "the old release" if said == made.by_first else "the new release"
    told = "" if releases[0] in _released(_store(folder)) else ", which the history does not name"
    return f"{which}{told}"


def _readers_and_champion(made: Scene, old: int, new: int, folder: Path) -> str:
    moved = _halfway(old, new, folder)
    release = "new" if served(made.server)[1] == made.by_second else "old"
    return f"{moved}, readers have the {release} release"


def _all_agree(made: Scene, champion: int, expected: dict[int, str], folder: Path) -> None:
    """The alias, the history, the release that is current, and what readers and plain keys say."""
    store = _store(folder)
    agree(store)
    assert aliases(store)["champion"] == champion, f"version {aliases(store)} is the champion"
    client = made.server.client()
    known = Releases(client)
    release = known.current()
    assert release is not None, "no release is current"
    version = release.details["registered_version"]
    assert version == champion, f"the release is of version {version}"
    releases, said = served(made.server)
    assert releases == (release.release_id,), f"readers get {releases}"
    assert said == expected, "readers get what this version does not say"
    values = client.mget([plain_key(i, AS_OF) for i in PRODUCTS])
    plain = {value and json.loads(value)["release"] for value in values}
    assert plain == {release.release_id}, f"plain keys are of {plain}"
    named = _released(store)
    assert named[-1] == release.release_id, f"the history's last release is {named[-1]}"
    unnamed = {one.release_id for one in known.kept()} - set(named)
    assert not unnamed, f"the history does not name {unnamed}, which readers had"


def _released(store: Store) -> list[str]:
    """The releases that the history names, the latest last."""
    return [e.event.release for e in history(store).entries if e.event.release]


def _contents(folder: Path) -> str:
    with open_database(folder / DATABASE) as conn:
        return Fingerprint.of(as_source(conn).order_events(AS_OF)).sha256


def _names(folder: Path) -> set[str]:
    """Of all that lies in a folder, but for the locks of what was at work."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix != ".lock"}
