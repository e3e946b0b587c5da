"""The PyMC model behind ``pooled_gamma`` and ``lapse_gamma``. Only fitting imports this.

Effects of customers and products are N(0, scale²), taken as deviations from their mean, each
weighing what its pairs tell: the mean belongs to the typical interval. A customer with many pairs
mixes best when its effect itself is sampled, one with few when the standardised effect is; in
between, effect = scale^(1 − w) · raw with raw ~ N(0, scale^(2 w)), w = n / (n + 4) for what n
pairs tell (Papaspiliopoulos, Roberts & Sköld 2007, doi:10.1214/088342307000000014).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray

from models.parts.gamma.arrivals_model import arrivals_model
from models.parts.gamma.collapsed_op import log_likelihood
from models.parts.gamma.population import doublings
from models.parts.gamma.prior import GammaPrior
from models.parts.kernels.collapsed import PairRows
from models.parts.kernels.renewal import survived_days
from models.parts.pair.arrivals import arrivals
from toolkit.data.tables import Floats, Ints, Patterns

PRIOR_PAIRS = 4.0
"""So many pairs tell as much of a customer's or product's effect as the others do."""
PRIOR_TILT_PAIRS = 20.0
"""The same for a product's regularity, which a pair tells less of."""

SHAPED_COLUMNS = tuple(name for name in PairRows._fields if name != "regularities")
"""Columns of the rows that the data alone decide."""


@dataclass(frozen=True, slots=True)
class FitData:
    """What the model is fitted to: rows of pairs, their customers and products, arrivals."""

    rows: PairRows
    customer: Ints  # [pairs], row of its customer
    product: Ints  # [pairs], row of its product
    customer_id: Ints  # [customers], ascending
    product_id: Ints  # [products], ascending
    arrived: Floats  # first orders, of each product counted
    arrival_days: Floats  # days in which they were counted

    @classmethod
    def of(cls, patterns: Patterns, used: Ints, regularities: Ints) -> "FitData":
        """The pairs ``used`` of ``patterns``, rows in ascending order, and all arrivals."""
        customer_id, customer = np.unique(patterns.customer_id[used], return_inverse=True)
        product_id, product = np.unique(patterns.product_id[used], return_inverse=True)
        statistics = (
            patterns.interval_count[used].astype(float),
            patterns.interval_sum[used],
            patterns.interval_log_sum[used],
            survived_days(patterns.open_interval[used]),
        )
        arrived, days = arrivals(patterns)
        rows = PairRows.of(statistics, regularities)
        return cls(rows, customer, product, customer_id, product_id, arrived, days)

    @property
    def count(self) -> Floats:
        """m of each pair, [pairs]."""
        return self.rows.counts[self.rows.count_row]

    def columns(self, *, lapse: bool) -> dict[str, NDArray[Any]]:
        """All that the model takes from the data, by the names of its ``pm.Data``."""
        information: Floats = (self.count + 0.5) / (self.count + 1.5)
        columns: dict[str, NDArray[Any]] = {
            f"row_{name}": getattr(self.rows, name) for name in SHAPED_COLUMNS
        }
        if lapse:
            has_intervals: Floats = np.where(self.count > 1, 1.0, 1e-6)
            columns["tilt_information"] = np.bincount(self.product, has_intervals)
        return columns | {
            "row_customer": self.customer,
            "row_product": self.product,
            "customer_information": np.bincount(self.customer, information),
            "product_information": np.bincount(self.product, information),
            "arrived_orders": self.arrived,
            "arrived_days": self.arrival_days,
        }


def build_model(
    data: FitData,
    prior: GammaPrior | None = None,
    *,
    lapse: bool,
    swappable_data: bool = False,
) -> pm.Model:
    """The model of ``data``; with ``lapse``, pairs lapse and regularity varies by product.

    ``swappable_data``: takes longer to compile, and can then be given the columns of other data, of
    as many pairs, customers, products and distinct counts.
    """
    p, k = prior or GammaPrior(), data.rows.regularities
    customers, products = len(data.customer_id), len(data.product_id)
    with pm.Model() as model:
        columns: dict[str, Any] = data.columns(lapse=lapse)
        if swappable_data:
            columns = {name: pm.Data(name, column) for name, column in columns.items()}
        rows = data.rows._replace(**{name: columns[f"row_{name}"] for name in SHAPED_COLUMNS})
        m: Any = rows.counts
        shape = pm.LogNormal("shape", *p.shape)
        log_typical = pm.Normal("log_typical", *p.log_typical)
        known = {of: columns[f"{of}_information"] for of in ("customer", "product")}
        customer = _effects("customer", known["customer"], customers, PRIOR_PAIRS, p.customer_scale)
        product = _effects("product", known["product"], products, PRIOR_PAIRS, p.product_scale)
        weight = pm.Dirichlet("regularity", np.ones(len(k)))
        log_weight = pt.log(weight)[None, :]
        log_kept = left = pt.zeros_like(m)
        if lapse:
            tilt = _effects(
                "tilt", columns["tilt_information"], products, PRIOR_TILT_PAIRS, p.tilt_scale
            )
            log_weight = log_weight + tilt[:, None] * doublings(k)
            log_weight = pt.special.log_softmax(log_weight, axis=1)
            log_kept, left = _lapse(m, p)
        log_gamma = pt.gammaln(shape + k * m[:, None]) - pt.gammaln(shape)
        log_c = product + log_typical + pt.log(shape)
        pm.Potential(
            "pairs",
            log_likelihood(
                rows,
                (columns["row_customer"], columns["row_product"]),
                *(shape, customer, log_c, log_gamma, log_weight, log_kept, left),
            ),
        )
        arrivals_model(columns["arrived_orders"], columns["arrived_days"], p)
    return model


def _effects(name: str, information: Any, groups: int, prior_pairs: float, scale: float) -> Any:
    """Deviations of groups, whose ``information`` is in events, and their scale, a HalfNormal."""
    centred = information / (information + prior_pairs)
    sigma = pm.HalfNormal(f"{name}_scale", scale)
    raw = pm.Normal(f"{name}_raw", 0.0, sigma**centred, shape=groups)
    effect = raw * sigma ** (1.0 - centred)
    return pm.Deterministic(name, effect - pt.dot(information / information.sum(), effect))


def _lapse(m: Any, prior: GammaPrior) -> tuple[Any, Any]:
    """log P(not lapsed after each of m orders) and P(lapsed after the next), [counts]."""
    mean = pm.Beta("lapse", *prior.lapse)
    concentration = pm.LogNormal("lapse_concentration", *prior.lapse_concentration)
    alpha, beta = mean * concentration, (1.0 - mean) * concentration
    log_kept = (
        pt.gammaln(beta + m)
        - pt.gammaln(beta)
        - pt.gammaln(concentration + m)
        + pt.gammaln(concentration)
    )
    return log_kept, alpha / (concentration + m)
