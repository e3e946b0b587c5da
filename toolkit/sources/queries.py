"""The queries, each in SQL that DuckDB and SQL Server (2016 on) both take.

One has a second form, for SQL Server: there it saves reading all lines of a product.

All but names, categories and the last are of what was known before a date.
Parameters are named ``:name``; a list stands in ``IN (:name)``. A dialect (``sql.py``) puts
them into the form its driver binds. An order line counts only if both it and its order were
created before the as-of date: lines are added to old orders, and orders are dated ahead.
"""

from dataclasses import dataclass

from toolkit.sources.embedded.tables import TABLES
from toolkit.sources.prices import RECENT_LINES

FRACTION_DIGITS = 6
"""Net quantities are rounded to so many digits: beyond, the order of adding floats shows."""

_IDS = "int64"
_DAYS = "datetime64[D]"
_NUMBERS = "float64"
_TEXTS = "object"

_KNOWN = """o.Created < CAST(:as_of_date AS DATE)
  AND oi.Created < CAST(:as_of_date AS DATE)"""


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what it reads: ``dtypes`` are the NumPy types of its columns, in order.

    ``tsql``: the same for SQL Server, where another form is faster.
    """

    subject: str
    sql: str
    dtypes: tuple[str, ...]
    tsql: str = ""


def _order_events(only: str) -> Query:
    return Query(
        "order events",
        f"""
SELECT oi.ProductID, ca.ClientID, CAST(oi.Created AS DATE) AS OrderDay, SUM(oi.Qty) AS Quantity
FROM dbo.OrderItem oi
INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
WHERE {_KNOWN}
  AND ca.ClientID IS NOT NULL
  AND {only}
GROUP BY oi.ProductID, ca.ClientID, CAST(oi.Created AS DATE)
ORDER BY oi.ProductID, ca.ClientID, CAST(oi.Created AS DATE)""",
        (_IDS, _IDS, _DAYS, _NUMBERS),
    )


ORDER_EVENTS = _order_events("oi.ProductID IS NOT NULL")
"""Every product's order events: product, customer, day, net quantity."""

ORDER_EVENTS_OF_PRODUCTS = _order_events("oi.ProductID IN (:product_ids)")
"""The same for a list of products."""

_OF_CUSTOMERS = f"""FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
    WHERE {_KNOWN}
      AND oi.ProductID IS NOT NULL
      AND ca.ClientID IN (:customer_ids)"""

_HAS_RETURNS = "CASE WHEN returned.ClientID IS NULL THEN 0 ELSE 1 END"


def _customer_days(apart: str) -> Query:
    return Query(
        "customers' order days",
        f"""
SELECT net.ClientID, net.OrderDay, {_HAS_RETURNS} AS HasReturns,
       COALESCE(returned.ProductID, 0) AS ProductID, COUNT(*) AS Products,
       SUM(CASE WHEN returned.ClientID IS NULL THEN 0 ELSE net.Quantity END) AS Quantity
FROM (
    SELECT ca.ClientID, oi.ProductID, CAST(oi.Created AS DATE) AS OrderDay,
           SUM(oi.Qty) AS Quantity
    {_OF_CUSTOMERS}
    GROUP BY ca.ClientID, oi.ProductID, CAST(oi.Created AS DATE)
) net
LEFT JOIN (
    SELECT DISTINCT ca.ClientID, oi.ProductID
    {_OF_CUSTOMERS}
      AND {apart}
) returned ON returned.ClientID = net.ClientID AND returned.ProductID = net.ProductID
WHERE returned.ClientID IS NOT NULL
   OR COALESCE(ROUND(net.Quantity, {FRACTION_DIGITS}), 1) > 0
GROUP BY net.ClientID, net.OrderDay, {_HAS_RETURNS}, COALESCE(returned.ProductID, 0)
ORDER BY net.ClientID, net.OrderDay""",
        (_IDS, _DAYS, _IDS, _IDS, _IDS, _NUMBERS),
    )


CUSTOMER_DAYS = _customer_days("oi.Qty < 0")
"""Days on which customers ordered anything, and how many products.

A product that the customer returned any of has rows of its own, with its net quantity, so that
returns can be offset; ``HasReturns`` is 1 there. An order of no known quantity is one, too.
"""

CUSTOMER_DAYS_OF_HEIRS = _customer_days("(oi.Qty < 0 OR oi.ProductID IN (:product_ids))")
"""The same, and products that were replaced or took another's place have such rows, too."""

ORDERED_PRODUCTS = Query(
    "customers' products",
    f"""
SELECT DISTINCT oi.ProductID
FROM dbo.OrderItem oi
INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
WHERE {_KNOWN}
  AND oi.ProductID IS NOT NULL
  AND ca.ClientID IN (:customer_ids)""",
    (_IDS,),
)
"""Products of which customers ordered anything, returned or not."""


def _ids_known(column: str, subject: str) -> Query:
    return Query(
        subject,
        f"""
SELECT DISTINCT {column}
FROM dbo.OrderItem oi
INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
INNER JOIN dbo.ClientAgreement ca ON ca.ID = o.ClientAgreementID
WHERE {_KNOWN}
  AND oi.ProductID IS NOT NULL
  AND ca.ClientID IS NOT NULL
ORDER BY {column}""",
        (_IDS,),
    )


PRODUCTS_KNOWN = _ids_known("oi.ProductID", "ordered products")
"""Products that anybody ordered, ascending."""

CUSTOMERS_KNOWN = _ids_known("ca.ClientID", "customers with orders")
"""Customers who ordered anything, ascending."""

DIGESTS = Query(
    "whether orders have changed",
    " UNION ALL ".join(
        f"SELECT '{table}', COUNT(*), CAST(SUM(HASH({', '.join(TABLES[table])})) AS VARCHAR)"
        f' FROM dbo."{table}"'
        for table in ("OrderItem", "Order", "ClientAgreement", "Product")
    )
    + " UNION ALL SELECT 'time zone', 0, CURRENT_SETTING('TimeZone')",
    (_TEXTS, _IDS, _TEXTS),
)
"""What each table holds, in a number of its rows: DuckDB adds a million up in 20 ms.

The zone tells on which days times are that have an offset.
"""

_PRICED = f"""{_KNOWN}
      AND oi.PricePerItem > 0
      AND oi.Qty > 0"""

PRODUCTS = Query(
    "products",
    f"""
SELECT p.ID, p.Name, priced.OrderDay, priced.PricePerItem, priced.Qty
FROM dbo.Product p
LEFT JOIN (
    SELECT oi.ProductID, CAST(oi.Created AS DATE) AS OrderDay, oi.PricePerItem, oi.Qty,
           ROW_NUMBER() OVER (
               PARTITION BY oi.ProductID ORDER BY oi.Created DESC, oi.ID DESC
           ) AS Recency
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    WHERE {_PRICED}
      AND oi.ProductID IN (:product_ids)
) priced ON priced.ProductID = p.ID AND priced.Recency <= {RECENT_LINES}
WHERE p.ID IN (:product_ids)""",
    (_IDS, _TEXTS, _DAYS, _NUMBERS, _NUMBERS),
    f"""
SELECT p.ID, p.Name, priced.OrderDay, priced.PricePerItem, priced.Qty
FROM dbo.Product p
OUTER APPLY (
    SELECT TOP ({RECENT_LINES}) CAST(oi.Created AS DATE) AS OrderDay, oi.PricePerItem, oi.Qty
    FROM dbo.OrderItem oi
    INNER JOIN dbo."Order" o ON o.ID = oi.OrderID
    WHERE {_PRICED}
      AND oi.ProductID = p.ID
    ORDER BY oi.Created DESC, oi.ID DESC
) priced
WHERE p.ID IN (:product_ids)""",
)
"""Name and last lines with a price before the date, a row each; one without them where none is.

Of several lines at one instant those of the highest ids are the last.
"""

_PRODUCT_COLUMNS = """
SELECT c.TABLE_SCHEMA, c.COLUMN_NAME
FROM INFORMATION_SCHEMA.COLUMNS c
WHERE c.TABLE_NAME IN (:tables)"""

PRODUCT_COLUMNS = Query(
    "columns of products",
    f"{_PRODUCT_COLUMNS} AND c.TABLE_CATALOG = CURRENT_DATABASE()",
    (_TEXTS, _TEXTS),
    _PRODUCT_COLUMNS,
)
"""What columns tables of some names have, in any schema."""


def _categories(only: str) -> Query:
    return Query(
        "categories of products",
        f"""
SELECT p.ID, p.Category
FROM dbo.Product p
WHERE p.Category IS NOT NULL{only}""",
        (_IDS, _TEXTS),
    )


CATEGORIES = _categories("")
"""The category of every product that has one; no order tells of it, and it has no date."""

CATEGORIES_OF_PRODUCTS = _categories(" AND p.ID IN (:product_ids)")
"""The same for a list of products."""

CUSTOMER_NAMES = Query(
    "customer names",
    """
SELECT c.ID, c.Name
FROM dbo.Client c
WHERE c.ID IN (:customer_ids) AND c.Name IS NOT NULL""",
    (_IDS, _TEXTS),
)
"""Names of those of the customers that have one."""

ALL_NAMES = {
    "product": Query(
        "product names",
        """
SELECT p.ID, p.Name
FROM dbo.Product p
WHERE p.Name IS NOT NULL""",
        (_IDS, _TEXTS),
    ),
    "customer": Query(
        "customer names",
        """
SELECT c.ID, c.Name
FROM dbo.Client c
WHERE c.Name IS NOT NULL""",
        (_IDS, _TEXTS),
    ),
}
"""All names there are, by kind: to find an id by, never to make a forecast."""

LAST_DAY = Query(
    "the last day of the orders",
    """
SELECT CAST(MAX(oi.Created) AS DATE) AS LastDay
FROM dbo.OrderItem oi
WHERE oi.Created < CAST(:today AS DATE)""",
    (_DAYS,),
)
"""The last day before today on which anything was ordered; null if nothing was."""
