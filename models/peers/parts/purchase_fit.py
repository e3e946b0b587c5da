"""The most probable populations of BG/NBD and Pareto/NBD, under pymc-marketing's own priors."""

import warnings
from importlib import import_module

import numpy as np
from scipy.optimize import minimize

from models.parts.kernels.compile_caches import kept_code
from models.peers.parts.purchases import BetaGeo, ParetoNBD, Past
from toolkit.data.tables import Floats, Ints
from toolkit.errors import ModelError
from toolkit.installed import need

SHAPE_SCALE, TIME_SCALE = 1.0, 10.0
"""Weibull priors with shape 2: of r and s around 1, of α and β around 10 weeks."""
FIRST_GUESS = ParetoNBD(0.7, 10.0, 0.3, 20.0)


def fit_beta_geo(past: Past) -> BetaGeo:
    """By the library itself."""
    columns = {"frequency": past.x, "recency": past.t_x, "T": past.T}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # among the libraries themselves
        with kept_code():
            library = need("pymc_marketing.clv", "the peer BG/NBD", ModelError)
        pymc, pandas = map(import_module, ("pymc", "pandas"))
        model = library.BetaGeoModel()
        model.build_model(pandas.DataFrame({"customer_id": np.arange(len(past.x)), **columns}))
        with model.model:
            point = pymc.find_MAP(progressbar=False)
    return BetaGeo(*(float(point[name]) for name in ("r", "alpha", "a", "b")))


def fit_pareto_nbd(past: Past) -> ParetoNBD:
    """The same maximum as the library's, in seconds.

    The library's likelihood takes a hypergeometric series per pair, up to a second for 20,000 of
    them, and many minutes where it converges slowly; ours an integral, and equal pasts once.
    """
    rows, pair = distinct(past)
    pairs = np.bincount(pair).astype(float)
    start = np.log([FIRST_GUESS.r, FIRST_GUESS.alpha, FIRST_GUESS.s, FIRST_GUESS.beta])

    def loss(logs: Floats) -> float:
        return -log_posterior(ParetoNBD(*np.exp(logs).tolist()), rows, pairs) / float(pairs.sum())

    found = minimize(loss, start, method="L-BFGS-B", bounds=[(-7.0, 9.0)] * len(start))
    if not np.isfinite(found.fun):
        raise ModelError("Pareto/NBD's posterior has no maximum for these pairs")
    return ParetoNBD(*np.exp(found.x).tolist())


def log_posterior(population: ParetoNBD, rows: Past, pairs: Floats) -> float:
    """Log density of population and pasts; ``pairs`` [rows] have each of them."""
    prior = sum(
        np.log(2.0 * value / scale**2) - (value / scale) ** 2
        for value, scale in (
            (population.r, SHAPE_SCALE),
            (population.s, SHAPE_SCALE),
            (population.alpha, TIME_SCALE),
            (population.beta, TIME_SCALE),
        )
    )
    return float(prior + np.sum(pairs * population.log_likelihood(rows)))


def distinct(past: Past) -> tuple[Past, Ints]:
    """Each different past once, and which of them is each pair's."""
    table = np.stack([past.x, past.t_x, past.T], axis=1)
    rows, pair = np.unique(table, axis=0, return_inverse=True)
    x, t_x, T = np.ascontiguousarray(rows.T)
    return Past(x, t_x, T), pair.reshape(-1)
