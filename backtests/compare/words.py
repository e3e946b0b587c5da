"""Which version wins on what, in sentences."""

from collections.abc import Iterator, Sequence

from backtests.compare.comparison import Leader, listed

MOST_NAMES = 4


def few(names: Sequence[str]) -> Sequence[str]:
    """The names, or the first and how many others."""
    rest = len(names) - MOST_NAMES
    return names if rest < 2 else [*names[:MOST_NAMES], f"{rest} others"]


def verdicts(leaders: Sequence[Leader], versions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Who is best on something, and the rest of the sentence: first what is beyond noise."""
    by_best: dict[str, list[Leader]] = {}
    for leader in leaders:
        by_best.setdefault(leader.best, []).append(leader)
    for best, led in sorted(by_best.items(), key=lambda item: -len(item[1])):
        alone = [leader.title for leader in led if not leader.level_with]
        if alone:
            others = [version for version in versions if version != best]
            whom = others[0] if len(others) == 1 else "every other version"
            yield best, f"beats {whom} beyond noise on {listed(alone)}."
        for near, titles in _level(led).items():
            yield best, f"is ahead on {listed(titles)}, but level with {listed(few(near))}."


def _level(led: Sequence[Leader]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for leader in led:
        if leader.level_with:
            found.setdefault(leader.level_with, []).append(leader.title)
    return found
