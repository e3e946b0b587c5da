"""What MLflow's store tells of versions: those registered, how they compare, what was promoted."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from toolkit.card import Card, in_a_line
from toolkit.service.explorer.cells import PageCell, Table
from toolkit.tracking.history import history
from toolkit.tracking.loading import open_if_there
from toolkit.tracking.logged import StoredBacktest, latest_backtests
from toolkit.tracking.registry import ModelVersionRef, versions
from toolkit.tracking.store import Store

MOST_BACKTESTS = 5


@dataclass(frozen=True, slots=True)
class Compared:
    """A backtest: when it began, which version wins on what, and all scores over all dates."""

    name: str
    began: str
    verdicts: tuple[str, ...]
    scores: Table


@dataclass(frozen=True, slots=True)
class Shelf:
    """The versions, and the backtests that compared some, the newest first."""

    registered: Table
    backtests: tuple[Compared, ...]


def shelf(uri: str) -> Shelf:
    """Read from the store at ``uri``; ``TrackingError`` if it is not there, or does not answer."""
    store = _open(uri)
    found = versions(store)
    tried = latest_backtests(store, MOST_BACKTESTS)
    return Shelf(_registered(found), tuple(_compared(one) for one in tried))


def promotions(uri: str) -> Card:
    """What was promoted, rolled back and released, the newest first."""
    card = history(_open(uri)).to_card()
    grids = [replace(grid, rows=tuple(grid.rows)[::-1]) for grid in card.grids]
    return replace(card, grids=grids)


def _open(uri: str) -> Store:
    store = open_if_there(uri, champion=False)
    assert store is not None
    return store


def _registered(found: Sequence[ModelVersionRef]) -> Table:
    heads = ("number", "version", "named", "fitted as of", "converged", "warnings")
    rows = [
        (
            f"{one.number}",
            in_a_line(one.fit),
            ", ".join(one.aliases),
            one.as_of_date or "needs no fit",
            "yes" if one.converged else "no",
            "\n".join(map(in_a_line, one.warnings)),
        )
        for one in reversed(found)
    ]
    return Table("", heads, rows)


def _compared(one: StoredBacktest) -> Compared:
    began = datetime.fromtimestamp(one.started / 1000, UTC)
    return Compared(
        in_a_line(one.name), f"{began:%Y-%m-%d %H:%M}", tuple(_verdicts(one)), _scores(one)
    )


def _verdicts(one: StoredBacktest) -> Iterator[str]:
    """Its sentences, without the marks of Markdown."""
    for line in one.verdicts.splitlines():
        yield in_a_line(line.removeprefix("- ").replace("**", ""))


def _scores(one: StoredBacktest) -> Table:
    """A row a score, a column a version."""
    labels = [tried.label for tried in one.tried]
    by_score: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for label in labels:
        for score, value in one.scores(label).items():
            by_score[score][label] = value
    rows: list[Sequence[PageCell]] = [
        (
            in_a_line(score.replace("/", ": ").replace("_", " ")),
            *(f"{found[label]:,.4g}" if label in found else "–" for label in labels),
        )
        for score, found in sorted(by_score.items())
    ]
    return Table("", ("score", *labels), rows, frozenset(labels))
