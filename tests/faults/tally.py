"""A fault: how often it was caused, how often that was held, and what was seen."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Tally:
    """One line of the table. ``wrong`` lists what did not hold, a sentence for each time."""

    fault: str
    caused: int = 0
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    figures: list[str] = field(default_factory=list)

    @property
    def held(self) -> int:
        """How often nothing was lost and nothing silent."""
        return self.caused - len(self.wrong)

    def told(self) -> str:
        """What was seen, in words."""
        counted = [f"{count:,} × {what}" for what, count in self.seen.most_common()]
        return "; ".join([*self.figures, *counted])

    @contextmanager
    def case(self, what: str) -> Iterator[None]:
        """One time that it is caused; an assertion that fails within did not hold."""
        self.caused += 1
        try:
            yield
        except AssertionError as flaw:
            self.wrong.append(f"{what}: {flaw}")


type Part = Callable[[], Iterator[Tally]]
