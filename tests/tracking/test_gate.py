"""The gate: each check passes and fails on its figures, and says what was found and allowed.

The latest backtest of a fit is the one that counts, so that the tests can share a store.
"""

import itertools
import math
from pathlib import Path

import pytest

import toolkit.tracking.runs as runs_module
from backtests.evidence.found import find_evidence
from backtests.evidence.gate import Gate, read_gate
from tests.tracking.evidence import (
    BETTER,
    CHOICE,
    CONJUGATE,
    RHYTHM,
    comparison,
    comparison_of,
    difference,
    log,
)
from tests.tracking.fits import APPROXIMATE, WARNING, rhythm_fit, spread_fit
from toolkit.errors import ArgumentError
from toolkit.model import find_model
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import attach_thresholds, find
from toolkit.tracking.store import open_store

KEYS = (f"{number:08x}" for number in itertools.count())


@pytest.fixture(scope="module")
def shared(empty_store, tmp_path_factory):
    """Version 1: rhythm, with thresholds; 2: another fit of it, unfit; 3: pair_conjugate."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    store = open_store(f"sqlite:///{folder / 'mlflow.db'}")
    register_fit(store, rhythm_fit())
    register_fit(store, rhythm_fit(0.1, warnings=(WARNING, "a", "b", "c")))
    register_fit(store, find_model("pair_conjugate"))
    attach_thresholds(store, "1", CHOICE)
    return store


def judged(store, number=1, champion=None, gate=None, **evidence):
    """The verdict on a version once a backtest was logged, and its checks by name."""
    log(store, next(KEYS), **evidence)
    incumbent = None if champion is None else find(store, str(champion))
    verdict = (gate or Gate()).judge(store, find(store, str(number)), incumbent)
    return verdict, {check.name: check for check in verdict.checks}


def test_a_version_that_has_all_that_is_demanded_passes(shared):
    verdict, checks = judged(shared)
    assert verdict.passed, verdict.failed
    assert list(checks) == [
        "converged",
        "thresholds",
        "backtested",
        "failed tasks",
        "weeks inside their 80 % interval",
        "PIT of weeks, distance from uniform",
        "no worse on title of log_loss",
        "no worse on title of weighted_quantile_loss",
    ]
    assert verdict.incumbent == "pair_conjugate"
    assert checks["thresholds"].found == (
        "orders ≥ 3, confidence ≥ 0.2, own ones for 1 product, from backtest 1bbdf4be"
    )
    assert checks["backtested"].found.endswith(", rhythm: this very fit")
    assert str(checks["no worse on title of log_loss"]) == (
        "no worse on title of log_loss: 0.34 against 0.38: -0.04 (95 %: -0.05 to -0.02) "
        "(allowed: 95 % interval of the difference reaches 0 or below)"
    )


def test_an_unfit_version_without_thresholds_fails_on_both(shared):
    verdict, checks = judged(shared, number=2)
    assert [check.name for check in verdict.failed] == ["converged", "thresholds"]
    assert checks["converged"].found == f"no: {WARNING}; a; b and 1 more"
    assert "toolkit thresholds RUN --attach rhythm@" in checks["thresholds"].remedy
    assert checks["backtested"].found.endswith("other fits of the same model and formulas")


def test_an_approximate_fit_is_refused_and_to_be_sampled(store):
    register_fit(store, rhythm_fit(warnings=(APPROXIMATE,)))
    _, checks = judged(store)
    converged = checks["converged"]
    assert converged.found == f"{APPROXIMATE}; no fit by NUTS of the same data is registered"
    assert (converged.passed, converged.allowed) == (False, "within Monte Carlo error of one")
    assert converged.remedy == "fit it by NUTS: `toolkit fit rhythm`"


@pytest.mark.parametrize(("off", "passes"), [(0.0, True), (0.4, False)])
def test_an_approximate_fit_that_nuts_agrees_with_passes(store, off, passes):
    data = {"sha256": "5ab1e"}
    register_fit(store, spread_fit(1, off, warnings=(APPROXIMATE,)), data=data)
    sampled = register_fit(store, spread_fit(2), data=data)
    converged = judged(store)[1]["converged"]
    assert converged.passed is passes, converged
    assert converged.found.endswith(f"Monte Carlo errors off {sampled.fit}")
    assert converged.allowed == "at most 3.9"  # 1 % for two sides of 51 means and deviations


@pytest.mark.parametrize(
    ("other", "data"),
    [
        (spread_fit(2), {"sha256": "another"}),
        (spread_fit(2), {}),
        (spread_fit(2, warnings=(WARNING,)), {"sha256": "5ab1e"}),
        (spread_fit(2, warnings=(APPROXIMATE,)), {"sha256": "5ab1e"}),
    ],
)
def test_an_approximate_fit_is_compared_with_no_other(store, other, data):
    register_fit(store, spread_fit(1, warnings=(APPROXIMATE,)), data={"sha256": "5ab1e"})
    register_fit(store, other, data=data)
    found = judged(store)[1]["converged"].found
    assert found.endswith("no fit by NUTS of the same data is registered")


def test_thresholds_that_an_engine_cannot_use_fail(shared, store):
    register_fit(store, rhythm_fit())
    attach_thresholds(store, "1", {"min_orders": 2})
    _, checks = judged(store)
    assert not checks["thresholds"].passed
    assert "has thresholds that cannot be used" in checks["thresholds"].found


@pytest.mark.parametrize(("share", "passes"), [(0.749, 0), (0.75, 1), (0.85, 1), (0.851, 0)])
def test_weeks_inside_their_interval(shared, share, passes):
    _, checks = judged(shared, scores={"product_week/coverage_80": share})
    check = checks["weeks inside their 80 % interval"]
    assert (check.passed, check.found) == (bool(passes), f"{share:.3f}")


def test_pit_and_what_was_not_scored(shared):
    scores = {"product_week/pit_ks": 0.051, "product_week/coverage_80": float("nan")}
    verdict, checks = judged(shared, scores=scores)
    assert [check.found for check in verdict.failed] == ["not in the backtest", "0.051"]
    _, checks = judged(shared, scores={"product_week/pit_ks": 0.05})
    assert checks["PIT of weeks, distance from uniform"].passed


@pytest.mark.parametrize(
    ("interval", "margin", "passes"),
    [
        ((-0.01, 0.02), 0.0, True),  # noise
        ((0.001, 0.02), 0.0, False),  # worse
        ((0.001, 0.02), 0.01, True),  # within 1 % of 0.38
        ((0.0039, 0.02), 0.01, False),
        ((math.nan, math.nan), 1.0, False),  # nothing is known
    ],
)
def test_no_worse_than_the_incumbent_beyond_noise(shared, interval, margin, passes):
    gate = Gate(margin=margin)
    verdict, checks = judged(shared, gate=gate, compared=comparison(log_loss=interval))
    assert checks["no worse on title of log_loss"].passed is passes
    assert verdict.passed is passes


@pytest.mark.parametrize(
    ("interval", "turned", "passes"),
    [
        ((0.01, 0.02), "-0.02 to -0.01", True),
        ((-0.01, 0.02), "-0.02 to +0.01", True),
        ((-0.02, -0.01), "+0.01 to +0.02", False),
    ],
)
def test_a_comparison_told_the_other_way_round_is_turned(shared, interval, turned, passes):
    rows = [difference("log_loss", "pair_conjugate", "rhythm", (0.38, 0.34), interval)]
    _, checks = judged(
        shared, gate=Gate(scores=("log_loss",)), compared=comparison_of(rows, share=0.9)
    )
    check = checks["no worse on title of log_loss"]
    assert check.passed is passes
    assert check.found == f"0.34 against 0.38: -0.04 (90 %: {turned})"


def test_scores_that_were_not_compared_fail(shared):
    verdict, _ = judged(shared, gate=Gate(scores=("log_loss", "luck")))
    (failed,) = verdict.failed
    assert failed.name == "no worse on luck"
    assert "it holds log_loss, weighted_quantile_loss" in failed.found
    verdict, _ = judged(shared, is_compared=False)  # no comparison.json
    assert len(verdict.failed) == 2
    assert "it holds no comparison" in verdict.failed[0].found


def test_the_incumbent_has_to_be_in_the_same_backtest(shared):
    alone = {"rhythm": ("rhythm", RHYTHM)}
    verdict, _ = judged(shared, champion=3, versions=alone)
    (failed,) = verdict.failed
    assert failed.found.endswith(f"does not hold the incumbent, pair_conjugate@{CONJUGATE}")
    assert failed.remedy == "run `toolkit backtest` with both"


def test_another_fit_of_the_champions_model_has_nothing_to_be_compared_with(shared):
    verdict, checks = judged(shared, champion=2, versions={"rhythm": ("rhythm", RHYTHM)})
    assert verdict.passed, verdict.failed
    assert checks["no worse"].found == "same model and formulas as the incumbent"


@pytest.mark.parametrize(("interval", "passes"), [((8.0, 9.0), False), (BETTER, True)])
def test_two_fits_of_a_model_that_were_both_tried_are_compared(shared, interval, passes):
    other = rhythm_fit(0.1).version
    rows = [
        difference(score, "rhythm", "before", (0.4, 0.3), interval)
        for score in ("log_loss", "weighted_quantile_loss")
    ]
    verdict, checks = judged(
        shared,
        champion=2,
        versions={"rhythm": ("rhythm", RHYTHM), "before": ("rhythm", other)},
        compared=comparison_of(rows),
    )
    assert "no worse" not in checks
    assert verdict.passed is passes


def test_a_backtest_that_is_being_logged_again_is_no_evidence(shared, monkeypatch):
    key = next(KEYS)
    log(shared, key)
    ref = find(shared, "1")
    assert find_evidence(shared, ref).backtest.name.endswith(key)
    monkeypatch.setattr(runs_module._Logger, "log", lambda *_: pytest.fail("killed"))
    (Path(shared.file.parent) / key / "comparison.json").unlink()
    (Path(shared.file.parent) / key).rmdir()
    with pytest.raises(pytest.fail.Exception, match="killed"):
        log(shared, key, scores={"product_week/coverage_80": 0.2})
    found = find_evidence(shared, ref)
    assert found is None or not found.backtest.name.endswith(key)


def test_tasks_that_failed_are_counted_and_allowed_by_a_setting(shared):
    verdict, _ = judged(shared, failed=1)
    assert [(c.name, c.found, c.allowed) for c in verdict.failed] == [
        ("failed tasks", "2 of 8", "0 %")
    ]
    assert judged(shared, failed=1, gate=Gate(failed_share=0.25))[0].passed


def test_no_evidence_is_a_failed_check(store):
    register_fit(store, rhythm_fit())
    other = rhythm_fit().version.partition("-")[0] + "9-0c24ce95"
    log(store, "aa", versions={"rhythm": ("rhythm", other)})  # other formulas
    log(store, "bb", complete=False)
    verdict = Gate().judge(store, find(store, "1"), None)
    check = next(check for check in verdict.failed if check.name == "backtested")
    assert check.found.startswith(f"rhythm@{RHYTHM} has no backtest")
    assert check.remedy == "run `toolkit backtest` with it"


def test_a_backtest_of_the_very_fit_prevails_over_a_later_one(store):
    ref = register_fit(store, rhythm_fit())
    exact = log(store, "aa")
    nearly = {"rhythm": ("rhythm", RHYTHM.partition("-")[0] + "-00000000")}
    later = log(store, "bb", versions=nearly)
    assert (find_evidence(store, ref).backtest.run_id, find_evidence(store, ref).exact) == (
        exact.run_id,
        True,
    )
    other = register_fit(store, rhythm_fit(0.1))
    assert find_evidence(store, other).backtest.run_id == later.run_id
    both = {"a": nearly["rhythm"], "z": ("rhythm", RHYTHM), "rhythm": nearly["rhythm"]}
    log(store, "cc", versions=both)
    assert find_evidence(store, ref).candidate.label == "z"
    assert find_evidence(store, other).candidate.label == "rhythm"


def test_settings_come_from_a_file(tmp_path):
    (tmp_path / "gate.toml").write_text('most_pit_ks = 0.1\nscores = ["brier"]\nmargin = 1\n')
    gate = read_gate(tmp_path / "gate.toml")
    assert gate == Gate(most_pit_ks=0.1, scores=("brier",), margin=1)


def test_all_that_is_wrong_with_a_file_is_listed(tmp_path):
    file = tmp_path / "gate.toml"
    file.write_text('most_pit = 0.1\nxyz = 1\nmargin = -1\nscores = []\nleast_coverage = "0.7"\n')
    with pytest.raises(ArgumentError) as told:
        read_gate(file)
    said = str(told.value)
    assert said.startswith(f"{file} has 5 mistakes:\n")
    assert "most_pit: is unknown; did you mean 'most_pit_ks'?" in said
    assert "xyz: is unknown; known are failed_share, least_coverage, " in said
    assert "margin: has to be a number of at least 0, got -1" in said
    assert "scores: has to be a list of names, at least one, got []" in said
    assert "least_coverage: has to be a number from 0 to 1, got '0.7'" in said
    file.write_text("margin = ")
    with pytest.raises(ArgumentError, match="is no TOML"):
        read_gate(file)
    file.unlink()
    with pytest.raises(ArgumentError, match="cannot be read: No such file"):
        read_gate(file)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"0\.85 is below least_coverage, 0\.9"):
        Gate(least_coverage=0.9)
