"""What files leave open is asked in a terminal; a script gets it as an error."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.prompt import Prompt

from toolkit.cli.display import console, print_plain
from toolkit.cli.progress import status
from toolkit.errors import ArgumentError
from toolkit.sources.folder.importer import ImportReport, import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.quarantine import Quarantine
from toolkit.sources.folder.questions import Question, UnsettledError
from toolkit.sources.folder.understood import Understood


def until_settled(
    files: Sequence[Path],
    db: Path | None,
    mapping: OrderMapping,
    quarantine: Quarantine | None,
    told: Callable[[Understood], None],
    may_ask: bool,
) -> ImportReport:
    """Import files; where two readings fit, ask the person at the terminal, if there is one.

    The answers are in the mapping of what was understood. Nothing is open while a question is.
    """
    while True:
        try:
            with status("Importing") as tell:
                return import_orders(
                    files, db, mapping, quarantine=quarantine, progress=tell, told=told
                )
        except UnsettledError as exc:
            if not (may_ask and sys.stdin.isatty() and sys.stdout.isatty()):
                raise
            for question in exc.questions:
                mapping = _answered(question, mapping)


def _answered(question: Question, mapping: OrderMapping) -> OrderMapping:
    """The mapping with what a person chooses; a text that cannot be is asked for again."""
    print_plain(f"{question.asked}.")
    while True:
        settings = _answer(question)
        try:
            return mapping.with_options(settings)
        except ArgumentError as exc:
            if question.answers:
                raise
            print_plain(f"{exc}\n")


def _answer(question: Question) -> dict[str, object]:
    """The settings that a person chooses."""
    if not question.answers:
        return {question.setting: _typed(question)}
    for number, one in enumerate(question.answers, start=1):
        print_plain(f"  {number}  {one.meaning}")
    numbers = [str(number) for number in range(1, len(question.answers) + 1)]
    chosen = _typed(question, numbers)
    return dict(question.answers[int(chosen) - 1].settings)


def _typed(question: Question, choices: list[str] | None = None) -> str:
    """What a person types."""
    words = "Which one?" if choices else question.setting.capitalize()
    try:
        text = Prompt.ask(words, choices=choices, console=console)
    except EOFError:
        raise ArgumentError(
            f"nothing was imported, since a question was left open; {question.remedy}"
        ) from None
    print_plain("")
    return text or ""
