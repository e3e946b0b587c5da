"""``toolkit compare`` and ``toolkit thresholds``; each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="The folder of a backtest: runs/NAME-KEY.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

COMPARISON, THRESHOLDS = "comparison.json", "thresholds.json"
DEFAULT_RESAMPLES, DEFAULT_SEED = 1000, 20251111
DEFAULT_COVERAGE = 0.8


def compare(
    folder: Run,
    versions: Annotated[
        list[str] | None, typer.Argument(help="Labels of versions, two or more. Default all.")
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option("--score", help="A score; may be repeated. Default all.")
    ] = None,
    resamples: Annotated[
        int, typer.Option("--resamples", help="Of the bootstrap.")
    ] = DEFAULT_RESAMPLES,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = DEFAULT_SEED,
    as_json: Json = False,
) -> None:
    """Which version is better, on what, by how much, and whether that is more than noise.

    The comparison of all versions on all scores is kept in the run's folder, too.
    """
    from backtests.comparison import compare as compare_versions
    from backtests.display_scores import show_comparison
    from backtests.run_folder import RunFolder, write_json
    from toolkit.display import print_json

    run = RunFolder(folder)
    comparison = compare_versions(run, versions or None, score or None, resamples, seed)
    if not versions and not score:
        write_json(folder / COMPARISON, comparison.to_dict())
    if as_json:
        print_json(comparison.to_dict())
    else:
        show_comparison(comparison)


def keep_comparison(folder: Path) -> None:
    """Keep what ``toolkit compare`` says of a run in its folder; nothing of a single version."""
    from backtests.comparison import compare as compare_versions
    from backtests.run_folder import RunFolder, write_json
    from toolkit.errors import ArgumentError

    try:
        comparison = compare_versions(RunFolder(folder))
    except ArgumentError:  # one version, or none that two of them have scored alike
        return
    write_json(folder / COMPARISON, comparison.to_dict())


def thresholds(
    folder: Run,
    version: Annotated[
        list[str] | None, typer.Option("--version", help="A label; may be repeated. Default all.")
    ] = None,
    error: Annotated[
        str, typer.Option("--error", help="What is to be least: miss, days, orders or brier.")
    ] = "miss",
    coverage: Annotated[
        float, typer.Option("--coverage", help="Share of orders that lists have to hold.")
    ] = DEFAULT_COVERAGE,
    verify: Annotated[
        int | None, typer.Option("--verify", help="So many last dates verify. Default a third.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose min_orders and min_confidence on earlier dates, and verify them on later ones.

    The choices for all versions are kept in the run's folder, too.
    """
    from backtests.display_scores import show_thresholds
    from backtests.frontier import grid_of
    from backtests.run_folder import RunFolder, write_json
    from backtests.thresholds import Rule, choose_for_all
    from toolkit.display import print_json

    run = RunFolder(folder)
    rule = Rule(error=error, min_coverage=coverage)
    choices = choose_for_all(run, version or None, rule, verify, grid_of(run))
    content: dict[str, object] = {"choices": [choice.to_dict() for choice in choices]}
    if not version:
        write_json(folder / THRESHOLDS, content)
    if as_json:
        print_json(content)
    else:
        show_thresholds(run, choices)
