"""What runs longer than a moment shows of itself, on stderr, where that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Tell(Protocol):
    """Is called with how many steps are done, of how many, and what else there is to say."""

    def __call__(self, done: int, total: int, said: str = "") -> None:
        """Shows it."""


WINDOW_SECONDS = 600
"""The time left is estimated from the pace of the last ten minutes."""


@contextmanager
def status(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner while something runs; the yielded function changes its text."""
    with Console(stderr=True).status(f"{title} …") as shown:
        yield lambda stage: shown.update(f"{title}: {stage} …")


@contextmanager
def progress_bar(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar with the time left; the yielded function advances it by so many steps."""
    with _progress() as shown:
        task = shown.add_task(title, total=total)
        yield lambda steps: shown.advance(task, steps)


@contextmanager
def counting_bar(title: str) -> Iterator[Tell]:
    """The same, told how many steps are done, of how many."""
    with _progress() as shown:
        task = shown.add_task(title, total=None)

        def tell(done: int, total: int, said: str = "") -> None:
            shown.update(task, completed=done, total=total, description=said or title)

        yield tell


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=WINDOW_SECONDS,
    )
