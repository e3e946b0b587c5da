"""Making a version the champion, and taking that back: asked, written down, then done.

In this order: the gate is asked, the version loaded, the move announced (a tag of the registered
model), the history gets its entry, ``previous`` moves, then ``champion``, and the tag goes. A kill
in between leaves the old champion and the tag; the next command completes the move: ``settle``.
The gate is the caller's; ``backtests.Gate`` judges by backtests.
"""

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Protocol

from toolkit.card import Card, Grid, Shown, Strong
from toolkit.errors import ArgumentError, TrackingError
from toolkit.model import check_granularities, known_model
from toolkit.tracking.entries import Action, CheckRecord, Entry, Event
from toolkit.tracking.history import append_alone, history, last_move
from toolkit.tracking.loading import load_in_use
from toolkit.tracking.registry import (
    CHAMPION,
    PREVIOUS,
    REGISTERED_MODEL,
    ModelVersionRef,
    aliases,
    find,
    move_aliases,
    registered_tags,
)
from toolkit.tracking.store import Store

logger = logging.getLogger(__name__)

MOVE_TAG = "history.move"
"""A tag of the registered model: the entry whose move of the aliases is under way."""


@dataclass(frozen=True, slots=True)
class Check:
    """One demand: what was found, what is allowed, and if it failed what can be done."""

    name: str
    found: str
    allowed: str
    passed: bool
    remedy: str = ""

    def __str__(self) -> str:
        """``calibrated: 0.91 (allowed: 0.75 to 0.85)``."""
        return f"{self.name}: {self.found} (allowed: {self.allowed})"

    def record(self) -> CheckRecord:
        """As the history keeps it."""
        return CheckRecord(self.name, self.found, self.allowed, self.passed)


@dataclass(frozen=True, slots=True)
class BacktestUsed:
    """The backtest that a verdict rests on; ``label`` is the candidate's there.

    ``exact``: it tried the very fit, else others of the same model and formulas.
    """

    run_id: str
    name: str
    label: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Verdict(Shown):
    """What a gate says of a candidate against the incumbent (``NAME@VERSION``, or NAME)."""

    candidate: ModelVersionRef
    incumbent: str
    evidence: BacktestUsed | None
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether all of them did."""
        return not self.failed

    def to_card(self) -> Card:
        """Every check: what was found, and what is allowed."""
        rows = [
            (
                check.name,
                check.found,
                check.allowed,
                "passed" if check.passed else Strong("FAILED"),
            )
            for check in self.checks
        ]
        heads = ("check", "found", "allowed", "")
        return Card(f"{self.candidate.fit} against {self.incumbent}", grids=[Grid("", heads, rows)])

    def to_dict(self) -> dict[str, object]:
        """The checks and the backtest they rest on, for JSON."""
        return {
            "incumbent": self.incumbent,
            "passed": self.passed,
            "evidence": None if self.evidence is None else asdict(self.evidence),
            "checks": [asdict(check) for check in self.checks],
        }


class Judge(Protocol):
    """A gate: says whether a version may be promoted."""

    def judge(
        self, store: Store, candidate: ModelVersionRef, champion: ModelVersionRef | None
    ) -> Verdict:
        """What speaks for the candidate against the champion, if there is one."""


class PromotionRefusedError(TrackingError):
    """The gate did not let a version pass; ``verdict`` holds every check."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        listed = "; ".join(map(str, verdict.failed))
        super().__init__(
            f"{verdict.candidate} is not promoted: {listed}; `--force --reason TEXT` overrides that"
        )


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was done: ``version`` is the champion now, ``before`` was it.

    ``entry`` is None if nothing had to be done, ``verdict`` if the gate was not asked.
    """

    version: ModelVersionRef
    before: ModelVersionRef | None
    entry: Entry | None
    verdict: Verdict | None = None

    def __str__(self) -> str:
        """Which version is the champion now, and in place of which."""
        if self.entry is None:
            return f"{self.version} is the champion already; nothing has changed."
        before = "" if self.before is None else f" in place of {self.before}, now `previous`"
        return f"{self.version} is the champion{before}."

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "version": self.version.to_dict(),
            "before": None if self.before is None else self.before.to_dict(),
            **({} if self.verdict is None else self.verdict.to_dict()),
            "entry": None if self.entry is None else self.entry.to_dict(),
        }


def promote(
    store: Store,
    reference: str,
    gate: Judge,
    force: bool = False,
    reason: str | None = None,
) -> Promotion:
    """Make the version meant by ``reference`` (as ``find`` takes it) the champion.

    The old one becomes ``previous``. With ``force``, which needs a ``reason``, whatever the gate
    says; the history tells. Nothing is done with what is the champion already. Nothing has moved
    when it raises: ``PromotionRefusedError`` where the gate refuses, ``TrackingError`` if the
    version or its files are not there, or somebody else moved the champion in the meantime,
    ``ModelError`` if its model is not installed, cannot make forecasts, or its files are damaged.
    """
    reason = (reason or "").strip() or None
    if force and reason is None:
        raise ArgumentError("to force a promotion needs a reason: --reason TEXT")
    settle(store)
    candidate, champion = find(store, reference), _named(store, CHAMPION)
    if champion is not None and champion.number == candidate.number:
        return Promotion(champion, champion, None)
    check_granularities(known_model(candidate.model))
    verdict = gate.judge(store, candidate, champion)
    if not verdict.passed and not force:
        raise PromotionRefusedError(verdict)
    action: Action = "promote" if verdict.passed else "force"
    evidence = verdict.evidence
    event = replace(
        _event(action, champion, candidate),
        why=reason or "passed the gate",
        evidence=None if evidence is None else evidence.run_id,
        checks=tuple(check.record() for check in verdict.checks),
    )
    return _move(store, champion, candidate, event, verdict)


def roll_back(
    store: Store, to: str | None = None, reason: str | None = None, release: str | None = None
) -> Promotion:
    """Make the previous champion, or the earlier one meant by ``to``, the champion again.

    The one it replaces becomes ``previous``; the gate is not asked. ``release`` is for the
    history. Nothing is done with what is the champion already. Raises ``TrackingError`` if there
    is no previous champion, ``to`` never was one, or it cannot be loaded.
    """
    settle(store)
    champion = _named(store, CHAMPION)
    if champion is None:
        raise TrackingError(
            "no version is the champion: there is nothing to roll back; `toolkit promote NAME` "
            "makes a registered version the champion"
        )
    target = _previous(store, champion) if to is None else _earlier(store, to)
    if target.number == champion.number:
        return Promotion(champion, champion, None)
    event = replace(_event("rollback", champion, target), why=reason, release=release)
    return _move(store, champion, target, event, None)


def set_alias(store: Store, alias: str, reference: str) -> ModelVersionRef:
    """Let ``alias`` name the version meant by ``reference``, whatever it named before.

    Nothing moves if an engine could not use the version: raises as ``load_in_use`` does.
    """
    settle(store)
    ref = find(store, reference)
    load_in_use(store, ref)
    move_aliases(store, {alias: ref.number}, expected={})
    return find(store, str(ref.number))


def _move(
    store: Store,
    champion: ModelVersionRef | None,
    target: ModelVersionRef,
    event: Event,
    verdict: Verdict | None,
) -> Promotion:
    load_in_use(store, target)  # what an engine could not use becomes no champion
    seen = None if champion is None else champion.number
    entries: list[Entry] = []
    move_aliases(
        store,
        _moves(event),
        expected={CHAMPION: seen},
        before=lambda: entries.append(append_alone(store, event, partial(_announce, store))),
    )
    with store.errors():
        store.client.delete_registered_model_tag(REGISTERED_MODEL, MOVE_TAG)
    return Promotion(find(store, str(target.number)), champion, entries[0], verdict)


def settle(store: Store) -> Entry | None:
    """Complete the promotion or rollback that was cut short, as its entry says; the entry.

    None if none was, or if somebody else has moved the champion since. A store without an
    unfinished move is only read.
    """
    with store.errors():
        if _announced(store) is None:
            return None
        with store.alone():  # whoever is at it has done by then
            place, entry = _announced(store), last_move(store)
            if place is None:
                return None
            champion = aliases(store).get(CHAMPION)
            if entry and entry.sequence == place and champion == entry.event.from_version:
                for alias, number in _moves(entry.event).items():
                    store.client.set_registered_model_alias(REGISTERED_MODEL, alias, str(number))
                logger.warning("Entry %d of the history was cut short; it is done now", place)
            else:
                entry = None
            store.client.delete_registered_model_tag(REGISTERED_MODEL, MOVE_TAG)
    return entry


def _announce(store: Store, sequence: int) -> None:
    store.client.set_registered_model_tag(REGISTERED_MODEL, MOVE_TAG, str(sequence))


def _announced(store: Store) -> int | None:
    """The place of the entry whose move was begun, and not ended."""
    place = registered_tags(store).get(MOVE_TAG, "")
    return int(place) if place.isdecimal() else None


def _moves(event: Event) -> dict[str, int | None]:
    """Which aliases name what after a promotion or rollback, that of the champion last."""
    before = {} if event.from_version is None else {PREVIOUS: event.from_version}
    return {**before, CHAMPION: event.to_version}


def _event(action: Action, champion: ModelVersionRef | None, target: ModelVersionRef) -> Event:
    return Event(
        action=action,
        to_version=target.number,
        to_fit=target.fit,
        from_version=None if champion is None else champion.number,
        from_fit=None if champion is None else champion.fit,
    )


def _named(store: Store, alias: str) -> ModelVersionRef | None:
    """The version an alias names; None if it names none."""
    number = aliases(store).get(alias)
    return None if number is None else find(store, str(number))


def _previous(store: Store, champion: ModelVersionRef) -> ModelVersionRef:
    previous = _named(store, PREVIOUS)
    if previous is None or previous.number == champion.number:
        raise TrackingError(
            f"{champion} has no previous champion to roll back to{_others(store, champion.number)}"
        )
    return previous


def _earlier(store: Store, reference: str) -> ModelVersionRef:
    """The version meant, if it was the champion before."""
    ref = find(store, reference)
    if ref.number not in history(store).champions and not {CHAMPION, PREVIOUS} & set(ref.aliases):
        raise TrackingError(
            f"{ref} never was the champion, so there is no way back to it: `toolkit promote` asks "
            f"whether it may be{_others(store, ref.number)}"
        )
    return ref


def _others(store: Store, number: int) -> str:
    """Which versions were champions, for messages."""
    champions = [str(n) for n in history(store).champions if n != number]
    return f"; champions were {', '.join(champions)} (`--to VERSION`)" if champions else ""
