"""Predictive checks of the gamma versions: by hand, a right model passed, wrong ones caught."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.parts.fitting.posterior_file import read_fit
from models.parts.gamma.checks import Histories, predictive_checks, replicate
from models.parts.gamma.population import Population
from models.pooled_gamma import MODEL as POOLED
from tests.models.helpers import DATA_SETS, assert_tails_of_a_right_model, patterns_of
from toolkit.model import FitSettings
from toolkit.validation import plain

KS = np.array([1, 4, 16])
WEIGHTS = np.array([0.5, 0.3, 0.2])
PRODUCTS, CUSTOMERS, DAYS = 12, 50, 500
SHAPE, MU, SCALES = 3.0, 30.0, (0.3, 0.5)
DRAWS = 100
WIDTHS = 16
NOBODY_LAPSES, MANY_LAPSE = (0.0, 0.0), (1.0, 4.0)
OPEN_LONG = "open > 2 own means"
REGULAR = "interval: cv of a pair"


def truth(seed, weights=WEIGHTS, lapse=NOBODY_LAPSES):
    """A population in which every draw is the same truth."""
    rng = np.random.default_rng(seed)

    def constant(value):
        return np.repeat(np.asarray(value, dtype=float)[..., None], DRAWS, axis=-1)

    return Population(
        regularities=KS,
        urn_weight=2.0,
        shape=constant(SHAPE),
        log_typical=constant(np.log(MU)),
        customer_scale=constant(SCALES[0]),
        product_scale=constant(SCALES[1]),
        tilt_scale=constant(0.2),
        log_weight=np.log(constant(weights)),
        alpha=constant(lapse[0]),
        beta=constant(lapse[1]),
        arrival_shape=constant(1.0),
        arrival_rate=constant(1.0),
        customer_id=np.arange(CUSTOMERS),
        customer=constant(rng.normal(0, SCALES[0], CUSTOMERS)),
        product_id=np.arange(PRODUCTS),
        product=constant(rng.normal(0, SCALES[1], PRODUCTS)),
        tilt=constant(rng.normal(0, 0.2, PRODUCTS)),
    )


def slow_histories(population, seed):
    """Patterns of the population's pairs, an order at a time, from NumPy's own distributions."""
    rng = np.random.default_rng(seed)
    doublings = np.log2(KS) - np.log2(KS).mean()
    alpha, beta = population.alpha[0], population.beta[0]
    histories = {}
    for p in range(PRODUCTS):
        weight = np.exp(population.log_weight[:, 0] + population.tilt[p, 0] * doublings)
        for c in rng.choice(CUSTOMERS, CUSTOMERS // 2, replace=False):
            mu = MU * np.exp(population.customer[c, 0] + population.product[p, 0])
            k = rng.choice(KS, p=weight / weight.sum())
            rate = rng.gamma(SHAPE, 1 / (SHAPE * mu))
            lapse = rng.beta(alpha, beta) if alpha else 0.0
            day = -int(rng.integers(1, DAYS))
            orders = histories[p, int(c)] = [(day, 1.0)]
            while rng.random() >= lapse:
                day += max(1, round(rng.gamma(k, 1 / (k * rate))))
                if day >= 0:
                    break
                orders.append((day, 1.0))
    return patterns_of(histories)


def checked(patterns, population, seed=1):
    checks = predictive_checks(
        patterns, population, population, np.random.default_rng(seed)
    ).checks()
    return {check.statistic: check for check in checks}


def test_statistics_are_those_worked_out_by_hand():
    patterns = patterns_of(
        {
            (1, 1): [(-40, 1.0)],
            (1, 2): [(-30, 1.0), (-20, 1.0)],  # 10; open 20, twice its mean, not beyond
            (1, 3): [(-60, 1.0), (-50, 1.0), (-47, 1.0), (-42, 1.0)],  # 10, 3, 5; open 42, mean 6
            (2, 1): [(-15, 1.0), (-13, 1.0), (-11, 1.0), (-9, 1.0), (-7, 1.0), (-3, 1.0)],
        }
    )
    by_hand = {
        "pairs: 1 order": 0.25,
        "pairs: 2 orders": 0.25,
        "pairs: 3 to 5": 0.25,
        "pairs: 6 or more": 0.25,
        "interval: 10 %": 2.0,  # of 2 2 2 2 3 4 5 10 10
        "interval: median": 3.0,
        "interval: 90 %": 10.0,
        "interval: mean log": np.log(16 * 3 * 4 * 5 * 100) / 9,
        # variances 13 (of 10 3 5) and 0.8 (of 2 2 2 2 4); means 6 and 2.4
        REGULAR: (np.sqrt(13) / 6 + np.sqrt(0.8) / 2.4) / 2,
        "open / own mean": 2.0,  # of 3 / 2.4, 2, 7
        OPEN_LONG: 1 / 3,
    }
    found = Histories.of(patterns).statistics()
    assert list(found) == list(by_hand)
    assert found == pytest.approx(by_hand)


def test_without_intervals_their_statistics_are_not_defined():
    found = Histories.of(patterns_of({(1, 1): [(-40, 1.0)]})).statistics()
    assert found["pairs: 1 order"] == 1.0
    assert [name for name, value in found.items() if np.isnan(value)] == list(found)[4:]


def test_replications_start_with_the_first_order_and_end_at_the_as_of_date():
    population = truth(3, lapse=MANY_LAPSE)
    patterns = slow_histories(population, 4)
    for history in replicate(patterns, population.spread(5), np.random.default_rng(5)):
        exposure = patterns.interval_sum + patterns.open_interval
        assert np.array_equal(history.interval_sum + history.open_interval, exposure)
        assert np.all(history.open_interval >= 1)
        assert history.by_days.sum() == history.interval_count.sum()
        days = np.arange(len(history.by_days))
        assert history.by_days @ days == history.interval_sum.sum()
        assert history.by_days @ days**2 == history.interval_square_sum.sum()
        assert history.by_days[0] == 0


@pytest.mark.parametrize("lapse", [NOBODY_LAPSES, MANY_LAPSE], ids=["no lapse", "lapse"])
def test_data_of_the_model_itself_are_not_extreme(lapse, seeded):
    tails = []
    for seed in range(DATA_SETS):
        population = truth(seeded(seed), lapse=lapse)
        checks = checked(slow_histories(population, seeded(100 + seed)), population)
        tails.append([check.tail_p for check in checks.values()])
    tails = np.array(tails)  # [data sets, statistics]
    assert_tails_of_a_right_model(tails)


def test_clockwork_is_caught_where_the_model_is_memoryless(seeded):
    clockwork, memoryless = np.array([1e-9, 1e-9, 1.0]), np.array([1.0, 1e-9, 1e-9])
    right = []
    for seed in (1, 2, 3, 4):
        patterns = slow_histories(truth(seeded(seed), clockwork), seeded(10 + seed))
        assert checked(patterns, truth(seeded(seed), memoryless))[REGULAR].tail_p == 1.0
        right.append(checked(patterns, truth(seeded(seed), clockwork))[REGULAR].tail_p)
    assert any(0.01 < p < 0.99 for p in right)  # four outside: 0.03 to the fourth, 8e-7


def test_lapse_is_caught_where_nobody_lapses(seeded):
    patterns = slow_histories(truth(seeded(1), lapse=MANY_LAPSE), seeded(2))
    found = checked(patterns, truth(seeded(1)))
    assert found[OPEN_LONG].tail_p == found["open / own mean"].tail_p == 0.0
    assert found["pairs: 6 or more"].tail_p == 1.0


def test_many_pairs_are_sampled_and_one_seed_gives_one_result(monkeypatch, seeded):
    population = truth(seeded(6))
    patterns = slow_histories(population, seeded(7))
    monkeypatch.setattr("models.parts.gamma.checks.MAX_PAIRS", 100)
    part = checked(patterns, population)
    assert part == checked(patterns, population)
    # a third of the pairs: √3 = 1.7 times as wide; of a hundred replications each, by 0.28 of it
    few = [width_of(checked(patterns, population, seed)) for seed in range(WIDTHS)]
    monkeypatch.undo()
    many = [width_of(checked(patterns, population, seed)) for seed in range(WIDTHS)]
    assert np.mean(few) > 1.25 * np.mean(many)


def width_of(checks):
    low, high = checks[REGULAR].posterior_90
    return high - low


def test_prior_and_posterior_are_not_mixed_up(seeded):
    population = truth(seeded(8))
    patterns = slow_histories(population, seeded(9))
    fast = replace(population, log_typical=population.log_typical - 2.0)
    for check in predictive_checks(
        patterns, fast, population, np.random.default_rng(seeded(1))
    ).checks():
        if check.statistic == "interval: median":
            assert check.prior_90[1] < min(check.posterior_90[0], check.observed)


@pytest.mark.slow
def test_a_fit_is_checked_shown_and_saved(tmp_path, seeded):
    patterns = slow_histories(truth(seeded(1), lapse=MANY_LAPSE), seeded(2))
    fitted = POOLED.fit(
        patterns, seed=seeded(1), settings=FitSettings(draws=100, tune=200, chains=2)
    )
    checks = {check.statistic: check for check in fitted.card.checks}
    assert checks[OPEN_LONG].tail_p < 0.01
    for check in checks.values():
        prior, posterior = check.prior_90, check.posterior_90
        assert posterior[1] - posterior[0] < prior[1] - prior[0]
    fitted.save(tmp_path)
    card, _ = read_fit(tmp_path, POOLED.name, POOLED.formulas)
    assert card.checks == fitted.card.checks
    assert OPEN_LONG in fitted.to_card().text()
    content = json.loads((tmp_path / "card.json").read_text())
    assert content["checks"] == plain(fitted.card)["checks"]
    without = {name: value for name, value in content.items() if name != "checks"}
    (tmp_path / "card.json").write_text(json.dumps(without))
    assert read_fit(tmp_path, POOLED.name, POOLED.formulas)[0].checks == ()
