"""What a version has to show before it is promoted: settings, checks and their figures."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from toolkit.card import Card, Grid, Shown, Strong
from toolkit.errors import ArgumentError, TrackingError
from toolkit.tracking.evidence import Backtested, Difference, Evidence, find_evidence, formulas_of
from toolkit.tracking.registry import ModelVersionRef, product_thresholds_of, thresholds_of
from toolkit.tracking.store import Store

COVERAGE = "product_week/coverage_80"
"""Share of product-weeks inside the 80 % interval, by PIT: honest for what comes in whole units."""

PIT = "product_week/pit_ks"
UNPROMOTED = "pair_conjugate"
"""The model that engines use while nothing is promoted."""

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """What is demanded. Raises ``ArgumentError`` that lists everything that makes no sense.

    ``least_coverage``, ``most_coverage``: of the share of product-weeks inside their 80 %
    interval. ``most_pit_ks``: Kolmogorov's distance of their PIT from uniform. ``scores``: on
    each of them (names as in ``toolkit compare``) the version must not be worse than the
    incumbent beyond noise and ``margin``, a share of the incumbent's score. ``failed_share``: of
    the version's tasks in the backtest, so many may have failed.
    """

    least_coverage: float = 0.75
    most_coverage: float = 0.85
    most_pit_ks: float = 0.05
    scores: tuple[str, ...] = ("log_loss", "weighted_quantile_loss")
    margin: float = 0.0
    failed_share: float = 0.0

    def __post_init__(self) -> None:
        """Check each of them."""
        problems = list(_problems({name: getattr(self, name) for name in _NAMES}))
        if problems:
            raise ArgumentError("; ".join(problems))

    @classmethod
    def from_toml(cls, path: Path) -> "Gate":
        """The settings in a TOML file, defaults for those it lacks.

        Raises ``ArgumentError`` for a file that cannot be read, and one that lists every unknown
        key and value that is not allowed.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise ArgumentError(f"{path} cannot be read as TOML: {exc}") from exc
        if isinstance(content.get("scores"), list):
            content["scores"] = tuple(content["scores"])
        given = {name: value for name, value in content.items() if name in _NAMES}
        defaults = {field.name: field.default for field in fields(cls)}
        problems = [*_unknown(content), *_problems({**defaults, **given})]
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems)
            count = f"{len(problems)} mistake{'s' if len(problems) > 1 else ''}"
            raise ArgumentError(f"{path} has {count}:\n{listed}")
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Check:
    """One demand: what was found, what is allowed, and if it failed what can be done."""

    name: str
    found: str
    allowed: str
    passed: bool
    remedy: str = ""

    def __str__(self) -> str:
        """``calibrated: 0.91 (allowed: 0.75 to 0.85)``."""
        return f"{self.name}: {self.found} (allowed: {self.allowed})"

    def to_dict(self) -> dict[str, str | float | bool | None]:
        """Plain data, as the history keeps it."""
        return {
            "name": self.name,
            "found": self.found,
            "allowed": self.allowed,
            "passed": self.passed,
        }


@dataclass(frozen=True, slots=True)
class Verdict(Shown):
    """What the gate says of a candidate against the incumbent (``NAME@VERSION``, or NAME)."""

    candidate: ModelVersionRef
    incumbent: str
    evidence: Evidence | None
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether all of them did."""
        return not self.failed

    def to_card(self) -> Card:
        """Every check: what was found, and what is allowed."""
        rows = [
            (
                check.name,
                check.found,
                check.allowed,
                "passed" if check.passed else Strong("FAILED"),
            )
            for check in self.checks
        ]
        heads = ("check", "found", "allowed", "")
        return Card(f"{self.candidate.fit} against {self.incumbent}", grids=[Grid("", heads, rows)])

    def to_dict(self) -> dict[str, object]:
        """The checks and the backtest they rest on, for JSON."""
        evidence = self.evidence
        return {
            "incumbent": self.incumbent,
            "passed": self.passed,
            "evidence": None
            if evidence is None
            else {
                "run_id": evidence.run_id,
                "name": evidence.name,
                "label": evidence.candidate.label,
                "exact": evidence.exact,
            },
            "checks": [{**check.to_dict(), "remedy": check.remedy} for check in self.checks],
        }


def judge(
    store: Store, candidate: ModelVersionRef, champion: ModelVersionRef | None, gate: Gate
) -> Verdict:
    """Check ``candidate`` against the champion, or against ``pair_conjugate`` if there is none.

    Raises ``TrackingError`` where the store cannot be read.
    """
    evidence = find_evidence(store, candidate)
    checks = [
        _converged(candidate),
        _thresholds(store, candidate),
        _backtested(candidate, evidence),
    ]
    if evidence is not None:
        checks += [
            _failed_tasks(evidence, gate),
            _calibrated(evidence, gate),
            _uniform(evidence, gate),
            *_no_worse(candidate, champion, evidence, gate),
        ]
    incumbent = UNPROMOTED if champion is None else champion.fit
    return Verdict(candidate, incumbent, evidence, tuple(checks))


def _converged(ref: ModelVersionRef) -> Check:
    warnings = ref.warnings or ("it says nothing of its convergence",)
    more = f" and {len(warnings) - SHOWN} more" if len(warnings) > SHOWN else ""
    found = "yes" if ref.converged else f"no: {'; '.join(warnings[:SHOWN])}{more}"
    remedy = f"fit it again with more draws or tuning: `toolkit fit {ref.model}`"
    return Check("converged", found, "no warning", ref.converged, remedy)


def _thresholds(store: Store, ref: ModelVersionRef) -> Check:
    remedy = f"`toolkit thresholds RUN --attach {ref.fit}` chooses and attaches them"
    try:
        own = product_thresholds_of(store, ref)
        content = thresholds_of(store, ref) or {}
    except TrackingError as exc:
        return Check("thresholds", str(exc), "attached", False, remedy)
    if own is None:
        return Check("thresholds", "none attached", "attached", False, remedy)
    overall, count = own.overall, len(own.by_product)
    found = (
        f"orders ≥ {overall.min_orders}, confidence ≥ {overall.min_confidence:g}, "
        f"own ones for {count:,} product{'' if count == 1 else 's'}"
    )
    source = f", from backtest {content['evidence']}" if "evidence" in content else ""
    return Check("thresholds", found + source, "attached", True)


def _backtested(ref: ModelVersionRef, evidence: Evidence | None) -> Check:
    allowed = "a complete backtest in the store"
    if evidence is None:
        found = f"{ref.fit} has no backtest, nor has another fit of its model and formulas"
        return Check("backtested", found, allowed, False, "run `toolkit backtest` with it")
    what = "this very fit" if evidence.exact else "other fits of the same model and formulas"
    label = evidence.candidate.label
    return Check("backtested", f"{evidence.name}, {label}: {what}", allowed, True)


def _failed_tasks(evidence: Evidence, gate: Gate) -> Check:
    failed, tasks = evidence.candidate.failed_tasks, evidence.candidate.tasks
    passed = tasks > 0 and failed <= gate.failed_share * tasks
    allowed = f"{100 * gate.failed_share:g} %"
    remedy = "run `toolkit backtest` again: it does what failed once more"
    return Check("failed tasks", f"{failed:,} of {tasks:,}", allowed, passed, remedy)


def _calibrated(evidence: Evidence, gate: Gate) -> Check:
    share = evidence.scores.get(COVERAGE)
    low, high = gate.least_coverage, gate.most_coverage
    passed = share is not None and low <= share <= high
    name = "weeks inside their 80 % interval"
    return Check(name, _shown(share), f"{low:g} to {high:g}", passed, _UNCALIBRATED)


def _uniform(evidence: Evidence, gate: Gate) -> Check:
    distance = evidence.scores.get(PIT)
    passed = distance is not None and distance <= gate.most_pit_ks
    name = "PIT of weeks, distance from uniform"
    return Check(name, _shown(distance), f"at most {gate.most_pit_ks:g}", passed, _UNCALIBRATED)


_UNCALIBRATED = "the model has to change, or the gate's settings: `--gate FILE`"


def _no_worse(
    candidate: ModelVersionRef, champion: ModelVersionRef | None, evidence: Evidence, gate: Gate
) -> Iterator[Check]:
    """A check for each score; one for all where there is nothing to compare."""
    model, version = (UNPROMOTED, None) if champion is None else (champion.model, champion.version)
    against = evidence.find(model, version)
    same = candidate.model == model and _same_formulas(candidate.version, version)
    if same and not _both_were_tried(evidence, against, version):
        yield Check("no worse", "same model and formulas as the incumbent", "–", True)
        return
    if against is None:
        incumbent = model if champion is None else champion.fit
        yield Check(
            "no worse", f"{evidence.name} does not hold the incumbent, {incumbent}",
            "both in one backtest", False, "run `toolkit backtest` with both",
        )  # fmt: skip
        return
    for score in gate.scores:
        yield _no_worse_on(score, evidence, against.label, gate)


def _same_formulas(version: str, other: str | None) -> bool:
    return other is None or formulas_of(version) == formulas_of(other)


def _both_were_tried(evidence: Evidence, against: Backtested | None, version: str | None) -> bool:
    """Whether the very fits, of candidate and champion, were in the backtest."""
    if against is None or against == evidence.candidate:
        return False
    return evidence.exact and against.fits == {version}


def _no_worse_on(score: str, evidence: Evidence, against: str, gate: Gate) -> Check:
    difference = evidence.difference(score, against)
    if difference is None:
        held = ", ".join(evidence.compared) or "no comparison"
        return Check(
            f"no worse on {score}", f"{evidence.name} does not compare it; it holds {held}",
            "compared", False, "`toolkit compare RUN` and `toolkit track RUN` add the comparison",
        )  # fmt: skip
    allowed = gate.margin * abs(difference.value_against)
    passed = difference.low is not None and difference.low <= allowed
    return Check(
        name=f"no worse on {difference.title}",
        found=_compared(difference),
        allowed=f"95 % interval of the difference reaches {allowed:.4g} or below",
        passed=passed,
        remedy=(
            "a backtest with more dates tells them apart" if difference.low is None else
            f"it is worse than {against} beyond noise"
        ),
    )  # fmt: skip


def _compared(difference: Difference) -> str:
    values = f"{difference.value:.4g} against {difference.value_against:.4g}"
    return f"{values}: {_interval(difference)}"


def _interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return f"{difference.difference:+.4g}, too few blocks to tell noise"
    return (
        f"{difference.difference:+.4g} ({100 * difference.share:g} %: "
        f"{difference.low:+.4g} to {difference.high:+.4g})"
    )


def _shown(value: float | None) -> str:
    return "not in the backtest" if value is None else f"{value:.3f}"


_NAMES = tuple(field.name for field in fields(Gate))
_SHARES = ("least_coverage", "most_coverage", "most_pit_ks", "failed_share")


def _unknown(content: Mapping[str, object]) -> Iterator[str]:
    for name in (name for name in content if name not in _NAMES):
        near = get_close_matches(name, _NAMES, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_NAMES)}"
        yield f"{name} is unknown; {hint}"


def _problems(values: Mapping[str, object]) -> Iterator[str]:
    for name in _SHARES:
        if not _within(values[name], 1.0):
            yield f"{name} has to be a number from 0 to 1, got {values[name]!r}"
    if not _within(values["margin"], math.inf):
        yield f"margin has to be a number of at least 0, got {values['margin']!r}"
    least, most = values["least_coverage"], values["most_coverage"]
    if _within(least, 1.0) and _within(most, 1.0) and float(str(least)) > float(str(most)):
        yield f"least_coverage {least} is above most_coverage {most}"
    scores = values["scores"]
    names = isinstance(scores, tuple) and all(isinstance(s, str) and s for s in scores)
    if not names or not scores:
        yield f"scores has to be a list of names, at least one, got {scores!r}"


def _within(value: object, high: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= float(str(value)) <= high and math.isfinite(float(str(value)))
