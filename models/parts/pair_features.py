"""What a pair, its customer and its product did before the as-of date, as columns for trees.

Every column is known at the date and the same whatever other pairs are in the table, as long as
all pairs of a product come together with all the days of their customers.
"""

import numpy as np

from toolkit.data.tables import CustomerDays, Floats, Ints, Patterns, ratio_of, sum_from
from toolkit.errors import ModelError

WINDOWS = (7, 14, 28, 56, 84, 168, 364)
"""Activity is counted over the last so many days."""
HALF_LIVES = (30, 90, 270)
YEAR_DAYS, HORIZON_DAYS = 364, 84

type FeatureColumns = dict[str, Floats]


def pair_features(patterns: Patterns) -> FeatureColumns:
    """Columns by name, each [pairs]; NaN where there is nothing to measure yet."""
    if patterns.customer_days is None:
        raise ModelError("the patterns come without their customers' order days")
    pair = _own(patterns)
    product = _product(patterns, pair)
    customer = _customer(patterns, patterns.customer_days)
    return pair | product | customer | _ratios(pair | product | customer)


def _own(patterns: Patterns) -> FeatureColumns:
    """The pair's own recency, frequency, intervals and sizes."""
    events, first = patterns.events, patterns.event_offset[:-1]
    last = patterns.event_offset[1:] - 1
    interval = np.diff(events.day, prepend=0).astype(float)
    interval[first] = np.nan
    before_last = np.where(patterns.order_count > 2, interval[np.maximum(last - 1, 0)], np.nan)
    weekly = np.where(np.isnan(interval), np.nan, interval % 7 == 0)
    counted = patterns.order_count.astype(float)
    return {
        "orders": counted,
        "age": -events.day[first].astype(float),
        "open_interval": patterns.open_interval,
        "mean_interval": patterns.mean_interval,
        "geometric_interval": np.exp(ratio_of(patterns.interval_log_sum, counted - 1)),
        "cv": patterns.cv,
        "last_interval": interval[last],
        "interval_before": before_last,
        "weekly_intervals": ratio_of(sum_from(weekly, first), counted - 1),
        "mean_quantity": patterns.total_quantity / counted,
        "last_quantity": events.quantity[last],
        "last_weekday": (events.day[last] % 7).astype(float),
        **_in_windows("orders", events.day, np.ones(len(events)), first),
        **{f"faded_{h}": sum_from(np.exp2(events.day / h), first) for h in HALF_LIVES},
    }


def _product(patterns: Patterns, pair: FeatureColumns) -> FeatureColumns:
    """The product's activity over all its customers."""
    _, offset = patterns.product_offsets()
    pairs = np.diff(offset)
    start = offset[:-1]
    counts = [name for name in pair if name.startswith(("orders_", "faded_"))]
    sums = {f"product_{name}": patterns.sum_by_product(pair[name]) for name in (*counts, "orders")}
    active = {
        f"product_customers_{days}": patterns.sum_by_product(
            (pair["open_interval"] <= days).astype(float)
        )
        for days in (28, 84)
    }
    by_product = {
        **sums,
        **active,
        "product_customers": pairs.astype(float),
        "product_repeats": patterns.sum_by_product((patterns.order_count > 1).astype(float))
        / pairs,
    }
    if len(pairs):
        by_product["product_silence"] = np.minimum.reduceat(pair["open_interval"], start)
        by_product["product_age"] = np.maximum.reduceat(pair["age"], start)
    else:
        by_product |= {"product_silence": np.zeros(0), "product_age": np.zeros(0)}
    return {name: np.repeat(values, pairs) for name, values in by_product.items()}


def _customer(patterns: Patterns, days: CustomerDays) -> FeatureColumns:
    """The customer's order days, of whatever product."""
    ids, start = np.unique(days.customer_id, return_index=True)
    end = np.append(start, len(days.day))[1:]
    row = np.searchsorted(ids, patterns.customer_id)
    products = days.products.astype(float)
    by_customer = {
        "customer_days": (end - start).astype(float),
        "customer_lines": sum_from(products, start),
        "customer_age": -days.day[start].astype(float),
        "customer_silence": -days.day[end - 1].astype(float),
        **_in_windows("customer_days", days.day, np.ones(len(days.day)), start),
        **_in_windows("customer_lines", days.day, products, start),
    }
    since = _days_after(days, row, start, -patterns.open_interval)
    after_first = _days_after(days, row, start, patterns.events.day[patterns.event_offset[:-1]])
    return {name: values[row] for name, values in by_customer.items()} | {
        "customer_days_since": since,
        "customer_days_after_first": after_first,
    }


def _ratios(c: FeatureColumns) -> FeatureColumns:
    """What trees would otherwise have to approximate by many splits."""
    return {
        "late": c["open_interval"] / c["mean_interval"],
        "late_by_last": c["open_interval"] / c["last_interval"],
        "late_by_days": c["customer_days_since"]
        * c["orders"]
        / (1 + c["customer_days_after_first"]),
        "share_of_days": c["orders"] / (1 + c["customer_days_after_first"]),
        "rate": c["orders"] / c["age"],
        "customer_rate": c["customer_days"] / c["customer_age"],
        "customer_trend": c["customer_lines_28"] / (1 + c["customer_lines_168"]),
        "product_trend": c["product_orders_28"] / (1 + c["product_orders_168"]),
        "product_pace": c["product_orders_84"] / c["product_customers"],
        "relative_pace": c["orders_84"] * c["product_customers"] / (1 + c["product_orders_84"]),
    }


def _in_windows(name: str, day: Ints, amount: Floats, start: Ints) -> FeatureColumns:
    """Sums of ``amount`` over each window, and over the horizon's days a year before."""
    a_year_ago = (day >= -YEAR_DAYS) & (day < HORIZON_DAYS - YEAR_DAYS)
    windows = {
        f"{name}_{days}": sum_from(np.where(day >= -days, amount, 0.0), start) for days in WINDOWS
    }
    return windows | {f"{name}_year_ago": sum_from(np.where(a_year_ago, amount, 0.0), start)}


def _days_after(days: CustomerDays, row: Ints, start: Ints, day: Floats | Ints) -> Floats:
    """How many of the customer's order days lie after ``day`` [pairs]."""
    past = -int(days.day.min(initial=-1)) + 1
    owner = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(days.day))))
    key = owner * past + days.day + past  # ascending, as the rows are
    end = np.searchsorted(key, row * past + past, side="left")
    return (end - np.searchsorted(key, row * past + day + past, side="right")).astype(float)
