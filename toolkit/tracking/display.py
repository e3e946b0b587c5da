"""What promotions and the history show a person, or as JSON a script."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from toolkit.cli.display import console, print_json, print_plain
from toolkit.results.html import Card, Grid
from toolkit.tracking.gate import Verdict
from toolkit.tracking.history import Entry, History
from toolkit.tracking.promotion import Promotion
from toolkit.tracking.registry import THRESHOLDS_TAG, ModelVersionRef

if TYPE_CHECKING:
    from toolkit.cache.releases.catalog import Release

EXPORT = "`toolkit export --as-of DATE` makes its forecasts what production reads"
ABBREVIATED = 12
COMPLAINTS = "complaints"


def show_promotion(done: Promotion, as_json: bool, brief: bool = False) -> None:
    """What a promotion did, and what comes next."""
    if as_json:
        print_json({"promoted": done.entry is not None, **_promotion(done)})
        return
    if done.entry is None:
        print_plain(f"{done.version} is the champion already; nothing has changed.")
        return
    if done.verdict is not None and not brief:
        console.print(_checks(done.verdict))
    if done.verdict is not None and brief:
        passed = [check.name for check in done.verdict.checks if check.passed]
        print_plain(
            f"{len(passed)} of {len(done.verdict.checks)} checks passed: {', '.join(passed)}."
        )
    if done.entry.event.action == "force":
        print_plain(f"FORCED against the gate: {done.entry.event.why}")
    print_plain(f"{_champion(done)}\nNext: {EXPORT}.")


def show_refusal(verdict: Verdict, as_json: bool, brief: bool = False) -> None:
    """What the gate found, and how each failed check can be met."""
    if as_json:
        print_json({"promoted": False, "version": _ref(verdict.candidate), **_verdict(verdict)})
        return
    if not brief:
        console.print(_checks(verdict))
    for check in verdict.failed:
        way_out = f" – {check.way_out}" if check.way_out else ""
        print_plain(f"FAILED {check}{way_out}")
    print_plain(
        f"{verdict.candidate} is not promoted. Next: fix the failed checks, "
        "or `--force --reason TEXT`, which the history will tell."
    )


def show_rollback(done: Promotion, release: "Release | None", as_json: bool) -> None:
    """What a rollback did; ``release`` is the one that is current now, if that was asked."""
    if as_json:
        id_ = None if release is None else release.release_id
        print_json({"rolled_back": done.entry is not None, **_promotion(done), "release": id_})
        return
    if done.entry is None:
        print_plain(f"{done.version} is the champion already; nothing has changed.")
    else:
        print_plain(_champion(done))
    if release is None:
        print_plain(f"Next: {EXPORT}.")
    else:
        print_plain(f"Production reads release {release.release_id}, as of {release.as_of_date}.")


def show_history(found: History, where: str, as_json: bool, brief: bool = False) -> None:
    """All entries, newest last, and loudly what does not fit."""
    if as_json:
        entries = [_entry(entry) for entry in found.entries]
        print_json({"entries": entries, "problems": list(found.problems)})
        return
    if found.entries:
        if brief:
            print_plain("\n".join(map(_line, found.entries)))
        else:
            console.print(_entries(found))
        print_plain(f"The last entry has the hash {found.entries[-1].hash}.")
    else:
        print_plain(f"Nothing has been promoted or released in {where} yet.")


def version_table(ref: ModelVersionRef) -> Table:
    """What the registry says of a version, for a console of Rich's own."""
    table = Table(
        title=_literal(str(ref)), title_justify="left", title_style="bold", pad_edge=False,
        show_header=False,
    )  # fmt: skip
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(ref):
        table.add_row(name, _literal(value))
    return table


def version_card(ref: ModelVersionRef) -> Card:
    """What the registry says of a version, for a notebook."""
    rows = _facts(ref)
    return Card(
        title=str(ref),
        warnings=[f"Not converged: {complaint}" for complaint in ref.complaints],
        grids=[Grid("", ("", ""), [row for row in rows if row[0] != COMPLAINTS])],
    )


def _facts(ref: ModelVersionRef) -> list[tuple[str, str]]:
    """Name and value of what is known of a version."""
    known = {
        "aliases": ", ".join(ref.aliases) or "none",
        "fitted as of": ref.as_of_date or "needs no fit",
        "converged": "yes" if ref.converged else "no",
        COMPLAINTS: "\n".join(ref.complaints),
        "thresholds": "attached" if THRESHOLDS_TAG in ref.tags else "none",
        "run": ref.run_id,
        "loads from": ref.uri,
    }
    return [(name, value) for name, value in known.items() if value]


def _champion(done: Promotion) -> str:
    before = "" if done.before is None else f" in place of {done.before}, now `previous`"
    return f"{done.version} is the champion{before}."


def _checks(verdict: Verdict) -> Table:
    table = Table(
        title=f"{_literal(verdict.candidate.fit)} against {_literal(verdict.incumbent)}",
        title_justify="left", title_style="bold", pad_edge=False,
    )  # fmt: skip
    for name in ("check", "found", "allowed"):
        table.add_column(name, overflow="fold")
    table.add_column("", no_wrap=True)
    for check in verdict.checks:
        passed = "passed" if check.passed else "[bold red]FAILED[/bold red]"
        table.add_row(_literal(check.name), _literal(check.found), check.allowed, passed)
    return table


def _entries(found: History) -> Table:
    table = Table(pad_edge=False, show_lines=True)
    table.add_column("")
    table.add_column("what, when (UTC), who", overflow="fold")
    table.add_column("from, to", no_wrap=True)
    table.add_column("why", overflow="fold")
    for entry in found.entries:
        event = entry.event
        before = _version(event.from_version, event.from_fit)
        table.add_row(
            str(entry.sequence),
            f"{event.action}\n{entry.when[:19].replace('T', ' ')}\n{_literal(entry.who)}",
            "\n".join(filter(None, [before, _version(event.to_version, event.to_fit)])),
            "\n".join(map(_literal, _reasons(entry))),
        )
    return table


def _line(entry: Entry) -> str:
    event = entry.event
    when = entry.when[:16].replace("T", " ")
    versions = _version(event.to_version, event.to_fit)
    return (
        f"{entry.sequence}  {when}  {event.action:<9} {versions:<26} {'; '.join(_reasons(entry))}"
    )


def _reasons(entry: Entry) -> Iterator[str]:
    """Why, on what evidence, with what effect, and what did not fit."""
    event = entry.event
    if event.why:
        yield event.why
    failed = [str(check["name"]) for check in event.checks if not check["passed"]]
    if failed:
        yield f"in spite of: {', '.join(failed)}"
    if event.evidence:
        yield f"evidence: run {event.evidence[:ABBREVIATED]}"
    if event.release:
        yield f"release {event.release}"
    for notice in entry.noticed:
        yield f"NOTICED: {notice}"


def _version(number: int | None, fit: str | None) -> str:
    return _literal(" ".join(filter(None, [None if number is None else str(number), fit])))


def _promotion(done: Promotion) -> dict[str, object]:
    return {
        "version": _ref(done.version),
        "before": None if done.before is None else _ref(done.before),
        **({} if done.verdict is None else _verdict(done.verdict)),
        "entry": None if done.entry is None else _entry(done.entry),
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    evidence = verdict.evidence
    return {
        "incumbent": verdict.incumbent,
        "passed": verdict.passed,
        "evidence": None
        if evidence is None
        else {
            "run_id": evidence.run_id,
            "name": evidence.name,
            "label": evidence.candidate.label,
            "exact": evidence.exact,
        },
        "checks": [{**check.to_dict(), "way_out": check.way_out} for check in verdict.checks],
    }


def _entry(entry: Entry) -> Mapping[str, object]:
    content = asdict(entry)
    event = content.pop("event")
    return {**content, **event}


def _ref(ref: ModelVersionRef) -> dict[str, object]:
    return {"number": ref.number, "fit": ref.fit, "aliases": list(ref.aliases)}


def _literal(text: str) -> str:
    return text.replace("[", r"\[")
