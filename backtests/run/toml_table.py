"""A table of a TOML file, read key by key; what is wrong with it is collected, not raised."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from toolkit.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Problems:
    """Everything wrong with a file, in the order it was found."""

    found: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        """One more."""
        self.found.append(f"{where}: {what}")

    def raise_if_any(self, name: str) -> None:
        """``ArgumentError`` that lists them all."""
        if self.found:
            count = f"{len(self.found)} mistake{'s' if len(self.found) > 1 else ''}"
            listed = "\n".join(f"  - {problem}" for problem in self.found)
            raise ArgumentError(f"{name} has {count}:\n{listed}")


@dataclass(frozen=True, slots=True)
class TomlTable:
    """One table, ``path`` deep in the file. Keys that were never asked for are unknown."""

    content: dict[str, Any]
    path: str
    problems: Problems
    asked: set[str] = field(default_factory=set)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it has to be there."""
        value = self._get(key, default)
        if isinstance(value, str) and (value or default == ""):
            return value
        if key in self.content:
            self.problem(key, f"has to be text in quotes, got {value!r}")
        elif default is None:
            self.problem(key, "is missing")
        return default or ""

    def whole(self, key: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self._get(key, default)
        if _is_whole(value, low, high):
            return int(value)
        allowed = f"from {low:,} to {high:,}" if high is not None else f"of at least {low:,}"
        self.problem(key, f"has to be a whole number {allowed}, got {value!r}")
        return default

    def optional_whole(self, key: str, low: int) -> int | None:
        """A whole number of at least ``low``, or None."""
        return self.whole(key, low, low) if self._get(key, None) is not None else None

    def wholes(self, key: str, default: tuple[int, ...], low: int) -> tuple[int, ...]:
        """Ascending whole numbers of at least ``low``."""
        return self._list(
            key,
            default,
            lambda value: _is_whole(value, low, None),
            f"ascending whole numbers of at least {low}",
        )

    def shares(self, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Ascending numbers from 0 to 1."""
        return self._list(key, default, _is_share, "ascending numbers from 0 to 1")

    def share(self, key: str, default: float) -> float:
        """A number above 0, at most 1."""
        value = self._get(key, default)
        if _is_share(value) and value > 0:
            return float(value)
        self.problem(key, f"has to be a number above 0, at most 1, got {value!r}")
        return default

    def choice[Choice: str](self, key: str, allowed: Sequence[Choice], default: Choice) -> Choice:
        """One of a few words."""
        value = self._get(key, default)
        for choice in allowed:
            if value == choice:
                return choice
        known = ", ".join(map(repr, allowed))
        self.problem(key, f"has to be one of {known}, got {value!r}{_nearest(value, allowed)}")
        return default

    def day(self, key: str) -> date | None:
        """A date, in quotes or not; None if there is none."""
        value = self._get(key, None)
        found = None if value is None else _as_date(value)
        if value is not None and found is None:
            self.problem(key, f"has to be a date as 2019-04-01, got {value!r}")
        return found

    def days(self, key: str) -> tuple[date, ...]:
        """A list of dates."""
        values = self._get(key, [])
        found = [_as_date(value) for value in values] if isinstance(values, list) else [None]
        whole = tuple(value for value in found if value is not None)
        if len(whole) < len(found):
            self.problem(key, f"has to be a list of dates as 2019-04-01, got {values!r}")
        return whole

    def numbers(self, key: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """A table of numbers and lists of numbers."""
        content = self._get(key, {})
        found = content.items() if isinstance(content, dict) else [("", None)]
        lists = [(name, value if isinstance(value, list) else [value]) for name, value in found]
        if all(values and all(map(_is_number, values)) for _, values in lists):
            return tuple((name, tuple(map(float, values))) for name, values in lists)
        self.problem(key, f"has to be a table of numbers or lists of them, got {content!r}")
        return ()

    def table(self, key: str, required: bool = False) -> "TomlTable":
        """A table inside; an empty one if it is missing."""
        value = self._get(key, {})
        if not isinstance(value, dict) or (required and not value):
            self.problem(key, "has to be a table" if value else "is missing")
            value = {}
        return TomlTable(value, f"{self.path}{key}.", self.problems)

    def tables(self, key: str) -> "list[TomlTable]":
        """A list of tables, ``[[key]]``."""
        values = self._get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
            self.problem(key, f"has to be a list of tables, [[{key}]]")
            values = []
        return [
            TomlTable(value, f"{self.path}{key}[{number}].", self.problems)
            for number, value in enumerate(values, start=1)
        ]

    def problem(self, key: str, what: str) -> None:
        """Something is wrong with ``key``."""
        self.problems.add(f"{self.path}{key}", what)

    def finish(self) -> None:
        """Whatever is here and was not asked for is unknown."""
        for key in [key for key in self.content if key not in self.asked]:
            self.problem(key, f"is unknown{_nearest(key, sorted(self.asked))}")

    def _get(self, key: str, default: object) -> Any:  # noqa: ANN401  # whatever the file holds
        self.asked.add(key)
        return self.content.get(key, default)

    def _list[Item](
        self, key: str, default: tuple[Item, ...], fits: Callable[[object], bool], allowed: str
    ) -> tuple[Item, ...]:
        values = self._get(key, list(default))
        fitting = isinstance(values, list) and values and all(map(fits, values))
        if fitting and values == sorted(set(values)):
            return tuple(values)
        self.problem(key, f"has to be a list of {allowed}, got {values!r}")
        return default


def _nearest(word: object, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` where something is near."""
    near = get_close_matches(word, known, 1, 0.5) if isinstance(word, str) else []
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def _is_whole(value: object, low: int, high: int | None) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and value >= low and (high is None or value <= high)  # type: ignore[operator]  # a number


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _as_date(value: object) -> date | None:
    if isinstance(value, datetime):
        return None
    if isinstance(value, date):
        return value
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").date()
    except ValueError:
        return None
