"""What was promoted, rolled back and released: entries that are added, and never changed.

Every entry is a run of its own in an experiment of MLflow, and holds the hash of the entry before
it; the registered model's tag ``history.head`` says which is the last. So an entry that is
changed, taken out or put in does not fit any more, and ``history`` says which.

An entry is written before the aliases move. A kill in between leaves an entry whose version did
not become the champion: ``history`` says that, too, until ``promotion.settle`` completes the move.
"""

import getpass
import hashlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import batched

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from toolkit.card import Card, Grid, Shown
from toolkit.errors import TrackingError
from toolkit.tracking.entries import MOVES, Entry, Event, minute, named
from toolkit.tracking.registry import (
    CHAMPION,
    REGISTERED_MODEL,
    aliases,
    make_registered_model,
    registered_tags,
)
from toolkit.tracking.runs import DESCRIPTION_TAG, search
from toolkit.tracking.store import Store
from toolkit.validation import parse

logger = logging.getLogger(__name__)

EXPERIMENT = "inter-order history"
HEAD_TAG = "history.head"
ENTRY_TAG, SEQUENCE_TAG, HASH_TAG = "history.entry", "history.sequence", "history.hash"
TAG_LENGTH = 4000
"""Of an entry's text, so much goes into one tag: MLflow takes 5,000 characters everywhere."""


@dataclass(frozen=True, slots=True)
class History(Shown):
    """All entries, oldest first; ``problems`` are sentences about what does not fit."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]

    @property
    def champions(self) -> tuple[int, ...]:
        """Numbers of the versions that became the champion, the latest last, each once."""
        numbers = [e.event.to_version for e in self.entries if e.event.action in MOVES]
        return tuple(dict.fromkeys(n for n in reversed(numbers) if n is not None))[::-1]

    def to_card(self) -> Card:
        """All entries, oldest first, and what does not fit."""
        rows = [
            (
                f"{entry.sequence}",
                f"{entry.event.action}\n{minute(entry.when)}\n{entry.who}",
                "\n".join(filter(None, _moved(entry.event))),
                "\n".join(entry.reasons()),
            )
            for entry in self.entries
        ]
        last = f"The last entry has the hash {self.entries[-1].hash}." if self.entries else ""
        return Card(
            title="Promotions and releases" if self.entries else "No promotions and no releases",
            warnings=[f"DOES NOT FIT: {problem}" for problem in self.problems],
            grids=[Grid("", ("", "what, when (UTC), who", "from, to", "why"), rows)],
            sentences=[last] if last else [],
        )


@dataclass(frozen=True, slots=True)
class _Head:
    """The last entry's place and hash, as the registered model's tag says it."""

    sequence: int = 0
    hash: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """What lies in the store: entries that can be read, the head, and what does not fit.

    ``unsealed`` is an entry after the head: whoever wrote it was killed before the head moved.
    """

    entries: tuple[Entry, ...]
    head: _Head
    unsealed: Entry | None
    problems: tuple[str, ...]


def history(store: Store) -> History:
    """All entries, verified against each other, against the head, and the champion there is."""
    with store.errors(), store.alone():  # a promotion is seen before or after, not halfway
        read = _read(store)
        champion = aliases(store).get(CHAMPION)
    return History(read.entries, (*read.problems, *_unlike(read.entries, champion)))


def champions(store: Store) -> tuple[int, ...]:
    """``History.champions``, read without a lock: from a store that cannot be written to, too."""
    with store.errors():
        return History(_read(store).entries, ()).champions


def append(store: Store, event: Event) -> Entry:
    """Add an entry for ``event``; raises ``TrackingError`` if the store does not take it.

    What does not fit in the history there is stays as it is, is logged, and told in the entry.
    """
    with store.errors(), store.alone():
        return append_alone(store, event)


def append_release(store: Store, event: Event) -> Entry | None:
    """The same for a release that readers have, unless the last one in the history is that."""
    with store.errors(), store.alone():
        read = _read(store)
        told = [entry.event.release for entry in read.entries if entry.event.release]
        if told[-1:] != [event.release]:
            return append_alone(store, event)
        _sealed(store, read)
        return None


def append_alone(
    store: Store, event: Event, announce: Callable[[int], None] = lambda sequence: None
) -> Entry:
    """As ``append``, for a caller that holds the store alone.

    ``announce`` is called with the entry's place before it is written.
    """
    read = _read(store)
    noticed = (*read.problems, *_unlike(read.entries, aliases(store).get(CHAMPION)))
    for problem in noticed:
        logger.warning("History: %s", problem)
    head = _sealed(store, read)
    announce(head.sequence + 1)
    entry = _write(store, event, head, noticed)
    _seal(store, _Head(entry.sequence, entry.hash))
    return entry


def last_move(store: Store) -> Entry | None:
    """The last entry that made a version the champion, sealed; for a caller that is alone."""
    read = _read(store)
    _sealed(store, read)
    return _last_move(read.entries)


def _sealed(store: Store, read: _Read) -> _Head:
    """The head, moved on if whoever wrote the last entry was killed before it was."""
    if read.unsealed is None:
        return read.head
    head = _Head(read.unsealed.sequence, read.unsealed.hash)
    _seal(store, head)
    return head


def _write(store: Store, event: Event, head: _Head, noticed: tuple[str, ...]) -> Entry:
    """Make the entry's run, which is there whole or not at all."""
    who, when = _who(), datetime.now(UTC).isoformat(timespec="seconds")
    entry = Entry(head.sequence + 1, event, who, when, noticed, head.hash, "")
    content = asdict(entry)
    del content["hash"]
    text = json.dumps(content, sort_keys=True)
    entry = replace(entry, hash=_hash(text))
    parts = enumerate(map("".join, batched(text, TAG_LENGTH)))
    tags = {f"{ENTRY_TAG}.{number:02}": part for number, part in parts}
    place = {SEQUENCE_TAG: str(entry.sequence), HASH_TAG: entry.hash}
    run = store.client.create_run(
        store.experiment_id(EXPERIMENT),
        tags={**tags, **place, **_shown(entry)},
        run_name=f"{entry.sequence} {event.action}",
    )
    if store.file is None:
        _demand_no_rival(store, run)
    store.client.set_terminated(run.info.run_id)
    return entry


def _shown(entry: Entry) -> dict[str, str]:
    """What MLflow's list of runs shows of an entry: as columns, and as its description."""
    from_version, to_version = _moved(entry.event)
    told = {"from": from_version, "to": to_version, "release": entry.event.release or ""}
    return {
        "action": entry.event.action,
        "who": entry.who[:TAG_LENGTH],
        **{name: value for name, value in told.items() if value},
        DESCRIPTION_TAG: str(entry)[:TAG_LENGTH],
        "mlflow.source.name": f"toolkit {entry.event.action}",
    }


def _demand_no_rival(store: Store, run: Run) -> None:
    """A server has no lock: who sees another entry at its place withdraws."""
    place = run.data.tags[SEQUENCE_TAG]
    if sum(other.data.tags.get(SEQUENCE_TAG) == place for other in _runs(store)) > 1:
        store.client.delete_run(run.info.run_id)
        raise TrackingError(
            f"somebody else wrote entry {place} of the history at the same time", unavailable=True
        )


def _seal(store: Store, head: _Head) -> None:
    """Let the registered model's tag name the last entry."""
    text = f"{head.sequence} {head.hash}"
    try:
        store.client.set_registered_model_tag(REGISTERED_MODEL, HEAD_TAG, text)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        make_registered_model(store)  # a release comes before anything is registered
        store.client.set_registered_model_tag(REGISTERED_MODEL, HEAD_TAG, text)


def _read(store: Store) -> _Read:
    runs = _runs(store)
    read = [(run, _entry(run)) for run in runs]
    unreadable = [
        f"the run {run.info.run_id} ({run.info.run_name}) is no entry that can be read"
        for run, entry in read
        if entry is None
    ]
    entries = tuple(sorted((e for _, e in read if e is not None), key=lambda e: e.sequence))
    changed = [
        f"entry {entry.sequence} was changed after it was written"
        for run, entry in read
        if entry is not None and _hash(_text(run)) != entry.hash
    ]
    head = _head(store)
    unsealed = _after(entries, head)
    said = _Head(unsealed.sequence, unsealed.hash) if unsealed else head
    problems = [*unreadable, *changed, *_breaks(entries), *_end(entries, said)]
    if unsealed:
        problems.append(
            f"entry {unsealed.sequence} was written by somebody who was killed before it was sealed"
        )
    return _Read(entries, head, unsealed, tuple(problems))


def _after(entries: Sequence[Entry], head: _Head) -> Entry | None:
    """The entry that follows the head, if it is the last and the only one that does."""
    last = entries[-1] if entries else None
    fits = last and (last.sequence, last.previous) == (head.sequence + 1, head.hash)
    return last if fits else None


def _breaks(entries: Sequence[Entry]) -> Iterator[str]:
    """Where an entry does not follow the one before it."""
    before = _Head()
    for entry in entries:
        if entry.sequence == before.sequence:
            yield f"entry {entry.sequence} is there twice"
        elif entry.sequence > before.sequence + 1:
            yield _missing(before.sequence + 1, entry.sequence - 1)
        elif entry.previous != before.hash:
            yield f"entry {entry.sequence} was written after another entry {before.sequence}"
        before = _Head(entry.sequence, entry.hash)


def _end(entries: Sequence[Entry], head: _Head) -> Iterator[str]:
    """Where the last entry is not the one that the head names."""
    last = entries[-1].sequence if entries else 0
    if head.sequence > last:
        yield _missing(last + 1, head.sequence)
    elif head.sequence < last:
        named = f"entry {head.sequence}" if head.sequence else "none"
        yield f"entry {last} is the last, and {HEAD_TAG} of {REGISTERED_MODEL} names {named}"
    elif last and entries[-1].hash != head.hash:
        yield f"entry {last} is another one than {HEAD_TAG} of {REGISTERED_MODEL} names"


def _missing(first: int, last: int) -> str:
    return (
        f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
    )


def _unlike(entries: Sequence[Entry], champion: int | None) -> Iterator[str]:
    """Where the champion is not the version that the last entry made it."""
    last = _last_move(entries)
    if champion == (last and last.event.to_version):
        return
    is_champion = "no version is" if champion is None else f"version {champion} is"
    if last is None:
        yield f"{is_champion} the champion, and no entry says how it became that"
        return
    yield (
        f"{is_champion} the champion, though entry {last.sequence} made version "
        f"{last.event.to_version} that: the move was cut short, or the alias moved by other means"
    )


def _last_move(entries: Sequence[Entry]) -> Entry | None:
    return next((e for e in reversed(entries) if e.event.action in MOVES), None)


def _runs(store: Store) -> list[Run]:
    experiment = store.client.get_experiment_by_name(EXPERIMENT)
    return [] if experiment is None else search(store, experiment.experiment_id, "")


def _head(store: Store) -> _Head:
    sequence, _, of_last = registered_tags(store).get(HEAD_TAG, "").partition(" ")
    return _Head(int(sequence), of_last) if sequence.isdecimal() else _Head()


def _entry(run: Run) -> Entry | None:
    """The entry a run holds; None if it holds none."""
    try:
        content = {**json.loads(_text(run)), "hash": run.data.tags.get(HASH_TAG, "")}
        return parse(Entry, content, "the entry")
    except (TypeError, ValueError):
        return None


def _text(run: Run) -> str:
    parts = sorted(name for name in run.data.tags if name.startswith(f"{ENTRY_TAG}."))
    return "".join(run.data.tags[name] for name in parts)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _who() -> str:
    try:
        login = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        login = f"user {os.getuid()}"
    return f"{login}@{socket.gethostname()}"


def _moved(event: Event) -> tuple[str, str]:
    """From which version to which."""
    return named(event.from_version, event.from_fit), named(event.to_version, event.to_fit)
