"""What came back, over all lines of a database or an import: for reports, not for forecasts."""

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np

from toolkit.data.tables import OrderEvents
from toolkit.errors import Finding
from toolkit.sources.codes import NO_CODES, Codes
from toolkit.sources.returns import RETURN_DAYS, offset_returns

OFFSET = (
    f"offset against the same customer's orders of the product, up to {RETURN_DAYS} days before"
)
"""What becomes of a return, to be told."""

_EXAMPLES = 5
_FIRST = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Returned:
    """Units returned in all, customer days with orders that it leaves nothing of, and the returns
    that reverse no order: those are in no forecast."""

    units: float
    cancelled: int
    unmatched: OrderEvents

    def __str__(self) -> str:
        """One phrase for a report."""
        left = float(self.unmatched.quantity.sum())
        return (
            f"returns, {OFFSET}: {self.units:,g} units; order events wholly cancelled: "
            f"{self.cancelled:,g}; reversing no order and left out: {left:,g} units"
        )

    def finding(self, table: str, codes: Codes = NO_CODES) -> Finding | None:
        """What reverses no order, with examples by their ``codes``; None where there is none."""
        found = self.unmatched
        if not len(found):
            return None
        days = np.datetime64(_FIRST, "D") + found.day  # Python's dates do not go back as far
        columns = (found.customer_id, found.product_id, days.astype(str), found.quantity)
        first = zip(*(column[:_EXAMPLES].tolist() for column in columns), strict=True)
        examples = tuple(
            f"customer {codes.code('customer', customer) or customer},"
            f" product {codes.code('product', product) or product}, {day}: {units:,g}"
            for customer, product, day, units in first
        )
        rule = (
            f"returns of {found.quantity.sum():,g} units reverse no order of the {RETURN_DAYS} days"
            " before, and are left out"
        )
        return Finding(table, rule, len(found), examples)


def returned(conn: duckdb.DuckDBPyConnection, lines: str) -> Returned:
    """Returns among ``lines``: SQL for product_id, customer_id, day (a date) and quantity.

    Lines without a finite day or quantity are left out.
    """
    net = conn.execute(f"""
        WITH lines AS ({lines}),
        returned AS (SELECT DISTINCT product_id, customer_id FROM lines WHERE quantity < 0)
        SELECT product_id, customer_id, day - DATE '{_FIRST}' AS day,
               CAST(sum(quantity) AS DOUBLE) AS quantity,
               CAST(coalesce(-sum(quantity) FILTER (quantity < 0), 0) AS DOUBLE) AS returned,
               bool_or(quantity > 0) AS ordered
        FROM lines SEMI JOIN returned USING (product_id, customer_id)
        WHERE isfinite(day) AND isfinite(CAST(quantity AS DOUBLE))
        GROUP BY ALL
        ORDER BY product_id, customer_id, day""").fetchnumpy()
    product_id, customer_id, day = (
        np.asarray(net[name], np.int64) for name in ("product_id", "customer_id", "day")
    )
    quantity = np.asarray(net["quantity"], np.float64)
    events, unmatched = offset_returns(OrderEvents(_FIRST, product_id, customer_id, day, quantity))
    cancelled = int(np.count_nonzero(net["ordered"])) - len(events)
    units = float(np.asarray(net["returned"], np.float64).sum())
    return Returned(units, cancelled, unmatched)
