"""``toolkit compare`` and ``toolkit thresholds``; each imports what it needs when it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Brief, Json, Run, StoreUri
from toolkit.data.defaults import MIN_COVERAGE, RESAMPLES, SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backtests.run.folder import RunFolder
    from backtests.thresholds.choice import ThresholdChoice
    from toolkit.tracking.registry import ModelVersionRef
    from toolkit.tracking.store import Store


def compare(
    folder: Run,
    versions: Annotated[
        list[str] | None, typer.Argument(help="Labels of versions, two or more. Default all.")
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option("--score", help="A score; may be repeated. Default all.")
    ] = None,
    resamples: Annotated[int, typer.Option("--resamples", help="Of the bootstrap.")] = RESAMPLES,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = SEED,
    brief: Brief = False,
    as_json: Json = False,
) -> None:
    """Which version is better, on what, by how much, and whether that is more than noise.

    The comparison of all versions on all scores is kept in the run's folder, too.
    """
    from backtests.compare.comparison import compare_versions
    from backtests.run.folder import COMPARISON, RunFolder
    from backtests.run.stored import run_at
    from toolkit.cli.display import print_json, print_plain, show_card
    from toolkit.validation import plain, write

    run = RunFolder(run_at(folder))
    comparison = compare_versions(run, versions or None, score or None, resamples, seed)
    if not versions and not score and run.path == folder:  # not a copy of one in a store
        write(folder / COMPARISON, comparison)
    if as_json:
        print_json(plain(comparison))
    elif brief:
        print_plain("\n".join(comparison.to_card().sentences))
    else:
        show_card(comparison.to_card())


def keep_comparison(folder: Path) -> None:
    """Keep what ``toolkit compare`` says of a run in its folder; nothing of a single version."""
    from backtests.compare.comparison import compare_versions
    from backtests.run.folder import COMPARISON, RunFolder
    from toolkit.errors import ArgumentError
    from toolkit.validation import write

    try:
        comparison = compare_versions(RunFolder(folder))
    except ArgumentError:  # one version, or none that two of them have scored alike
        return
    write(folder / COMPARISON, comparison)


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
    ] = MIN_COVERAGE,
    verify: Annotated[
        int | None, typer.Option("--verify", help="So many last dates verify. Default a third.")
    ] = None,
    attach: Annotated[
        str | None,
        typer.Option("--attach", help="A registered version (NAME@VERSION) to attach them to."),
    ] = None,
    store: StoreUri = None,
    brief: Brief = False,
    as_json: Json = False,
) -> None:
    """Choose min_orders and min_confidence on earlier dates, and verify them on later ones.

    The choices for all versions are kept in the run's folder, too. With --attach the one for the
    registered version's model goes with that version from then on, into every engine that takes it.
    """
    from backtests.run.folder import THRESHOLDS, RunFolder
    from backtests.run.stored import run_at
    from backtests.thresholds.choice import KeptChoices, ThresholdRule, choose_for_all
    from backtests.thresholds.overview import thresholds_card
    from toolkit.cli.display import print_json, print_plain, show_card
    from toolkit.validation import plain, write

    run = RunFolder(run_at(folder))
    grid = run.experiment.thresholds
    target = None if attach is None else _target(run, attach, store, version or run.versions)
    rule = ThresholdRule(error=error, min_coverage=coverage)
    choices = choose_for_all(run, version or None, rule, verify, grid)
    kept = KeptChoices(choices)
    if not version and run.path == folder:  # not a copy of one in a store
        write(folder / THRESHOLDS, kept)
    attached = {} if target is None else _attach(target, choices, run.description.key)
    if as_json:
        print_json(plain(kept) | ({"attached": attached} if attached else {}))
    else:
        if brief:
            print_plain("\n".join(map(str, choices)))
        else:
            show_card(thresholds_card(run, choices, grid))
        if target is not None:
            typer.echo(f"Those of {target.label} are attached to {target.ref}.")


@dataclass(frozen=True, slots=True)
class _Target:
    """The registered version to attach thresholds to, and the label whose they are to be."""

    store: "Store"
    ref: "ModelVersionRef"
    label: str


def _target(run: "RunFolder", reference: str, uri: str | None, among: "Sequence[str]") -> _Target:
    from toolkit.tracking.registry import find
    from toolkit.tracking.store import open_store

    store = open_store(uri)
    ref = find(store, reference)
    return _Target(store, ref, _label_of(run, ref, among))


def _attach(target: _Target, choices: "Sequence[ThresholdChoice]", key: str) -> dict[str, object]:
    """Attach the label's choice, with the backtest it rests on; what was attached to what."""
    from toolkit.errors import ArgumentError
    from toolkit.tracking.registry import attach_thresholds

    chosen = [choice for choice in choices if choice.version == target.label]
    if not chosen:
        raise ArgumentError(
            f"no thresholds can be chosen for {target.label}: no pair of it is known"
        )
    attach_thresholds(target.store, target.ref, {**chosen[0].to_dict(), "evidence": key})
    return {"number": target.ref.number, "fit": target.ref.fit, "label": target.label}


def _label_of(run: "RunFolder", ref: "ModelVersionRef", among: "Sequence[str]") -> str:
    """The one label of ``among`` whose model is that of ``ref``."""
    from toolkit.errors import ArgumentError

    models = {v.label: v.model.partition("@")[0] for v in run.experiment.versions}
    labels = [label for label in among if models.get(label) == ref.model]
    if len(labels) == 1:
        return labels[0]
    if labels:
        raise ArgumentError(
            f"{', '.join(labels)} of {run.path} are all {ref.model}: say with --version LABEL "
            f"whose thresholds to attach to {ref}"
        )
    raise ArgumentError(
        f"{run.path} holds nothing of {ref.model} among {', '.join(among)}: thresholds for {ref} "
        "come from a backtest of its model"
    )
