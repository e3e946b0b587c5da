"""How the fits went, and what failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backtests.run.folder import FAILED, Json, RunFolder
from toolkit.results.fit import FitCard

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class ReportedFit:
    """A fit, and the version and dates that predicted with it."""

    version: str
    model: str
    fit: str
    dates: tuple[str, ...]
    as_of_date: str | None  # what was known before it, it learned from
    pairs: int | None
    diagnostics: Mapping[str, float | str]
    warnings: tuple[str, ...]
    checks: Sequence[Json] = field(default=())


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """What went wrong in the same way, how often, and in which dates."""

    version: str
    what: str
    count: int
    unit: str
    dates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What a version's tasks came to."""

    version: str
    tasks: int
    failed_tasks: int
    pairs: int
    product_weeks: int
    failed_rows: int
    seconds: float


def fits_of(run: RunFolder, cards: Sequence[Json]) -> tuple[ReportedFit, ...]:
    """The fits that the tasks used, by version and first date; models without a fit have none."""
    used: dict[tuple[str, str, str], list[Json]] = {}
    for card in cards:
        if card["diagnostics"] or card["warnings"]:
            key = card["version"], card["model"], str(card["model_version"])
            used.setdefault(key, []).append(card)
    return tuple(_fit(run, key, tasks) for key, tasks in used.items())


def work_of(run: RunFolder, cards: Sequence[Json]) -> tuple[Work, ...]:
    """A row per version."""
    return tuple(_work(v, [card for card in cards if card["version"] == v]) for v in run.versions)


def failures_of(cards: Sequence[Json]) -> tuple[ReportedFailure, ...]:
    """Failed tasks by version and error, then rows that were left out, with examples."""
    errors: dict[tuple[str, str], list[Json]] = {}
    for card in cards:
        if card["status"] == FAILED:
            errors.setdefault((card["version"], str(card["error"])), []).append(card)
    tasks = tuple(
        ReportedFailure(version, error, len(found), "tasks", _dates(found))
        for (version, error), found in errors.items()
    )
    return tasks + tuple(_failed_rows(cards))


def _failed_rows(cards: Sequence[Json]) -> Iterator[ReportedFailure]:
    for version in dict.fromkeys(card["version"] for card in cards):
        found = [c for c in cards if c["version"] == version and c.get("failed_rows")]
        if found:
            examples = [str(text) for card in found for text in card["failures"]][:EXAMPLES]
            count = sum(card["failed_rows"] for card in found)
            yield ReportedFailure(version, "; ".join(examples), count, "rows", _dates(found))


def _fit(run: RunFolder, key: tuple[str, str, str], tasks: Sequence[Json]) -> ReportedFit:
    version, model, fit = key
    card = FitCard.read(run.fits / model / fit) or FitCard()
    return ReportedFit(
        version=version,
        model=model,
        fit=fit,
        dates=_dates(tasks),
        as_of_date=card.as_of_date,
        pairs=card.pairs,
        diagnostics=tasks[0]["diagnostics"] or {},
        warnings=tuple(tasks[0]["warnings"]),
        checks=tuple(map(dict, card.checks)),
    )


def _work(version: str, cards: Sequence[Json]) -> Work:
    return Work(
        version=version,
        tasks=len(cards),
        failed_tasks=sum(card["status"] == FAILED for card in cards),
        pairs=_rows(cards, "pairs"),
        product_weeks=_rows(cards, "product_weeks"),
        failed_rows=sum(card.get("failed_rows") or 0 for card in cards),
        seconds=sum(card["seconds"] for card in cards),
    )


def _rows(cards: Sequence[Json], table: str) -> int:
    return sum(int((card["rows"] or {}).get(table) or 0) for card in cards)


def _dates(cards: Sequence[Json]) -> tuple[str, ...]:
    return tuple(sorted({str(card["as_of_date"]) for card in cards}))
