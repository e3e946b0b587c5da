"""Replaced products beside the orders of a server."""

from contextlib import closing
from datetime import date

import pytest

from tests.sources.sales import QUICK
from tests.sources.test_sqlserver_keys import TEXT, WRITTEN, change_keys
from toolkit.data.ids import number_of
from toolkit.errors import DataError
from toolkit.sources.base import replacements_of
from toolkit.sources.embedded.database import open_database
from toolkit.sources.replaced import Replaced
from toolkit.sources.sql import as_source
from toolkit.sources.sqlserver.importer import import_server


def test_products_that_others_replaced_are_those_of_the_last_import(sales, target, tmp_path):
    file = tmp_path / "replaces.csv"
    one, other = (i for (i,) in sales.duck.execute("SELECT ID FROM dbo.Product").fetchmany(2))

    def run(replaces, *lines):
        file.write_text("\n".join(["old_product,new_product,date", *lines]))
        with closing(sales.steady()) as connection:
            import_server(connection, target, "sql:1433/Sales", replaces=replaces, patience=QUICK)
        with closing(open_database(target)) as copy:
            return replacements_of(as_source(copy)).each

    assert run(file, f"{one},{other},2021-08-02") == (Replaced(one, other, date(2021, 8, 2)),)
    with pytest.raises(DataError, match=r"product is unknown .1 row; e.g. line 2: 999999."):
        run(file, f"{one},999999,2021-08-02")
    assert run(file, f"{other},{one},2021-08-02") == (Replaced(other, one, date(2021, 8, 2)),)
    assert run(None) == ()


def test_they_are_named_by_their_codes_where_keys_are_text(sales, target, tmp_path):
    (one, code), (other, heir) = (
        (number_of(code), code) for code in (WRITTEN[TEXT].format(i) for i in (1, 2))
    )
    change_keys(sales.duck, TEXT)
    file = tmp_path / "replaces.csv"

    def run(*lines):
        file.write_text("\n".join(["old_product,new_product,date", *lines]), encoding="utf-8")
        with closing(sales.steady()) as connection:
            import_server(connection, target, "sql:1433/Sales", replaces=file, patience=QUICK)
        with closing(open_database(target)) as copy:
            return replacements_of(as_source(copy)).each

    with pytest.raises(DataError, match=r"product is unknown .1 row; e.g. line 2: 1."):
        run(f"1,{heir},2021-08-02")
    assert run(f"{code},{heir},2021-08-02") == (Replaced(one, other, date(2021, 8, 2)),)
