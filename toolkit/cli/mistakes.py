"""All that is wrong with a command, told at once: options, names, files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from toolkit.errors import ArgumentError, DataError, ModelError, ToolkitError


class Mistakes:
    """What is wrong with a command, as far as it was looked at."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def of[**Given, Made](
        self, make: Callable[Given, Made], *given: Given.args, **named: Given.kwargs
    ) -> Made | None:
        """What ``make`` makes; None where it refuses what it is given, and what it says is kept."""
        try:
            return make(*given, **named)
        except (ArgumentError, DataError, ModelError) as exc:
            self.said.append(str(exc))
            return None

    def refuse(self) -> None:
        """Raise ``ArgumentError`` with all that is wrong, if anything is."""
        said, self.said = self.said, []
        if said:
            raise ArgumentError("\n".join(said))


@contextmanager
def told_at_once() -> Iterator[Mistakes]:
    """Mistakes to be gathered; what ends the command before they are refused is told with them."""
    wrong = Mistakes()
    try:
        yield wrong
    except ToolkitError as exc:
        if not wrong.said:
            raise
        wrong.said.append(str(exc))
    wrong.refuse()
