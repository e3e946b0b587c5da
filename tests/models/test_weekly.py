"""The likelihood of order weeks against the formula written out, and its gradient."""

import itertools

import numpy as np
import pytest

from models.parts.kernels.weekly import (
    MAX_LOG_EXTRA,
    MAX_LOG_HAZARD,
    NODE,
    NODE_WEIGHT,
    group_likelihoods,
    weekly_likelihood,
)
from models.parts.kernels.weekly_rows import Layout

ROWS, WEEKS = 150, 12
PREDICTORS = ("eta", "log_dip", "log_tau", "logit_alive", "log_extra")
BY_ROW = (*PREDICTORS, "ordered", "extra", "elapsed", "clock")

NO_EXTRA = {"extra": np.zeros(1), "log_extra": np.array([-50.0])}


def some_rows(n=ROWS, weeks=WEEKS, seed=0):
    """Rows of which many have no order, some one each week; the last of them lie at the edges."""
    rng = np.random.default_rng(seed)
    rows = {
        "ordered": rng.random((n, weeks)) < rng.choice([0.0, 0.1, 0.5, 1.0], (n, 1)),
        "elapsed": rng.exponential(10, n),
        "clock": np.exp(rng.normal(-2.5, 1, n)),
        "extra": rng.poisson(0.3, n).astype(float),
        "log_season": rng.normal(0, 0.1, weeks),
        "eta": rng.normal(-2, 1, n),
        "log_dip": rng.normal(-0.5, 0.4, n),
        "log_tau": rng.normal(-0.7, 0.4, n),
        "logit_alive": rng.normal(2, 1, n),
        "log_extra": rng.normal(-1, 1, n),
        "log_sigma": -0.7,
        "kappa": 0.01,
    }
    if n > 4:
        rows["eta"][-4:] = [-25.0, -25.0, 8.0, -3.0]  # never, or more than every week
        rows["ordered"][-4:] = [[False] * weeks, [True] * weeks, [True] * weeks, [False] * weeks]
        rows["logit_alive"][-1] = -30.0
    return rows


def layout_of(rows):
    """One window; the columns are the predictors themselves, each with the slope 1."""
    n = len(rows["ordered"])
    window = np.zeros(n, dtype=np.int64)
    layout = Layout.of(window, rows["ordered"].sum(axis=1))
    predictors = np.stack([rows[name] for name in PREDICTORS], axis=1)
    known = layout.rows(
        predictors, np.arange(len(PREDICTORS) + 1), rows["elapsed"], rows["clock"], np.arange(n),
        window, rows["log_season"][None],
    )  # fmt: skip
    return layout.outcomes(rows["ordered"], rows["extra"]), known


def evaluate(rows):
    """Value, and derivatives by the slopes of the predictors, log σ, κ, the level and shocks."""
    slopes, n = np.ones(len(PREDICTORS)), len(rows["eta"])
    by = np.empty(len(slopes)), np.empty(1), np.empty(n)
    value, by_sigma, by_kappa = weekly_likelihood(
        *layout_of(rows), slopes, np.zeros(1), np.zeros(n), rows["log_sigma"], rows["kappa"], *by
    )
    found = dict(zip(PREDICTORS, by[0].tolist(), strict=True))
    shared = {"log_sigma": by_sigma, "kappa": by_kappa, "level": by[1][0], "shock": by[2]}
    return value, found | shared


def alone(rows, i):
    """Row ``i`` by itself."""
    return {k: v[i : i + 1] if k in BY_ROW else v for k, v in rows.items()}


def written_out(rows, i):
    """log L of row ``i``, week by week as the docstring of ``weekly.py`` has it."""
    sigma, delta = np.exp(rows["log_sigma"]), np.exp(rows["log_dip"][i])
    kinds = np.exp(np.exp(rows["log_tau"][i]) * NODE)
    kinds /= NODE_WEIGHT @ kinds
    of_kind, since = NODE_WEIGHT.copy(), rows["elapsed"][i] + 0.5
    for w, ordered in enumerate(rows["ordered"][i]):
        u = since * rows["clock"][i]
        level = rows["eta"][i] + rows["log_season"][w] - rows["kappa"] * w
        hazard = np.exp(min(MAX_LOG_HAZARD, level - delta * np.exp(-u / sigma)))
        of_kind *= -np.expm1(-kinds * hazard) if ordered else np.exp(-kinds * hazard)
        since = 1.0 if ordered else since + 1.0
    alive = 1 / (1 + np.exp(-rows["logit_alive"][i]))
    weeks = rows["ordered"][i]
    log_extra = min(rows["log_extra"][i], MAX_LOG_EXTRA)
    extra = rows["extra"][i] * log_extra - weeks.sum() * np.exp(log_extra)
    return np.log(alive * of_kind.sum() + (1 - alive) * (not weeks.any())) + extra


def test_is_the_formula_row_by_row(seeded):
    rows = some_rows(seed=seeded(0))
    expected = [written_out(rows, i) for i in range(ROWS)]
    found = [evaluate(alone(rows, i))[0] for i in range(ROWS)]
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)
    assert evaluate(rows)[0] == pytest.approx(np.sum(expected), rel=1e-9)


def by_group(rows, shock):
    """The values of the groups at each of the shocks, [groups, values]; a group is a row."""
    value = np.empty_like(shock)
    group_likelihoods(
        *layout_of(rows), np.ones(len(PREDICTORS)), np.zeros(1), shock, rows["log_sigma"],
        rows["kappa"], value,
    )  # fmt: skip
    return value


def test_values_of_groups_are_the_formula_and_sum_to_the_whole(seeded):
    rows = some_rows(seed=seeded(0))
    alone = by_group(rows, np.zeros((ROWS, 1)))[:, 0]
    assert alone == pytest.approx([written_out(rows, i) for i in range(ROWS)], rel=1e-8, abs=1e-10)
    assert alone.sum() == pytest.approx(evaluate(rows)[0], rel=1e-9)


def test_values_of_groups_are_those_of_rows_moved_by_each_shock(seeded):
    """All but the row whose hazard is held within its limits."""
    rows, rng = some_rows(seed=seeded(0)), np.random.default_rng(seeded(1))
    shock = rng.normal(0.0, 0.5, (ROWS, 4))
    found, within = by_group(rows, shock), rows["eta"] < MAX_LOG_HAZARD
    for v in range(4):
        moved = rows | {"eta": rows["eta"] + shock[:, v]}
        expected = np.array([written_out(moved, i) for i in range(ROWS)])
        assert found[within, v] == pytest.approx(expected[within], rel=1e-8, abs=1e-10)


def test_rows_of_one_group_add_up(seeded):
    """Whatever block they stand in, and however many lanes of it are filled."""
    rows, group = some_rows(seed=seeded(0)), np.arange(ROWS) % 7
    outcomes, known = layout_of(rows)
    known = known._replace(group=group[known.group])
    value = np.empty((7, 1))
    group_likelihoods(
        outcomes, known, np.ones(len(PREDICTORS)), np.zeros(1), np.zeros((7, 1)),
        rows["log_sigma"], rows["kappa"], value,
    )  # fmt: skip
    each = by_group(rows, np.zeros((ROWS, 1)))[:, 0]
    assert value[:, 0] == pytest.approx(np.bincount(group, each), rel=1e-9)


@pytest.mark.parametrize("name", PREDICTORS)
def test_derivatives_by_row_are_those_of_differences(name, seeded):
    rows, step = some_rows(seed=seeded(0)), 1e-6
    for i in [*range(0, ROWS, 7), ROWS - 4, ROWS - 3, ROWS - 2, ROWS - 1]:
        values = []
        for sign in (1, -1):
            moved = rows | {name: rows[name].copy()}
            moved[name][i] += sign * step
            values.append(written_out(moved, i))
        difference = (values[0] - values[1]) / (2 * step)
        derivative = evaluate(alone(rows, i))[1][name] / rows[name][i]
        assert derivative == pytest.approx(difference, rel=2e-5, abs=2e-6), i


@pytest.mark.parametrize("name", ["log_sigma", "kappa"])
def test_derivatives_by_what_all_rows_share_are_those_of_differences(name, seeded):
    rows, step = some_rows(seed=seeded(0)), 1e-5
    up, down = (evaluate(rows | {name: rows[name] + sign * step})[0] for sign in (1, -1))
    assert evaluate(rows)[1][name] == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_probabilities_of_all_paths_sum_to_one(seeded):
    row = some_rows(1, 8, seed=seeded(3)) | {"eta": np.array([-0.4])} | NO_EXTRA
    paths = itertools.product([False, True], repeat=8)
    total = sum(np.exp(evaluate(row | {"ordered": np.array([path])})[0]) for path in paths)
    assert total == pytest.approx(1.0, abs=1e-12)


def test_the_frailty_averages_one():
    """Given a small hazard, P(an order) is the hazard whatever τ is."""
    for log_tau in (-3.0, 0.0, 0.7):
        row = (
            some_rows(1, 1)
            | {
                "ordered": np.array([[True]]),
                "eta": np.array([-18.0]),
                "log_dip": np.array([-50.0]),
                "log_season": np.zeros(1),
                "log_tau": np.array([log_tau]),
                "logit_alive": np.array([50.0]),
            }
            | NO_EXTRA
        )
        assert evaluate(row)[0] == pytest.approx(-18.0, abs=1e-6)


def test_long_and_hopeless_histories_stay_finite():
    rows = some_rows(2)
    rows["ordered"][:] = True
    for eta in (-300.0, -40.0, 40.0, 300.0):
        value, by = evaluate(rows | {"eta": np.full(2, eta)})
        assert np.isfinite(value)
        assert all(np.all(np.isfinite(d)) for d in by.values())


def test_sums_are_the_same_to_the_bit_wherever_the_arrays_lie(seeded):
    """Or a fit would depend on what was in memory before it."""
    rows, rng, found = some_rows(seed=seeded(0)), np.random.default_rng(seeded(4)), set()
    kept = []
    for _ in range(60):
        kept.append(np.empty(int(rng.integers(1, 4000))))
        moved = {n: np.array(v) if isinstance(v, np.ndarray) else v for n, v in rows.items()}
        value, by = evaluate(moved)
        found.add((value, *(np.asarray(by[name]).tobytes() for name in by)))
    assert len(found) == 1
