"""What files leave open: questions that a person answers, or a setting of the mapping does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.errors import DataError, Finding


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to settle a question: what it means, and the settings that say so.

    ``settings`` are fields of ``OrderMapping``.
    """

    meaning: str
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """Something that two readings fit; ``remedy`` names the option that settles it.

    Without ``answers`` to choose from, the answer is a text, for the ``setting`` of that name.
    """

    asked: str
    remedy: str
    answers: tuple[Answer, ...]
    setting: str = ""

    def __str__(self) -> str:
        """For a script, which cannot answer."""
        return f"{self.asked}: {self.remedy}"


class UnsettledError(DataError):
    """Two readings of the files fit; ``questions`` holds what has to be known."""

    def __init__(
        self, where: str, findings: Sequence[Finding], remedy: str, questions: Sequence[Question]
    ) -> None:
        super().__init__(where, findings, remedy)
        self.questions = tuple(questions)


def choice_of_date(asked: str, orders: Mapping[str, str]) -> Question:
    """Which of some orders of day, month and year dates have; each with what it means."""
    answers = (Answer(said, {"date_format": order}) for order, said in orders.items())
    options = " or ".join(f"--date-format {order}" for order in orders)
    return Question(asked, f"give {options}", tuple(answers))


def choice_of_decimal(asked: str, signs: Mapping[str, str]) -> Question:
    """Which decimal sign numbers have; each with what it means."""
    answers = (Answer(said, {"decimal": sign}) for sign, said in signs.items())
    options = " or ".join(f"--decimal {sign}" for sign in signs)
    return Question(asked, f"give {options}", tuple(answers))


def choice_of_column(field_: str, names: Sequence[str]) -> Question:
    """Which column a field is."""
    listed = " or ".join(names)
    quoted = f'"{names[0]}"' if " " in names[0] else names[0]
    return Question(
        f"{field_} may be {listed}",
        f"choose one with --map {field_}={quoted}",
        tuple(Answer(name, {"columns": {field_: name}}) for name in names),
    )


def choice_of_sheet(file: str, names: Sequence[str]) -> Question:
    """Which sheet of a workbook holds the order lines."""
    quoted = f'"{names[0]}"' if " " in names[0] else names[0]
    return Question(
        f"{file} has several sheets that are filled: {', '.join(names)}",
        f"choose one with --sheet {quoted}",
        tuple(Answer(name, {"sheet": name}) for name in names),
    )


def which_zone(field_: str, example: str, option: str) -> Question:
    """Whose days count, where times are instants."""
    return Question(
        f"{field_} has an offset from UTC ({example}), so that its day depends on the place",
        f"give the time zone of the business, as {option}",
        (),
        "timezone",
    )
