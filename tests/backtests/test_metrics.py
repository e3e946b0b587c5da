"""Every score: numbers worked out by hand, a slow twin, and what it promises."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from backtests.scores import calibration, metrics
from tests.backtests import slow_metrics as slow
from tests.chance import assert_share, error_of_mean, p_limit, z_limit
from toolkit.data.tables import QUANTILES
from toolkit.errors import ArgumentError

N, WEEKS, DRAWS = 60, 5, 7


@pytest.fixture
def rng(seeded):
    return np.random.default_rng(seeded(4))


@pytest.fixture
def rows(rng):
    """Asymmetric rows of everything that is scored, ties and both ends among them."""
    quantity = rng.gamma(0.7, 9, N).round(1)
    draws = rng.gamma(0.6, 11, (N, DRAWS)).round(0)
    quantity[:10] = draws[:10, 2]  # ties
    probability = rng.dirichlet([2.0, 1.0, 0.5, 0.2], N)
    return {
        "p_by_week": np.sort(rng.random((N, WEEKS)), axis=1),
        "week": rng.integers(0, WEEKS + 1, N),
        "u": rng.random(N),
        "draws": draws,
        "actual": quantity,
        "probability": probability,
        "count": rng.integers(0, 7, N),
        "p": np.concatenate([[0.0, 1.0], rng.beta(1, 3, N - 2).round(1)]),
        "y": rng.integers(0, 2, N),
        "expected": np.concatenate([[0.0], rng.gamma(1, 2, N - 1)]),
        "quantiles": np.sort(rng.gamma(0.6, 11, (N, 7)), axis=1),
        "levels": QUANTILES,
    }


def metric(name):
    return getattr(metrics, name, None) or getattr(calibration, name)


TWINS = {
    "crps_truncated": (slow.crps_truncated, ("p_by_week", "week")),
    "crps_counts": (slow.crps_counts, ("probability", "count")),
    "crps_draws": (slow.crps_draws, ("draws", "actual")),
    "randomized_pit_weeks": (slow.pit_weeks, ("p_by_week", "week", "u")),
    "randomized_pit_draws": (slow.pit_draws, ("draws", "actual", "u")),
    "log_loss": (slow.log_loss, ("p", "y")),
    "brier": (slow.brier, ("p", "y")),
    "poisson_deviance": (slow.poisson_deviance, ("expected", "count")),
    "pinball": (slow.pinball, ("quantiles", "levels", "actual")),
    "weighted_quantile_loss": (slow.weighted_quantile_loss, ("quantiles", "levels", "actual")),
    "wape": (slow.wape, ("expected", "actual")),
    "bias": (slow.bias, ("expected", "actual")),
    "auc": (slow.auc, ("p", "y")),
    "ks_uniform": (slow.ks_uniform, ("u",)),
}


@pytest.mark.parametrize("name", TWINS)
def test_agrees_with_its_slow_twin(name, rows):
    twin, arguments = TWINS[name]
    given = [rows[argument] for argument in arguments]
    plain = [np.asarray(value).tolist() for value in given]
    np.testing.assert_allclose(metric(name)(*given), twin(*plain), rtol=1e-9)


@pytest.mark.parametrize("bins", [1, 3, 10, 200])
def test_calibration_error_agrees_with_its_slow_twin(rows, bins):
    p, y = rows["p"], rows["y"]
    expected = slow.calibration_error(p.tolist(), y.tolist(), bins)
    assert calibration.expected_calibration_error(p, y, bins) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_agrees_with_its_slow_twin(rows, level):
    assert calibration.coverage(rows["u"], level) == slow.coverage(rows["u"].tolist(), level)


def test_crps_by_hand():
    # (0.1−0)² + (0.4−1)² + (0.7−1)² = 0.46; none by the horizon: 0.01 + 0.16 + 0.49
    p = [[0.1, 0.4, 0.7], [0.1, 0.4, 0.7]]
    np.testing.assert_allclose(metrics.crps_truncated(p, [1, 3]), [7 * 0.46, 7 * 0.66])
    # F = 0.2, 0.5, 0.9; count 2: 0.04 + 0.25 + 0.01; 7 is in the last class: 0.04 + 0.25 + 0.81
    probability = [[0.2, 0.3, 0.4, 0.1]] * 2
    np.testing.assert_allclose(metrics.crps_counts(probability, [2, 7]), [0.30, 1.10])
    # draws 1, 4, 10 and 2: distances 1, 2, 8 → 11/3; apart 3, 9, 6 → 2·18/9/2 = 2
    np.testing.assert_allclose(metrics.crps_draws([[4, 10, 1]], [2]), [11 / 3 - 2])


def test_pit_by_hand():
    p = [[0.1, 0.4, 0.7]] * 3
    pit = calibration.randomized_pit_weeks(p, [0, 2, 3], [0.5, 0.5, 0.1])
    np.testing.assert_allclose(pit, [0.05, 0.55, 0.73])
    # of 0, 0, 2, 5: none below 0, two equal; two below 2, one equal; 7 above all
    pit = calibration.randomized_pit_draws([[5, 0, 2, 0]] * 3, [0, 2, 7], [0.5, 0.25, 0.75])
    np.testing.assert_allclose(pit, [1.5 / 5, 2.5 / 5, 4.75 / 5])
    assert calibration.coverage([0.05, 0.1, 0.3, 0.8, 0.95], 0.8) == 0.6
    # at 0.5 the steps lie at 2/4 and 3/4, at 0.9 at 3/4: the widest gap is 0.75 − 0.5
    assert calibration.ks_uniform([0.9, 0.1, 0.5, 0.2]) == pytest.approx(0.3)
    np.testing.assert_array_equal(
        calibration.inside([1, 1, 1], [4, 4, np.nan], [4, 5, 2]), [1, 0, np.nan]
    )


def test_probabilities_by_hand():
    np.testing.assert_allclose(
        metrics.log_loss([0.3, 0.3], [1, 0]), [1.2039728, 0.3566749], rtol=1e-6
    )
    np.testing.assert_allclose(metrics.log_loss([0.0, 1.0], [1, 1]), [13.8155106, 1e-6], rtol=1e-5)
    np.testing.assert_allclose(metrics.brier([0.3, 0.3], [1, 0]), [0.49, 0.09])
    np.testing.assert_allclose(
        metrics.poisson_deviance([2.5, 0.0], [4, 2]),
        [2 * (4 * math.log(1.6) - 1.5), 2 * (2 * math.log(2e4) - 2 + 1e-4)],
    )
    # the 1s at 0.2 and 0.9 against the 0s at 0.1, 0.2 and 0.4: 1 + ½ + 0 and 3 of 6
    assert calibration.auc([0.1, 0.2, 0.2, 0.4, 0.9], [0, 0, 1, 0, 1]) == 4.5 / 6
    table = calibration.reliability([0.1, 0.3, 0.6, 0.8], [0, 1, 1, 1], bins=2)
    np.testing.assert_allclose(table["mean_p"], [0.2, 0.7])
    np.testing.assert_allclose(table["share"], [0.5, 1.0])
    assert table["rows"].tolist() == [2, 2]
    error = calibration.expected_calibration_error([0.1, 0.3, 0.6, 0.8], [0, 1, 1, 1], bins=2)
    assert error == pytest.approx(0.3)


def test_quantities_by_hand():
    quantiles, levels, actual = [[1.0, 6.0], [2.0, 3.0]], (0.25, 0.9), [4.0, 1.0]
    # 0.25·3, 0.1·2; 0.75·1, 0.1·2
    np.testing.assert_allclose(
        metrics.pinball(quantiles, levels, actual), [[0.75, 0.2], [0.75, 0.2]]
    )
    loss = metrics.weighted_quantile_loss(quantiles, levels, actual)
    assert loss == pytest.approx((2 * 1.5 / 5 + 2 * 0.4 / 5) / 2)
    assert metrics.wape([1.0, 6.0], [4.0, 1.0]) == 8 / 5
    assert metrics.bias([1.0, 6.0], [4.0, 1.0]) == pytest.approx(0.4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_agrees_with_scoringrules(rows):
    import scoringrules  # noqa: PLC0415  it takes seconds

    np.testing.assert_allclose(
        metrics.crps_draws(rows["draws"], rows["actual"]),
        scoringrules.crps_ensemble(rows["actual"], rows["draws"], backend="numpy"),
    )
    np.testing.assert_allclose(
        metrics.pinball(rows["quantiles"], QUANTILES, rows["actual"]),
        scoringrules.quantile_score(
            rows["actual"][:, None], rows["quantiles"], np.array(QUANTILES), backend="numpy"
        ),
    )
    np.testing.assert_allclose(
        metrics.crps_counts(rows["probability"], np.minimum(rows["count"], 3)),
        scoringrules.rps_score(np.minimum(rows["count"], 3) + 1, rows["probability"]),
    )


PER_ROW = [name for name in TWINS if name[:5] not in ("weigh", "wape", "bias", "auc", "ks_un")]


@pytest.mark.parametrize("name", PER_ROW)
def test_a_nan_stays_in_its_row(name, rows):
    _, arguments = TWINS[name]
    given = [
        np.array(rows[argument], dtype=np.asarray(rows[argument]).dtype) for argument in arguments
    ]
    whole = metric(name)(*given)
    given[0] = given[0].astype(float)
    given[0][3] = np.nan
    broken = metric(name)(*given)
    assert np.isnan(broken[3]).all()
    np.testing.assert_array_equal(np.delete(broken, 3, 0), np.delete(whole, 3, 0))


@pytest.mark.parametrize("name", ["auc", "expected_calibration_error"])
def test_a_nan_spoils_one_number_for_all_rows(name, rows):
    p = rows["p"].copy()
    p[3] = np.nan
    assert math.isnan(metric(name)(p, rows["y"]))


def test_nothing_to_score_is_nan_not_zero():
    assert math.isnan(metrics.wape([1.0], [0.0]))
    assert math.isnan(metrics.bias([], []))
    assert math.isnan(calibration.auc([0.4, 0.6], [1, 1]))
    assert math.isnan(calibration.ks_uniform([]))
    assert math.isnan(calibration.coverage([], 0.8))
    assert math.isnan(calibration.expected_calibration_error([], []))
    assert metrics.crps_draws(np.zeros((0, 5)), []).shape == (0,)


@pytest.mark.parametrize("name", ["auc", "expected_calibration_error"])
def test_order_of_rows_changes_nothing(name, rows, rng):
    order = rng.permutation(N)
    p, y = rows["p"], rows["y"]
    assert metric(name)(p[order], y[order]) == pytest.approx(metric(name)(p, y))


def test_single_precision_sums_tie_with_what_they_sum():
    draws = np.full((1, 9), 0.1, dtype=np.float32) * np.float32(3)
    assert calibration.randomized_pit_draws(draws, [0.3], [0.0])[0] == 0.0
    assert calibration.randomized_pit_draws(draws, [0.3], [0.999])[0] == pytest.approx(0.999)


@pytest.mark.parametrize("draws", [1, 7, 200])
def test_pit_of_draws_is_uniform_for_few_draws_and_atoms(draws, rng):
    sample = rng.poisson(0.8, (20_000, draws + 1))
    pit = calibration.randomized_pit_draws(sample[:, 1:], sample[:, 0], rng.random(20_000))
    assert calibration.ks_uniform(pit) < ks_limit(len(pit), 4)
    assert_share(round(calibration.coverage(pit, 0.8) * len(pit)), len(pit), 0.8, 6)


def ks_limit(rows, comparisons):
    """Of uniform rows, so far from the diagonal once in a million runs."""
    return stats.kstwobign.isf(p_limit(2 * comparisons)) / np.sqrt(rows)


def censored_waits(rng, n, mean):
    """Exponential waits in weeks, seen for six of them; P(an order by week k) for any mean."""
    week = np.minimum(rng.exponential(mean, n).astype(int), 6)
    return week, lambda said: np.tile(1 - np.exp(-np.arange(1, 7) / said), (n, 1))


def test_pit_of_censored_waits_is_uniform(rng):
    week, forecast = censored_waits(rng, 20_000, 8.0)
    pit = calibration.randomized_pit_weeks(forecast(8.0), week, rng.random(20_000))
    assert (week == 6).mean() > 0.4
    assert calibration.ks_uniform(pit) < ks_limit(len(pit), 4)


@pytest.mark.parametrize("said", [5.0, 6.5, 9.5, 12.0])
def test_truncated_crps_is_best_for_the_truth_under_censoring(rng, said):
    week, forecast = censored_waits(rng, 500_000, 8.0)
    difference = metrics.crps_truncated(forecast(said), week) - metrics.crps_truncated(
        forecast(8.0), week
    )
    assert difference.mean() > z_limit() * error_of_mean(difference)


WRONG = [
    ("crps_truncated", ([[0.2, 0.1]], [0]), "rise along each row"),
    ("crps_truncated", ([[0.2, 1.1]], [0]), "from 0 to 1, got 1.1"),
    ("crps_truncated", ([[0.2, 0.3]], [3]), "from 0 to 2, got 3"),
    ("crps_truncated", ([[0.2, 0.3]], [0.5]), "whole numbers"),
    ("crps_counts", ([[0.2, 0.3]], [0]), "sum to 1"),
    ("crps_counts", ([[0.5, 0.5]], [-1]), "0 or more"),
    ("crps_draws", ([1.0, 2.0], [1.0]), "shape"),
    ("crps_draws", ([[1.0, 2.0]], [1.0, 2.0]), "shape"),
    ("randomized_pit_draws", ([[]], [1.0], [0.5]), "shape"),
    ("log_loss", ([0.5], [2]), "0 or 1, got 2"),
    ("brier", ([-0.5], [1]), "from 0 to 1"),
    ("poisson_deviance", ([-1.0], [1]), "0 or more, got -1"),
    ("pinball", ([[1.0]], (1.5,), [1.0]), "between 0 and 1"),
    ("pinball", ([[1.0]], (0.5, 0.6), [1.0]), "shape"),
    ("coverage", ([0.5], 1.5), "level"),
    ("reliability", ([0.5], [1], 0), "bins"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), WRONG)
def test_refuses_what_makes_no_sense(name, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        metric(name)(*arguments)


def test_probabilities_of_single_precision_are_accepted():
    p = np.array([[0.3, 0.3, 1.0000001]], dtype=np.float32)
    assert np.isfinite(metrics.crps_truncated(p, [3]))


@pytest.mark.parametrize("name", ["crps_draws", "randomized_pit_draws"])
def test_a_hundred_thousand_rows_of_draws_take_seconds(name, rng):
    draws = rng.gamma(1, 3, (100_000, 200)).astype(np.float32)
    arguments = [draws, rng.gamma(1, 3, 100_000), rng.random(100_000)][: 3 if "pit" in name else 2]
    start = time.process_time()
    metric(name)(*arguments)
    assert time.process_time() - start < 20  # 0.13 s of a core, others busy
