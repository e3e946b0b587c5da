"""What a version has to show before it is promoted: settings, checks and their figures."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from backtests.compare.comparison import Difference
from backtests.evidence.agreement import Agreement, agreement_of
from backtests.evidence.found import Evidence, find_evidence
from backtests.evidence.shadow import find_shadow
from toolkit.card import counted
from toolkit.errors import TrackingError
from toolkit.results.fit import verdict_on
from toolkit.tracking.logged import Backtested, formulas_of
from toolkit.tracking.promotion import BacktestUsed, Check, Verdict
from toolkit.tracking.registry import ModelVersionRef, product_thresholds_of
from toolkit.tracking.store import Store
from toolkit.validation import CLOSED, has_to_be, parse, read_toml

COVERAGE = "product_week/coverage_80"
"""Share of product-weeks inside the 80 % interval, by PIT: honest for what comes in whole units."""

PIT = "product_week/pit_ks"
UNPROMOTED = "pair_conjugate"
"""The model that engines use while nothing is promoted."""

SHOWN = 3

type GateShare = Annotated[float, Field(ge=0, le=1)]
type GateScores = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    has_to_be("a list of names, at least one"),
]


@dataclass(frozen=True, slots=True, config=CLOSED)
class Gate:
    """What is demanded. Raises ``ValueError`` that lists everything that makes no sense.

    ``least_coverage``, ``most_coverage``: of the share of product-weeks inside their 80 %
    interval. ``most_pit_ks``: Kolmogorov's distance of their PIT from uniform. ``scores``: on
    each of them (names as in ``toolkit compare``) the version must not be worse than the
    incumbent beyond noise and ``margin``, a share of the incumbent's score. ``failed_share``: of
    the version's tasks in the backtest, so many may have failed. ``shadow_weeks``: so many weeks
    it has to have been the champion's challenger, scored on the same weeks by ``toolkit watch``.
    """

    least_coverage: GateShare = 0.75
    most_coverage: GateShare = 0.85
    most_pit_ks: GateShare = 0.05
    scores: GateScores = ("log_loss", "weighted_quantile_loss")
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    failed_share: GateShare = 0.0
    shadow_weeks: Annotated[int, Field(ge=0)] = 0

    @field_validator("most_coverage")
    @classmethod
    def _is_above_the_least(cls, most: float, known: ValidationInfo) -> float:
        least = known.data.get("least_coverage", 0.0)
        if most < least:
            raise ValueError(f"{most} is below least_coverage, {least}")
        return most

    def judge(
        self, store: Store, candidate: ModelVersionRef, champion: ModelVersionRef | None
    ) -> Verdict:
        """Check ``candidate`` against the champion, or against ``pair_conjugate`` without one.

        Raises ``TrackingError`` where the store cannot be read.
        """
        evidence = find_evidence(store, candidate)
        checks = [
            _converged(store, candidate),
            _thresholds(store, candidate),
            _backtested(candidate, evidence),
        ]
        if evidence is not None:
            checks += [
                _failed_tasks(evidence, self),
                _calibrated(evidence, self),
                _uniform(evidence, self),
                *_no_worse(candidate, champion, evidence, self),
            ]
        if self.shadow_weeks and champion is not None:
            checks.append(_shadowed(store, candidate, champion, self.shadow_weeks))
        incumbent = UNPROMOTED if champion is None else champion.fit
        return Verdict(candidate, incumbent, _used(evidence), tuple(checks))


def read_gate(path: Path) -> Gate:
    """The settings in a TOML file, defaults for those it lacks.

    Raises ``ArgumentError`` for a file that cannot be read, and one that lists every unknown key
    and value that is not allowed.
    """
    return parse(Gate, read_toml(path), str(path))


def _used(evidence: Evidence | None) -> BacktestUsed | None:
    if evidence is None:
        return None
    backtest = evidence.backtest
    return BacktestUsed(backtest.run_id, backtest.name, evidence.candidate.label, evidence.exact)


def _converged(store: Store, ref: ModelVersionRef) -> Check:
    if verdict_on(ref.warnings) == "approximate":
        return _agrees(ref, agreement_of(store, ref))
    warnings = ref.warnings or ("it says nothing of its convergence",)
    more = f" and {len(warnings) - SHOWN} more" if len(warnings) > SHOWN else ""
    found = "yes" if ref.converged else f"no: {'; '.join(warnings[:SHOWN])}{more}"
    remedy = f"fit it again with more draws or tuning: `toolkit fit {ref.model}`"
    return Check("converged", found, "no warning", ref.converged, remedy)


def _agrees(ref: ModelVersionRef, found: Agreement | None) -> Check:
    """An approximation is as good as the fit by NUTS that it cannot be told from."""
    remedy = f"fit it by NUTS: `toolkit fit {ref.model}`"
    if found is None:
        said = f"{ref.warnings[0]}; no fit by NUTS of the same data is registered"
        return Check("converged", said, "within Monte Carlo error of one", False, remedy)
    said = f"{ref.warnings[0]}; {found}"
    return Check("converged", said, f"at most {found.allowed:.1f}", found.agrees, remedy)


def _thresholds(store: Store, ref: ModelVersionRef) -> Check:
    remedy = f"`toolkit thresholds RUN --attach {ref.fit}` chooses and attaches them"
    try:
        own = product_thresholds_of(store, ref)
    except TrackingError as exc:
        return Check("thresholds", str(exc), "attached", False, remedy)
    if own is None:
        return Check("thresholds", "none attached", "attached", False, remedy)
    overall, count = own.overall, len(own.by_product)
    found = (
        f"orders ≥ {overall.min_orders}, confidence ≥ {overall.min_confidence:g}, "
        f"own ones for {count:,} product{'' if count == 1 else 's'}"
    )
    source = "" if own.evidence is None else f", from backtest {own.evidence}"
    return Check("thresholds", found + source, "attached", True)


def _backtested(ref: ModelVersionRef, evidence: Evidence | None) -> Check:
    allowed = "a complete backtest in the store"
    if evidence is None:
        found = f"{ref.fit} has no backtest, nor has another fit of its model and formulas"
        return Check("backtested", found, allowed, False, "run `toolkit backtest` with it")
    what = "this very fit" if evidence.exact else "other fits of the same model and formulas"
    label = evidence.candidate.label
    return Check("backtested", f"{evidence.backtest.name}, {label}: {what}", allowed, True)


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


def _shadowed(
    store: Store, candidate: ModelVersionRef, champion: ModelVersionRef, weeks: int
) -> Check:
    """Weeks that both forecast before they came, and in which it was no worse beyond noise."""
    shadow = find_shadow(store, candidate, champion)
    found = f"{counted(shadow.weeks, 'week')} scored beside {champion.fit}"
    allowed = f"{counted(weeks, 'week')} or more, no worse beyond noise"
    if shadow.weeks < weeks:
        left = counted(weeks - shadow.weeks, "more week")
        remedy = (
            f"`toolkit register {candidate.fit} --alias challenger`, and `toolkit watch` once a "
            f"week until {left} {'is' if weeks - shadow.weeks == 1 else 'are'} over"
        )
        return Check("shadow", found, allowed, False, remedy)
    worse = shadow.log_loss.is_worse or shadow.crps.is_worse
    remedy = "more weeks tell more; else it is worse than the champion beyond noise"
    return Check("shadow", f"{found}: {shadow}", allowed, not worse, remedy)


_UNCALIBRATED = "the model has to change, or the gate's settings: `--gate FILE`"


def _no_worse(
    candidate: ModelVersionRef, champion: ModelVersionRef | None, evidence: Evidence, gate: Gate
) -> Iterator[Check]:
    """A check for each score; one for all where there is nothing to compare."""
    model, version = (UNPROMOTED, None) if champion is None else (champion.model, champion.version)
    against = evidence.find(model, version)
    formulas = formulas_of(candidate.version if version is None else version)
    same = candidate.model == model and formulas_of(candidate.version) == formulas
    if same and not _both_were_tried(evidence, against, version):
        yield Check("no worse", "same model and formulas as the incumbent", "–", True)
        return
    if against is None:
        incumbent = model if champion is None else champion.fit
        yield Check(
            "no worse", f"{evidence.backtest.name} does not hold the incumbent, {incumbent}",
            "both in one backtest", False, "run `toolkit backtest` with both",
        )  # fmt: skip
        return
    for score in gate.scores:
        yield _no_worse_on(score, evidence, against.label, gate)


def _both_were_tried(evidence: Evidence, against: Backtested | None, version: str | None) -> bool:
    """Whether the very fits, of candidate and champion, were in the backtest."""
    if against is None or against == evidence.candidate:
        return False
    return evidence.exact and against.fits == {version}


def _no_worse_on(score: str, evidence: Evidence, against: str, gate: Gate) -> Check:
    difference = evidence.difference(score, against)
    if difference is None:
        held, name = ", ".join(evidence.compared) or "no comparison", evidence.backtest.name
        return Check(
            f"no worse on {score}", f"{name} does not compare it; it holds {held}", "compared",
            False, "`toolkit compare RUN` and `toolkit track RUN` add the comparison",
        )  # fmt: skip
    allowed = gate.margin * abs(difference.value_against)
    passed = difference.low <= allowed  # not where nothing is known: NaN
    return Check(
        name=f"no worse on {difference.title}",
        found=_compared(difference, evidence.share),
        allowed=f"95 % interval of the difference reaches {allowed:.4g} or below",
        passed=passed,
        remedy=(
            "a backtest with more dates tells them apart" if math.isnan(difference.low) else
            f"it is worse than {against} beyond noise"
        ),
    )  # fmt: skip


def _compared(difference: Difference, share: float) -> str:
    values = f"{difference.value:.4g} against {difference.value_against:.4g}"
    gap, low, high = difference.difference, difference.low, difference.high
    if math.isnan(low):
        return f"{values}: {gap:+.4g}, too few blocks to tell noise"
    return f"{values}: {gap:+.4g} ({100 * share:g} %: {low:+.4g} to {high:+.4g})"


def _shown(value: float | None) -> str:
    return "not in the backtest" if value is None else f"{value:.3f}"
