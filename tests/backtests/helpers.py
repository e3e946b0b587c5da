"""Score tables of a known world: Poisson orders, and versions that know the rates roughly."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.stats import poisson

from backtests.scores import calibration, metrics
from backtests.scores.history import CLASS_TYPE, CLASSES
from toolkit.data.tables import COUNTS, QUANTILE_NAMES, QUANTILES

WEEKS = 12
FIRST = date(2024, 1, 1)


@dataclass(frozen=True)
class MemoryRun:
    """A run whose tables are in memory: by version, all dates in one frame."""

    dates: tuple[date, ...]
    pair_tables: dict[str, pd.DataFrame]
    week_tables: dict[str, pd.DataFrame]

    @property
    def horizon_weeks(self):
        return WEEKS

    @property
    def versions(self):
        return tuple(dict.fromkeys([*self.pair_tables, *self.week_tables]))

    def pairs(self, version, as_of=None, columns=None):
        return _part(self.pair_tables.get(version), as_of, columns)

    def product_weeks(self, version, as_of=None, columns=None):
        return _part(self.week_tables.get(version), as_of, columns)

    def totals(self, version, as_of=None, columns=None):
        return pd.DataFrame()

    def categories(self, version, as_of=None, columns=None):
        return pd.DataFrame()


def _part(frame, as_of, columns):
    if frame is None:
        return pd.DataFrame()
    rows = frame if as_of is None else frame[frame["as_of_date"] == pd.Timestamp(as_of)]
    wanted = rows if columns is None else rows[[*columns, "as_of_date"]]
    return wanted.reset_index(drop=True) if len(wanted) else pd.DataFrame()


@dataclass(frozen=True)
class World:
    """Pairs with a weekly rate each, and what they ordered after every date."""

    customer: np.ndarray  # [pairs]
    product: np.ndarray  # [pairs]
    rate: np.ndarray  # [pairs], orders a week
    dates: tuple[date, ...]
    orders: np.ndarray  # [dates, pairs, weeks]

    @classmethod
    def make(cls, rng, pairs=1200, customers=150, products=30, dates=4, step_weeks=13):
        """Customers and products differ in size; horizons that overlap share their orders."""
        keys = rng.permutation(customers * products)[:pairs]
        customer, product = keys // products, keys % products
        rate = rng.gamma(2, 0.5, customers)[customer] * rng.gamma(2, 0.5, products)[product] * 0.2
        weeks = step_weeks * (dates - 1) + WEEKS
        orders = rng.poisson(rate[:, None], (pairs, weeks))
        starts = [step_weeks * i for i in range(dates)]
        return cls(
            customer,
            product,
            rate,
            tuple(FIRST + timedelta(weeks=start) for start in starts),
            np.stack([orders[:, start : start + WEEKS] for start in starts]),
        )

    def pair_table(self, rng, sigma):
        """What a version says whose log rates are off by Normal(0, ``sigma``)."""
        tables = []
        for day, orders in zip(self.dates, self.orders, strict=True):
            said = self.rate * np.exp(rng.normal(0, sigma, len(self.rate)))
            tables.append(self._pairs_at(rng, day, orders, said))
        return pd.concat(tables, ignore_index=True)

    def _pairs_at(self, rng, day, orders, said):
        week = np.where((orders > 0).any(1), (orders > 0).argmax(1), WEEKS)
        p_by_week = 1 - np.exp(-said[:, None] * np.arange(1, WEEKS + 1))
        count, expected = orders.sum(axis=1), WEEKS * said
        probability = poisson.pmf(np.arange(COUNTS), expected[:, None])
        probability[:, -1] = np.maximum(0, 1 - probability[:, :-1].sum(axis=1))
        p, ordered = p_by_week[:, 3], (week < 4).astype(float)
        history = np.random.default_rng(1)  # the same whichever the version is
        confidence = p_by_week[:, 5]
        return pd.DataFrame(
            {
                "as_of_date": pd.Timestamp(day),
                "customer_id": self.customer,
                "product_id": self.product,
                "order_count": history.integers(1, 15, len(said)),
                "customer_age_days": history.integers(1, 900, len(said)),
                "product_orders_before": 50 + 0 * self.product,
                "product_class": _classes(self.product),
                "confidence": confidence,
                "p_alive": 1.0,
                "expected_interval": 7 / said,
                "next_week": week.astype(np.int16),
                "next_day": np.where(week < WEEKS, 7.0 * week + 3, np.nan),
                "next_median_day": 7 * np.log(2) / said,
                "crps_next": metrics.crps_truncated(p_by_week, week),
                "pit_next": calibration.randomized_pit_weeks(
                    p_by_week, week, rng.random(len(said))
                ),
                "expected_orders": expected,
                "orders": count.astype(np.int16),
                "crps_orders": metrics.crps_counts(probability, count),
                "poisson_deviance": metrics.poisson_deviance(expected, count),
                "absolute_error": np.abs(
                    (np.cumsum(probability, axis=1) >= 0.5).argmax(axis=1) - count
                ),
                "p_order_28d": p,
                "ordered_28d": ordered,
                "log_loss": metrics.log_loss(p, ordered),
                "brier": metrics.brier(p, ordered),
                "hit": (week < 6).astype(float),
            }
        )

    def week_table(self, rng, sigma, draws=100):
        """What a version says of products whose log rates are off by Normal(0, ``sigma``)."""
        products = np.unique(self.product)
        rate = np.bincount(self.product, self.rate)[products]
        tables = []
        for day, orders in zip(self.dates, self.orders, strict=True):
            actual = np.stack([orders[self.product == p].sum(axis=0) for p in products])
            said = rate[:, None] * np.exp(rng.normal(0, sigma, actual.shape))
            tables.append(_weeks_at(rng, day, products, actual, said, draws))
        return pd.concat(tables, ignore_index=True)


def _weeks_at(rng, day, products, actual, said, draws):
    sample = rng.poisson(said.ravel()[:, None], (said.size, draws))
    quantity = actual.ravel().astype(float)
    product = np.repeat(products, WEEKS)
    return pd.DataFrame(
        {
            "as_of_date": pd.Timestamp(day),
            "product_id": product,
            "week": np.tile(np.arange(1, WEEKS + 1, dtype=np.int16), len(products)),
            "product_orders_before": np.where(product == products[-1], 9, 10),
            "product_class": _classes(product),
            "quantity": quantity,
            "expected_quantity": said.ravel(),
            **dict(zip(QUANTILE_NAMES, np.quantile(sample, QUANTILES, axis=1), strict=True)),
            "pit": calibration.randomized_pit_draws(sample, quantity, rng.random(said.size)),
            "crps": metrics.crps_draws(sample, quantity),
        }
    )


def _classes(product):
    return pd.Categorical.from_codes(product % len(CLASSES), dtype=CLASS_TYPE)


def make_run(rng, versions, **world) -> MemoryRun:
    """A run of ``versions``: by name, how far its log rates are off."""
    made = World.make(rng, **world)
    pairs = {name: made.pair_table(rng, sigma) for name, sigma in versions.items()}
    weeks = {name: made.week_table(rng, sigma) for name, sigma in versions.items()}
    return MemoryRun(made.dates, pairs, weeks)
