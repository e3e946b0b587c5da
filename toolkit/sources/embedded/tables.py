"""The tables of an order database, as production has them in SQL Server."""

TABLES = {
    "Client": {"ID": "BIGINT", "Name": "VARCHAR"},
    "ClientAgreement": {"ID": "BIGINT", "ClientID": "BIGINT"},
    "Order": {"ID": "BIGINT", "ClientAgreementID": "BIGINT", "Created": "TIMESTAMP"},
    "OrderItem": {
        "ID": "BIGINT",
        "OrderID": "BIGINT",
        "ProductID": "BIGINT",
        "Qty": "DOUBLE",
        "PricePerItem": "DOUBLE",
        "Created": "TIMESTAMP",
    },
    "Product": {"ID": "BIGINT", "Name": "VARCHAR"},
}
"""The tables of schema ``dbo``, with their columns and types."""

OPTIONAL = {"Product": {"Category": "VARCHAR"}}
"""Columns that a table may have, too: a database without them is as good."""
