"""``pooled_gamma`` and ``lapse_gamma``: histories in continuous time from draws of their prior."""

import numpy as np
from scipy.special import logit

from models.parts.fitting.posterior import Counts, negative_binomial
from models.parts.gamma.data import FitData
from models.parts.gamma.density import GammaDensity, Point
from models.parts.gamma.model import build_model
from models.parts.gamma.population import doublings
from models.parts.gamma.posterior import GammaPosterior
from models.parts.gamma.prior import GammaPrior
from models.parts.gamma.version import REGULARITIES
from models.parts.kernels.collapsed import PairRows, collapsed_likelihood

CHUNK = 100_000


class GammaSubject:
    """A design of ``pairs`` pairs of customers and products with first orders spread over time.

    The model has its prior with all pairs' histories empty, when every pair tells as much. It is
    sampled as a fit does it: in coordinates that are found for each replication's data.
    """

    in_full = ()

    def __init__(self, name, *, lapse, customers=30, products=8, pairs=150, days=500):
        rng = np.random.default_rng(20240101)
        cells = np.sort(rng.choice(customers * products, pairs, replace=False))
        self.name, self.lapse = name, lapse
        self.effects = ("customer", "product", "tilt") if lapse else ("customer", "product")
        self.product, self.customer = np.divmod(cells, customers)
        self.exposure = rng.uniform(1, days, pairs)
        self.shape = customers, products
        self.arrival_days = rng.uniform(30, 180, products)
        nothing = np.zeros(pairs)
        self.empty = self._fit_data((nothing, nothing, nothing, self.exposure), np.zeros(products))
        self.model = build_model(self.empty, lapse=lapse)

    def simulate(self, truth, rng):
        weights = np.tile(np.log(truth["regularity"]), (self.shape[1], 1))
        lapse = np.zeros(len(self.exposure))
        if self.lapse:
            weights += truth["tilt"][:, None] * doublings(REGULARITIES)
            alpha = truth["lapse"] * truth["lapse_concentration"]
            lapse = rng.beta(alpha, truth["lapse_concentration"] - alpha, len(lapse))
        weights = np.exp(weights - weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        effects = truth["customer"][self.customer] + truth["product"][self.product]
        mu = np.exp(truth["log_typical"] + effects)
        rate = rng.gamma(truth["shape"], 1 / (truth["shape"] * mu))
        k = [rng.choice(REGULARITIES, p=weights[product]) for product in self.product]
        histories = [
            history(k[i], rate[i], lapse[i], exposure, rng)
            for i, exposure in enumerate(self.exposure)
        ]
        per_day = rng.gamma(
            truth["arrival_shape"],
            1 / (truth["arrival_shape"] * truth["arrival_days"]),
            self.shape[1],
        )
        arrived = rng.poisson(per_day * self.arrival_days).astype(float)
        return self._fit_data(np.array(histories).T, arrived)

    def _fit_data(self, statistics, arrived):
        rows = PairRows.of(tuple(statistics), REGULARITIES)
        customer_id, product_id = (np.arange(count) for count in self.shape)
        return FitData(
            rows, self.customer, self.product, customer_id, product_id, arrived, self.arrival_days
        )

    def posterior(self, data):
        return GammaPosterior(data, lapse=self.lapse)

    def log_likelihood(self, values, data):
        """Of pairs and first orders, at values of ``given``."""
        log_weight = np.log(values["regularity"])
        theta = [np.log(values["shape"]), values["log_typical"]]
        theta += list(log_weight[:-1] - log_weight.mean())
        effects = [values["product"]]
        if self.lapse:
            theta += [logit(values["lapse"]), np.log(values["lapse_concentration"])]
            effects.append(values["tilt"])
        at = Point(np.array(theta), values["customer"], np.array(effects))
        to = GammaDensity(data, GammaPrior(), self.lapse).parameters(at)
        pairs = collapsed_likelihood(data.rows, (data.customer, data.product), to).value
        log_mean = np.log(data.arrival_days / values["arrival_days"])
        return (
            pairs
            + negative_binomial(Counts.of(data.arrived), log_mean, np.log(values["arrival_shape"]))[
                0
            ]
        )

    def restate(self, truth, data):
        """The same intervals as deviations from means that weigh by what the data tell."""
        known, found = data.information(lapse=self.lapse), dict(truth)
        for name in self.effects:
            mean = np.average(truth[name], weights=known[name])
            if name == "tilt":
                weight = found["regularity"] * np.exp(mean * doublings(REGULARITIES))
                found["regularity"] = weight / weight.sum()
            else:
                found["log_typical"] = found["log_typical"] + mean
            found[name] = truth[name] - mean
        return found


def history(k, rate, lapse, exposure, rng):
    """m, S, L and T of a pair from its first order on, known up to ``exposure`` days later."""
    intervals = rng.geometric(lapse) - 1 if lapse > 1e-12 else np.inf  # until it lapses
    m, S, L = 0, 0.0, 0.0
    while m < intervals:
        expected = min(CHUNK, int(2 * rate * exposure) + 20)
        drawn = rng.gamma(k, 1 / (k * rate), int(min(expected, intervals - m)))
        ended = S + np.cumsum(drawn)
        within = int(np.searchsorted(ended, exposure))
        m, L = m + within, L + np.log(drawn[:within]).sum()
        S = ended[within - 1] if within else S
        if within < len(drawn):
            break
    return m, S, L, exposure - S
