"""Files of order lines as people have them, and what an import makes of them."""

import pytest

from toolkit.errors import DataError
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.open import file_address, open_source

HEADER = "order_id,customer_id,product_id,ordered_at,quantity,unit_price"


def written(path, *lines, header=HEADER, encoding="utf-8"):
    path.write_bytes("\n".join([header, *lines, ""]).encode(encoding))
    return path


def lines_of(target):
    with open_database(target) as conn:
        return conn.execute(
            "SELECT o.ClientAgreementID, i.ProductID, i.Created, i.Qty, i.PricePerItem"
            ' FROM dbo.OrderItem i JOIN dbo."Order" o ON o.ID = i.OrderID ORDER BY o.ID, i.ID'
        ).fetchall()


def names_of(target, table):
    with open_database(target) as conn:
        return dict(conn.execute(f'SELECT ID, Name FROM dbo."{table}" ORDER BY 1').fetchall())


def codes_of(target, kind):
    with open_source(file_address(target)) as opened:
        ids = names_of(target, "Client" if kind == "customer" else "Product")
        return sorted(opened.codes.code(kind, number) for number in ids)


def failures(path, target, mapping=None, **more):
    with pytest.raises(DataError) as caught:
        import_orders([path], target, mapping or OrderMapping(), **more)
    assert not target.exists()
    return [str(finding) for finding in caught.value.findings]


def notices(report):
    return [str(notice) for notice in report.notices]
