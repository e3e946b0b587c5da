"""Months of orders, told apart by counts and sums: what of a copy is still the original.

The same queries run on SQL Server and on the copy. A row that was added, removed, changed or
moved to another day shows in at least one of the figures, and so does what two rows swap: all that
is summed is also summed by a weight that is each row's own. The sums are of whole numbers, and so
exact: of an amount, its whole part and its fraction in parts of 2^52 are summed, bit for bit the
same wherever floats are IEEE's. What does not show: another time of the same day, and one absurd
amount (beyond 2^52) in place of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from toolkit.sources.embedded.tables import OPTIONAL, TABLES

DATED = {
    "OrderItem": (("ID", "OrderID", "ProductID"), ("Qty", "PricePerItem")),
    "Order": (("ID", "ClientAgreementID"), ()),
}
"""The tables that are compared by months, their ids and their amounts."""

_WEIGHT = "CAST(t.ID % 2147483647 AS DECIMAL(10, 0))"
"""A row's own in a month, and small enough for sums of its products with ids of 64 bits."""

_CASTS = {
    "BIGINT": "CAST({} AS BIGINT)",
    "DOUBLE": "CAST({} AS DOUBLE PRECISION)",
    "TIMESTAMP": "CAST({} AS DATETIME2)",
    "VARCHAR": "{}",
}
_AS_TEXT = "CAST({} AS NVARCHAR(4000))"
_PARTS = "4503599627370496e0"  # 2^52: what a float has behind the point, times this, is whole
type Months = Mapping[date, "MonthSums"]


@dataclass(frozen=True, slots=True)
class MonthSums:
    """Count and sums of a month; equal ones can be of the same rows."""

    rows: int
    sums: tuple[Decimal | None, ...]


NO_FIGURES = MonthSums(0, ())


def months_query(table: str, only: str) -> str:
    """Figures of every month of a table, as far as a condition is met."""
    ids, amounts = DATED[table]
    whole = {"Day": "DAY(t.Created)", **{c: f"t.{c}" for c in ids}}
    for amount in amounts:
        whole |= _whole_and_parts(amount)
    sums = [
        "COUNT(*) AS Lines",
        *(f"SUM(CAST({value} AS DECIMAL(38, 0))) AS {c}Sum" for c, value in whole.items()),
        *(
            f"SUM({_WEIGHT} * CAST({value} AS DECIMAL(19, 0))) AS {c}Weighed"
            for c, value in whole.items()
            if c != "ID"
        ),
    ]
    listed = ",\n       ".join(sums)
    return f"""
SELECT YEAR(t.Created) AS OrderYear, MONTH(t.Created) AS OrderMonth,
       {listed}
FROM {relation(table)} t
WHERE {only}
GROUP BY YEAR(t.Created), MONTH(t.Created)"""


def count_query(table: str, only: str) -> str:
    """How many rows of a table meet a condition."""
    return f"SELECT COUNT(*) AS Lines FROM {relation(table)} t WHERE {only}"


def rows_query(table: str, only: str, optional: bool = False) -> str:
    """All columns of the rows that meet a condition, in the types of the copy.

    ``optional``: those that a table may have, too, which are text, whatever they are there.
    """
    casts = {column: _CASTS[type_] for column, type_ in TABLES[table].items()}
    casts |= dict.fromkeys(OPTIONAL.get(table, ()) if optional else (), _AS_TEXT)
    columns = ", ".join(f"{cast.format(f't.{c}')} AS {c}" for c, cast in casts.items())
    return f"""
SELECT {columns}
FROM {relation(table)} t
WHERE {only}"""


ALL = "1 = 1"
BEFORE = "t.Created < CAST(:end_date AS DATE)"
MONTH = "t.Created >= CAST(:first_date AS DATE)\n  AND t.Created < CAST(:end_date AS DATE)"
NEW_IN_MONTH = f"{MONTH}\n  AND (t.Created >= CAST(:known_date AS DATE) OR t.ID > :known_id)"
AHEAD = "t.Created >= CAST(:end_date AS DATE)"
WITHOUT_DATE = "t.Created IS NULL"


def months_of(rows: Sequence[Sequence[object]]) -> dict[date, MonthSums]:
    """The rows of ``months_query`` by the first day of the month."""
    return {
        date(int(str(year)), int(str(month)), 1): MonthSums(
            int(str(count)), tuple(None if v is None else Decimal(str(v)) for v in sums)
        )
        for year, month, count, *sums in rows
    }


def next_month(first: date) -> date:
    """The first day of the month after.

    >>> next_month(date(2024, 12, 1))
    datetime.date(2025, 1, 1)
    """
    return (first + timedelta(31)).replace(day=1)


def compared_from(until: date, months: int, known_until: date) -> date:
    """The first of so many months before a day, or of those since the copy was last whole.

    >>> compared_from(date(2024, 3, 1), 2, date(2024, 2, 20))
    datetime.date(2024, 1, 1)
    """
    first = until - timedelta(1)
    for _ in range(months - 1):
        first = first.replace(day=1) - timedelta(1)
    return min(first, known_until).replace(day=1)


def relation(table: str) -> str:
    """The table as queries write it; ``Order`` is a word of SQL."""
    return f'dbo."{table}"' if table == "Order" else f"dbo.{table}"


def _whole_and_parts(amount: str) -> dict[str, str]:
    """What is summed of an amount; of null, and of what is beyond 2^52, a number for each kind."""
    value = _CASTS["DOUBLE"].format(f"t.{amount}")
    small = f"WHEN ABS({value}) < {_PARTS}"
    others = f"WHEN {value} IS NULL THEN 7e15 WHEN {value} < 0 THEN 8e15 ELSE 9e15"
    parts = f"FLOOR(({value} - FLOOR({value})) * {_PARTS})"
    return {
        f"{amount}Whole": f"CAST(CASE {small} THEN FLOOR({value}) {others} END AS BIGINT)",
        f"{amount}Parts": f"CAST(CASE {small} THEN {parts} ELSE 0e0 END AS BIGINT)",
    }
