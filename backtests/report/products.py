"""Forecasts against actuals: which products the page holds, and their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtests.run.folder import RunFolder
from backtests.scores.metrics import pinball
from backtests.scores.score import read_table
from toolkit.data.tables import QUANTILE_NAMES, QUANTILES

BUSIEST, DISPUTED, MISSED = 20, 10, 10
WHY = {
    "busiest": "Most orders",
    "disputed": "Versions differ most",
    "missed": "Missed by every version",
}
COLUMNS = ("product_id", "week", "quantity", "expected_quantity", *QUANTILE_NAMES)
FAN = (*QUANTILE_NAMES, "expected_quantity")
"""What is drawn of a forecast, in this order."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A product on the page, and why it is: a key of ``WHY``."""

    product_id: int
    why: str


def week_tables(run: RunFolder) -> dict[str, pd.DataFrame]:
    """The headline's product-weeks of each version that has any, all dates together."""
    tables = {version: _numbers(run, version) for version in run.versions}
    return {version: table for version, table in tables.items() if len(table)}


def choose(tables: Mapping[str, pd.DataFrame]) -> tuple[Chosen, ...]:
    """The busiest products, then of the busier half those that are disputed or missed."""
    if not tables:
        return ()
    losses = product_losses(tables)
    orders = next(iter(tables.values())).groupby("product_id")["product_orders_before"].max()
    losses = losses.dropna()
    orders = orders.reindex(losses.index).sort_values(ascending=False, kind="stable")
    rest = losses.loc[orders.index[BUSIEST : max(len(orders) // 2, BUSIEST)]]
    spread = (rest.max(axis=1) - rest.min(axis=1)).sort_values(ascending=False, kind="stable")
    disputed = spread.index[:DISPUTED] if len(tables) > 1 else spread.index[:0]
    least = rest.drop(disputed).min(axis=1).sort_values(ascending=False, kind="stable")
    found = {
        "busiest": orders.index[:BUSIEST],
        "disputed": disputed,
        "missed": least.index[:MISSED],
    }
    return tuple(Chosen(int(id_), why) for why, ids in found.items() for id_ in ids)


def product_losses(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Weighted quantile loss of each product (rows) and version (columns), all dates together."""
    return pd.DataFrame({version: _losses(table) for version, table in tables.items()})


def series(tables: Mapping[str, pd.DataFrame], product_id: int) -> dict[str, object]:
    """A product's numbers: ``actual`` [dates][weeks], ``fans`` [version][date][FAN][weeks].

    Dates and versions are keys; a version that says nothing of a product at a date lacks it.
    """
    actual: dict[str, list[float]] = {}
    fans: dict[str, dict[str, list[list[float]]]] = {}
    for version, table in tables.items():
        for moment, rows in table[table["product_id"] == product_id].groupby("as_of_date"):
            day = f"{moment:%Y-%m-%d}"
            actual[day] = rounded(rows["quantity"])
            fans.setdefault(version, {})[day] = [rounded(rows[name]) for name in FAN]
    return {"actual": actual, "fans": fans}


def rounded(values: pd.Series) -> list[float]:
    """Numbers to three digits, whole ones as such: more cannot be seen, and would weigh more."""
    return [int(v) if v.is_integer() else v for v in map(_three_digits, values.tolist())]


def _three_digits(value: float) -> float:
    return round(value) * 1.0 if abs(value) >= 1000 else float(f"{value:.3g}")


def _numbers(run: RunFolder, version: str) -> pd.DataFrame:
    table = read_table(run, "product_weeks", version, None, COLUMNS)
    return table if table.empty else table.sort_values(["as_of_date", "product_id", "week"])


def _losses(table: pd.DataFrame) -> "pd.Series[float]":
    quantity = table["quantity"].to_numpy(np.float64)
    quantiles = table[list(QUANTILE_NAMES)].to_numpy(np.float64)
    loss = 2 * pinball(quantiles, QUANTILES, quantity).mean(axis=1)
    sums = (
        pd.DataFrame({"loss": loss, "quantity": quantity})
        .groupby(table["product_id"].to_numpy())
        .sum()
    )
    return sums["loss"] / sums["quantity"].where(sums["quantity"] > 0)
