"""Orders drawn from a known truth, millions of lines in seconds, for tests and benchmarks.

A pair (customer, product) with typical interval μ, the product of a customer's and a product's
effect, has the rate λ ~ Gamma(a, rate a·μ). After its first order it reorders after intervals
x ~ Gamma(k, rate k·λ), in whole days max(1, ⌊x + ½⌋), and lapses after each order with
probability π. Season runs as operational time; some customers order on one weekday only.
With ``new_pairs=1`` every pair's first order lies inside the span, so that its orders are an
ordinary renewal process from the first recorded one. Nothing here knows an as-of date.
"""

import math
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.data.tables import DAYS_PER_WEEK, Floats, Ints
from toolkit.sources.embedded.database import create_tables, fill_tables

FIRST_CUSTOMER_ID = 100_001  # far from product ids, so that a mix-up shows
MONTHS = 12


@dataclass(frozen=True, slots=True)
class Truth:
    """What orders are drawn from. Shares and probabilities lie in [0, 1], spreads are ≥ 0.

    Raises ``ValueError`` for settings that no orders can be drawn from.
    """

    customers: int = 300
    products: int = 200
    pairs: int = 20_000
    customers_per_product: tuple[int, ...] = ()
    """Exactly so many customers for each product, in place of ``products`` and ``pairs``."""
    popularity_spread: float = 1.0
    """Standard deviation of the log of the products' expected shares of the pairs."""
    start_date: date = date(2021, 1, 4)
    days: int = 3 * 364
    interval_days: float = 28.0
    """The typical interval of a middling customer and product."""
    customer_spread: float = 0.3
    """Standard deviation of a customer's effect on log μ."""
    product_spread: float = 0.3
    """Standard deviation of a product's effect on log μ."""
    heterogeneity: float = 4.0
    """a; infinite: every pair has the rate 1/μ."""
    regularity: float | tuple[float, ...] = 2.0
    """k, of all products or of each."""
    lapse: float = 0.02
    """π."""
    new_pairs: float = 0.3
    """Share of pairs whose first order is uniform over the span; the others' lies before it."""
    arrival_days: int | None = None
    """First orders of new pairs lie within so many days of the start; None: the whole span."""
    run_in_days: int = 364
    """First orders of the other pairs are uniform over so many days before the start."""
    season: tuple[float, ...] = (1.0,) * MONTHS
    """Order rate by calendar month, relative to the mean over the months."""
    weekly_grid: float = 0.0
    """Share of customers who order on a weekday of their own only."""
    usual_size: float = 0.7
    """Probability that an order has its pair's usual size, else one of the product's."""
    sizes: tuple[int, ...] = (1, 2, 3, 6, 12, 24, 48)
    price: float = 10.0
    """Median price; each product's differs."""
    price_drift: float = 0.03
    """Mean growth of the products' prices in a year."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        cells = self.customers * self.product_count
        wrong = {
            "customers and products must be at least 1": cells < 1,
            f"pairs must lie in 1 … {cells}": not 1 <= self.pair_count <= cells,
            "a product has at most all customers": max(self.customers_per_product, default=0)
            > self.customers,
            "days, run_in_days, interval_days and price must be above 0": min(
                self.days, self.run_in_days, self.interval_days, self.price
            )
            <= 0,
            "arrival_days must lie in 1 … days": not 1
            <= (self.arrival_days or self.days)
            <= self.days,
            "heterogeneity and regularity must be above 0": min(
                self.heterogeneity, *np.ravel(self.regularity)
            )
            <= 0,
            "regularity must be one number or one per product": np.size(self.regularity)
            not in (1, self.product_count),
            "season must be 12 factors above 0": len(self.season) != MONTHS
            or min(self.season) <= 0,
            "lapse, new_pairs, weekly_grid and usual_size must lie in 0 … 1": not all(
                0 <= share <= 1
                for share in (self.lapse, self.new_pairs, self.weekly_grid, self.usual_size)
            ),
        }
        for rule, broken in wrong.items():
            if broken:
                raise ValueError(rule)

    @property
    def product_count(self) -> int:
        """Number of products."""
        return len(self.customers_per_product) or self.products

    @property
    def pair_count(self) -> int:
        """Number of pairs."""
        return sum(self.customers_per_product) or self.pairs


@dataclass(frozen=True, slots=True)
class GeneratedOrders:
    """Drawn orders, as the three tables of a folder, and the truth of each pair.

    ``pairs`` has the columns ``product_id, customer_id, typical_interval`` (μ), ``rate`` (λ),
    ``regularity`` (k), ``usual_size, weekday`` (−1: any), ``first_day, alive_until``: days from
    the start date; ``alive_until`` is the day of the order after which the pair lapsed, or the
    number of days of the span. Rows are sorted by product and customer.
    """

    truth: Truth
    order_lines: pd.DataFrame
    products: pd.DataFrame
    customers: pd.DataFrame
    pairs: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Each pair's truth, and where it is on the way through its orders."""

    product: Ints  # [pairs]
    customer: Ints  # [pairs]
    typical_interval: Floats  # [pairs]
    rate: Floats  # [pairs]
    regularity: Floats  # [pairs]
    weekday: Ints  # [pairs]
    first_day: Ints  # [pairs]


def generate_orders(truth: Truth, seed: int) -> GeneratedOrders:
    """Draw orders. The same truth and seed give the same orders.

    >>> orders = generate_orders(Truth(customers=20, products=5, pairs=60), seed=1)
    >>> len(orders.pairs)
    60
    """
    rng = np.random.default_rng(seed)
    pairs = _draw_pairs(truth, rng)
    pair, day, alive_until = _draw_orders(truth, pairs, rng)
    usual, quantity = _draw_sizes(truth, pairs, pair, rng)
    price = _draw_prices(truth, pairs.product[pair], day, rng)
    return GeneratedOrders(
        truth=truth,
        order_lines=_order_lines(truth, pairs, pair=pair, day=day, quantity=quantity, price=price),
        products=_named("product_id", 1, truth.product_count, "Article"),
        customers=_named("customer_id", FIRST_CUSTOMER_ID, truth.customers, "Shop"),
        pairs=_pairs_frame(pairs, usual, alive_until),
    )


def load_orders(orders: GeneratedOrders, conn: duckdb.DuckDBPyConnection) -> None:
    """Put the orders into the tables of an empty DuckDB database, created here."""
    create_tables(conn)
    for table in ("order_lines", "products", "customers"):
        conn.register(f"generated_{table}", getattr(orders, table))
    fill_tables(conn, "generated_order_lines", "generated_products", "generated_customers")
    for table in ("order_lines", "products", "customers"):
        conn.unregister(f"generated_{table}")


def _draw_pairs(truth: Truth, rng: np.random.Generator) -> _Pairs:
    product, customer = _draw_cells(truth, rng)
    effect_of_customer = rng.normal(0.0, truth.customer_spread, truth.customers)
    effect_of_product = rng.normal(0.0, truth.product_spread, truth.product_count)
    effects = effect_of_customer[customer] + effect_of_product[product]
    typical = truth.interval_days * np.exp(effects)
    per_product = np.broadcast_to(np.asarray(truth.regularity, float), truth.product_count)
    weekdays = rng.integers(0, DAYS_PER_WEEK, truth.customers)
    on_grid = rng.random(truth.customers) < truth.weekly_grid
    weekday = np.where(on_grid, weekdays, -1)[customer]
    return _Pairs(
        product=product,
        customer=customer,
        typical_interval=typical,
        rate=_draw_rates(truth.heterogeneity, typical, rng),
        regularity=per_product[product],
        weekday=weekday,
        first_day=_draw_first_days(truth, weekday, rng),
    )


def _draw_cells(truth: Truth, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Distinct (product, customer) index pairs, sorted."""
    counts = np.array(truth.customers_per_product, dtype=np.int64)
    if not len(counts):
        counts = _draw_counts(truth, rng)
    chosen = [np.sort(rng.permutation(truth.customers)[:count]) for count in counts]
    return np.repeat(np.arange(len(counts)), counts), np.concatenate(chosen)


def _draw_counts(truth: Truth, rng: np.random.Generator) -> Ints:
    """Customers of each product: by popularity, none above all customers, ``pairs`` in all."""
    weight = np.exp(rng.normal(0.0, truth.popularity_spread, truth.products))
    counts = np.zeros(truth.products, dtype=np.int64)
    while (missing := truth.pairs - counts.sum()) > 0:
        free = np.where(counts < truth.customers, weight, 0.0)
        counts += rng.multinomial(missing, free / free.sum())
        counts = np.minimum(counts, truth.customers)
    return counts


def _draw_rates(a: float, typical: Floats, rng: np.random.Generator) -> Floats:
    return 1.0 / typical if math.isinf(a) else rng.gamma(a, 1.0 / (a * typical))


def _draw_first_days(truth: Truth, weekday: Ints, rng: np.random.Generator) -> Ints:
    pairs = len(weekday)
    inside = rng.integers(0, truth.arrival_days or truth.days, pairs)
    before = rng.integers(-truth.run_in_days, 0, pairs)
    is_new = rng.random(pairs) < truth.new_pairs
    day = np.where(is_new, inside, before)
    day = _on_weekday(day, weekday, earliest=day)
    return np.where(day < truth.days, day, day - DAYS_PER_WEEK)


def _draw_orders(truth: Truth, pairs: _Pairs, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Pair and day of each order inside the span, sorted; and until when each pair lives."""
    clock = _Clock(truth)
    alive_until = np.full(len(pairs.product), truth.days, dtype=np.int64)
    pair = np.arange(len(pairs.product))
    day = pairs.first_day
    drawn: list[tuple[Ints, Ints]] = []
    while len(pair):
        drawn.append((pair, day))
        lapsed = rng.random(len(pair)) < truth.lapse
        alive_until[pair[lapsed]] = day[lapsed]
        pair, day = pair[~lapsed], day[~lapsed]
        k = pairs.regularity[pair]
        later = clock.after(day, rng.gamma(k, 1.0 / (k * pairs.rate[pair])))
        day = _on_weekday(later, pairs.weekday[pair], day + 1)
        inside = day < truth.days
        pair, day = pair[inside], day[inside]
    all_pairs, all_days = (np.concatenate(column) for column in zip(*drawn, strict=True))
    recorded = (all_days >= 0) & (all_days < truth.days)
    order = np.lexsort((all_days[recorded], all_pairs[recorded]))
    return all_pairs[recorded][order], all_days[recorded][order], alive_until


def _on_weekday(day: Ints, weekday: Ints, earliest: Ints) -> Ints:
    """The nearest day that is the weekday (−1: any) and not before ``earliest``.

    Weekdays count from the start date's: weekday 0 is the start date's own.
    """
    half = DAYS_PER_WEEK // 2
    near = day - half + (weekday - day + half) % DAYS_PER_WEEK
    near = np.where(near < earliest, near + DAYS_PER_WEEK, near)
    return np.where(weekday < 0, day, near)


class _Clock:
    """Operational time: days of months with a high season factor hold more of it.

    A day reaches from half a day before its number to half a day after it, an order lies in the
    middle of its day; without season, intervals are then rounded to the nearest whole day.
    """

    def __init__(self, truth: Truth) -> None:
        first, last = -truth.run_in_days - DAYS_PER_WEEK, truth.days + DAYS_PER_WEEK
        dates = np.datetime64(truth.start_date, "D") + np.arange(first, last)
        month = dates.astype("datetime64[M]").astype(np.int64) % MONTHS
        length = np.array(truth.season)[month] / np.mean(truth.season)
        self._first = first
        self._start: Floats = np.concatenate([[0.0], np.cumsum(length)])
        self._middle: Floats = self._start[:-1] + length / 2

    def after(self, day: Ints, interval: Floats) -> Ints:
        """The day on which an interval ends that begins on ``day``; at least the next day."""
        end = self._middle[day - self._first] + interval
        reached = np.searchsorted(self._start, end, side="right") - 1 + self._first
        return np.maximum(day + 1, reached)


def _draw_sizes(
    truth: Truth, pairs: _Pairs, pair: Ints, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Each pair's usual size, and each order's."""
    sizes = np.array(truth.sizes)
    weights = rng.dirichlet(np.ones(len(sizes)), truth.product_count)
    reached = np.cumsum(weights, axis=1)[:, :-1]  # [products, sizes - 1]

    def draw(product: Ints) -> Ints:
        uniform = rng.random(len(product))
        index = np.zeros(len(product), dtype=np.int64)
        for edge in reached.T:
            index += uniform > edge[product]
        drawn: Ints = sizes[index]
        return drawn

    usual = draw(pairs.product)
    is_usual = rng.random(len(pair)) < truth.usual_size
    quantity = np.where(is_usual, usual[pair], draw(pairs.product[pair]))
    return usual, quantity.astype(np.float64)


def _draw_prices(truth: Truth, product: Ints, day: Ints, rng: np.random.Generator) -> Floats:
    """Each product's price on a day, in cents rounded, stepping once a month."""
    base = truth.price * np.exp(rng.normal(0.0, 0.6, truth.product_count))
    growth = rng.normal(truth.price_drift, 0.02, truth.product_count)
    years = (day // 30) * 30 / 365.0
    return np.maximum(0.01, np.round(base[product] * np.exp(growth[product] * years), 2))


def _order_lines(
    truth: Truth, pairs: _Pairs, *, pair: Ints, day: Ints, quantity: Floats, price: Floats
) -> pd.DataFrame:
    """One line per order event; what a customer orders on one day is one order."""
    customer = pairs.customer[pair]
    _, order = np.unique(day * truth.customers + customer, return_inverse=True)
    ordered_at = np.datetime64(truth.start_date, "s") + day.astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "order_id": order + 1,
            "customer_id": customer + FIRST_CUSTOMER_ID,
            "product_id": pairs.product[pair] + 1,
            "ordered_at": ordered_at,
            "quantity": quantity,
            "unit_price": price,
        }
    )


def _named(column: str, first_id: int, count: int, noun: str) -> pd.DataFrame:
    ids: NDArray[np.int64] = np.arange(first_id, first_id + count)
    return pd.DataFrame({column: ids, "name": [f"{noun} {i}" for i in ids]})


def _pairs_frame(pairs: _Pairs, usual: Ints, alive_until: Ints) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": pairs.product + 1,
            "customer_id": pairs.customer + FIRST_CUSTOMER_ID,
            "typical_interval": pairs.typical_interval,
            "rate": pairs.rate,
            "regularity": pairs.regularity,
            "usual_size": usual,
            "weekday": pairs.weekday,
            "first_day": pairs.first_day,
            "alive_until": alive_until,
        }
    )
