"""The experiments that come with the toolkit, by their names."""

from pathlib import Path

from toolkit.errors import ArgumentError


def shipped_experiments() -> dict[str, Path]:
    """Their files by name: in a wheel inside ``backtests``, in a checkout in ``experiments/``.

    >>> sorted(shipped_experiments())
    ['peers', 'quick', 'versions']
    """
    package = Path(__file__).parents[1]
    inside = package / "experiments"
    folder = inside if inside.is_dir() else package.parent / "experiments"
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def find_experiment(asked: Path) -> Path:
    """The file that is ``asked`` for: by its path, or a shipped experiment by its bare name.

    Raises ``ArgumentError`` with the names there are where it is neither.
    """
    shipped = shipped_experiments()
    if asked.is_file():
        return asked
    if str(asked) in shipped:
        return shipped[str(asked)]
    names = ", ".join(shipped)
    raise ArgumentError(
        f"there is no experiment {asked}: name a TOML file, or one that is shipped: {names}"
    )
