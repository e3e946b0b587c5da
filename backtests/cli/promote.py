"""``toolkit promote``; it imports what it needs when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Brief, Json, StoreUri
from toolkit.cli.promotion import EXPORT, Reason

if TYPE_CHECKING:
    from toolkit.tracking.promotion import Promotion, Verdict

Reference = Annotated[
    str, typer.Argument(help="A registered version: inter-order@NUMBER, its fit, or an alias.")
]
GateFile = Annotated[
    Path | None, typer.Option("--gate", help="TOML with what the gate is to demand.")
]
Force = Annotated[bool, typer.Option("--force", help="Whatever the gate says; needs --reason.")]


def promote(
    version: Reference,
    gate: GateFile = None,
    force: Force = False,
    reason: Reason = None,
    store: StoreUri = None,
    brief: Brief = False,
    as_json: Json = False,
) -> None:
    """Make a registered version the champion, which engines and exports take, if the gate lets it.

    It has to have converged, to be calibrated, to have thresholds, and to be no worse than the
    champion beyond noise in its backtest. Exit code 1 if it is refused; nothing has changed then.
    """
    from backtests.evidence.gate import Gate, read_gate
    from toolkit.tracking.promotion import PromotionRefusedError
    from toolkit.tracking.promotion import promote as promote_version
    from toolkit.tracking.store import open_store

    settings = Gate() if gate is None else read_gate(gate)
    try:
        done = promote_version(open_store(store), version, settings, force, reason)
    except PromotionRefusedError as refused:
        _show_refusal(refused.verdict, as_json, brief)
        raise typer.Exit(1) from refused
    _show_promotion(done, as_json, brief)


def _show_promotion(done: "Promotion", as_json: bool, brief: bool) -> None:
    """What a promotion did, and what comes next."""
    from toolkit.cli.display import print_json, print_plain, show_card

    if as_json:
        print_json({"promoted": done.entry is not None, **done.to_dict()})
        return
    if done.entry is None:
        print_plain(str(done))
        return
    if done.verdict is not None and brief:
        passed = [check.name for check in done.verdict.checks if check.passed]
        print_plain(
            f"{len(passed)} of {len(done.verdict.checks)} checks passed: {', '.join(passed)}."
        )
    elif done.verdict is not None:
        show_card(done.verdict.to_card())
    if done.entry.event.action == "force":
        print_plain(f"FORCED against the gate: {done.entry.event.why}")
    print_plain(f"{done}\nNext: {EXPORT}.")


def _show_refusal(verdict: "Verdict", as_json: bool, brief: bool) -> None:
    """What the gate found, and how each failed check can be met."""
    from toolkit.cli.display import print_json, print_plain, show_card

    if as_json:
        version = verdict.candidate.to_dict()
        print_json({"promoted": False, "version": version, **verdict.to_dict()})
        return
    if not brief:
        show_card(verdict.to_card())
    for check in verdict.failed:
        remedy = f" – {check.remedy}" if check.remedy else ""
        print_plain(f"FAILED {check}{remedy}")
    print_plain(
        f"{verdict.candidate} is not promoted. Next: fix the failed checks, "
        "or `--force --reason TEXT`, which the history will tell."
    )
