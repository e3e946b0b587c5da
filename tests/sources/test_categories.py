"""Categories of products: read from wherever orders come from, and never missed."""

import numpy as np
import pandas as pd
import pytest

from tests.sources.helpers import AS_OF, Line, PyformatConnection, database, edit, to_parquet
from tests.sources.test_frames import LINES, told
from tests.sources.test_sqlserver_import import LATER, import_
from toolkit.data.ids import number_of
from toolkit.errors import DataError
from toolkit.sources.base import CategorySource, categories_of
from toolkit.sources.codes import Codes
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import add_category, open_database
from toolkit.sources.folder.frames import frame_database
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.names import Names, TableNames
from toolkit.sources.received import WithReceived
from toolkit.sources.sql import as_source, sqlserver_source
from toolkit.sources.sqlserver.check import check_server

CATEGORIES = {1: "Food", 2: "Hardware"}
PRODUCTS = "product_id,name,category\n1,Nuts,Food\n2,Bolts, Hardware \n"
LINE = Line(1, 101, 1, -9)


def read(target, product_ids=None):
    with open_database(target) as conn:
        assert check_database(conn).ok
        return as_source(conn).categories(product_ids)


def categorized(conn, categories):
    """The database, with a category for some of its products."""
    add_category(conn)
    for product_id, category in categories.items():
        conn.execute("UPDATE dbo.Product SET Category = $1 WHERE ID = $2", [category, product_id])
    return conn


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_products_of_a_folder_may_have_a_category(folder, target, file_format):
    (folder / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    if file_format == "parquet":
        to_parquet(folder, "products")
    report = import_folder(folder, target)
    assert report.categories == 2
    assert "2 products in 2 categories" in str(report)
    assert not report.notices
    assert read(target) == CATEGORIES
    assert read(target, [2, 7]) == {2: "Hardware"}


def test_without_the_column_there_is_none(folder, target):
    report = import_folder(folder, target)
    assert report.categories == 0
    assert "categor" not in str(report)
    assert read(target) == {}
    with open_database(target) as conn:
        columns = conn.execute("SELECT * FROM dbo.Product").description
    assert [name for name, *_ in columns] == ["ID", "Name"]


@pytest.mark.parametrize("blank", ["", "  ", '""'])
def test_a_blank_is_no_category(folder, target, blank):
    text = PRODUCTS.replace(" Hardware ", blank)
    (folder / "products.csv").write_text(text, encoding="utf-8")
    import_folder(folder, target)
    assert read(target) == {1: "Food"}


def test_categories_of_products_with_codes(folder, target):
    edit(folder, "order_lines", "1,101,2,", "1,101,SKU-2,")
    (folder / "products.csv").write_text(PRODUCTS.replace("\n2,", "\nSKU-2,"), encoding="utf-8")
    import_folder(folder, target)
    assert read(target) == {number_of("1"): "Food", number_of("SKU-2"): "Hardware"}


def test_what_is_no_text_is_refused(folder, target):
    (folder / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    to_parquet(folder, "products", category="DATE '2024-01-02'")
    with pytest.raises(DataError, match="column category is DATE, not text"):
        import_folder(folder, target)


def test_of_lines_in_a_frame_and_of_a_frame_of_products():
    lines = LINES.assign(category=["Food", "Hardware", "Food ", "Food"])
    with frame_database(lines) as conn:
        assert as_source(conn).categories() == CATEGORIES
    products = pd.DataFrame({"product_id": [1, 2], "name": ["a", "b"], "category": ["x", None]})
    with frame_database(LINES, products) as conn:
        assert as_source(conn).categories() == {1: "x"}
    with frame_database(lines, products[["product_id", "name"]]) as conn:
        assert as_source(conn).categories() == CATEGORIES
        named = conn.execute("SELECT Name FROM dbo.Product ORDER BY ID").fetchall()
        assert named == [("a",), ("b",)]


def test_some_lines_may_leave_it_out():
    lines = LINES.assign(category=[None, np.nan, "Food", ""], product_id=list("ABAA"))
    with frame_database(lines) as conn:
        assert as_source(conn).categories() == {number_of("A"): "Food"}
        assert Codes.of(conn).has("product")


def test_whole_numbers_are_called_so_where_some_are_missing():
    """Pandas makes floats of them."""
    for given, called in (
        ([3, 1, np.nan, 3], {1: "3", 2: "1"}),
        ([2.5, 1, np.nan, 2.5], {1: "2.5", 2: "1"}),
        (["3.0", "1", None, "3.0"], {1: "3.0", 2: "1"}),
    ):
        with frame_database(LINES.assign(category=given)) as conn:
            assert as_source(conn).categories() == called


def test_several_categories_of_a_product_are_told_with_all_else():
    lines = LINES.assign(category=["Food", "Steel", "Snacks", "Food"], quantity=[2.0, 0.0, 4, 1])
    found = [str(finding) for finding in told(lines)]
    assert any("quantity is 0" in text for text in found)
    said = "products with several categories (1 row; e.g. 1: Food, Snacks)"
    assert any(said in text for text in found)


def test_categories_in_two_places_are_one_too_many():
    products = pd.DataFrame({"product_id": [1, 2], "name": ["a", "b"], "category": ["x", "y"]})
    found = [str(finding) for finding in told(LINES.assign(category="x"), products=products)]
    assert any("products have a column category, too: leave out one" in text for text in found)


def test_over_any_driver_and_whatever_lies_beside_it():
    """A column of another database, or of a table of that name elsewhere, is none of ours."""
    with database([LINE]) as conn:
        conn.execute("ATTACH ':memory:' AS other")
        conn.execute("CREATE SCHEMA other.dbo")
        conn.execute("CREATE TABLE other.dbo.Product (ID BIGINT, Category VARCHAR)")
        conn.execute("CREATE SCHEMA shop")
        conn.execute("CREATE TABLE shop.Product (ID BIGINT, Category VARCHAR)")
        for connection in (conn, PyformatConnection(conn)):
            assert as_source(connection).categories() == {}
        categorized(conn, {1: "Food", 3: "  "})
        for connection in (conn, PyformatConnection(conn)):
            assert as_source(connection).categories() == {1: "Food"}
            assert as_source(connection).categories([]) == {}
            assert as_source(connection).categories([2]) == {}


def test_a_column_may_hold_numbers_or_an_enum():
    with database([LINE]) as conn:
        conn.execute("ALTER TABLE dbo.Product ADD COLUMN Category INTEGER")
        conn.execute("UPDATE dbo.Product SET Category = 7 WHERE ID = 1")
        assert as_source(conn).categories() == {1: "7"}
        conn.execute("ALTER TABLE dbo.Product DROP COLUMN Category")
        conn.execute("CREATE TYPE kind AS ENUM ('a', 'b')")
        conn.execute("ALTER TABLE dbo.Product ADD COLUMN Category kind")
        conn.execute("UPDATE dbo.Product SET Category = 'b' WHERE ID = 2")
        assert as_source(conn).categories() == {2: "b"}


def test_orders_that_were_received_leave_categories_as_they_are():
    with categorized(database([LINE]), {1: "Food"}) as conn:
        source = as_source(conn)
        assert isinstance(source, CategorySource)
        assert WithReceived(source, AS_OF).categories([1, 2]) == {1: "Food"}
        assert categories_of(source) == {1: "Food"}
    assert categories_of(object()) == {}


@pytest.mark.parametrize("column", ["Category", "Group"])
def test_a_server_may_have_them_in_a_column_of_any_name(sales, column):
    renamed = {} if column == "Category" else {"Category": column}
    names = Names({"Product": TableNames("dbo", "Product", renamed)})
    with sales.connect() as conn:
        source = sqlserver_source(conn, names)
        assert not check_server(conn, names).has_categories
        assert source.categories() == {}
        sales.duck.execute(f'ALTER TABLE dbo.Product ADD COLUMN "{column}" VARCHAR')
        sales.duck.execute(f"UPDATE dbo.Product SET \"{column}\" = 'Food ' WHERE ID IN (1, 3)")
        report = check_server(conn, names)
        assert report.ok
        assert report.has_categories
        assert "products have categories" in str(report)
        assert source.categories() == {1: "Food", 3: "Food"}
        assert source.categories([3, 4]) == {3: "Food"}
        assert source.products(LATER, [1])[1].name == "Article 1"


def test_a_column_that_was_named_has_to_be_there(sales):
    names = Names({"Product": TableNames("dbo", "Product", {"Category": "Group"})})
    with sales.connect() as conn:
        (finding,) = check_server(conn, names).fatal
    assert str(finding).startswith("dbo.Product.Group: is missing")


def test_an_import_brings_them_into_a_database_from_before_them(sales, target):
    """Whatever type they have there; and takes them away when the server drops the column."""
    import_(sales, target)
    assert read(target) == {}
    sales.duck.execute("ALTER TABLE dbo.Product ADD COLUMN Category INTEGER")
    sales.duck.execute("UPDATE dbo.Product SET Category = 10 * ID WHERE ID < 3")
    report = import_(sales, target)
    assert report.imported.categories == 2
    assert read(target) == {1: "10", 2: "20"}
    sales.duck.execute("UPDATE dbo.Product SET Category = 5 WHERE ID = 2")
    import_(sales, target)
    assert read(target) == {1: "10", 2: "5"}
    sales.duck.execute("ALTER TABLE dbo.Product DROP COLUMN Category")
    import_(sales, target)
    assert read(target) == {}
