"""Ids that are text: what the importer makes of them, and what becomes of the codes."""

import unicodedata

import duckdb
import numpy as np
import pytest

from tests.sources.helpers import AS_OF, edit, rows_of, to_parquet
from toolkit.data.ids import BLANKS, number_of, plain_code
from toolkit.errors import ArgumentError, DataError, SourceError
from toolkit.sources.base import ProductInfo
from toolkit.sources.codes import Codes, number_sql
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.folder.numbering import number_codes
from toolkit.sources.sql import as_source

NUTS, BOLTS, ANN, BOB = map(number_of, ("SKU-0042", "00042", "C-17", "c-17"))
LINES = """order_id,customer_id,product_id,ordered_at,quantity,unit_price
O/1,C-17,SKU-0042,2024-01-02 08:30:00,2,5.0
O/1,C-17,00042,2024-01-02 09:30:00,1.5,3
O/2,c-17,SKU-0042,2024-01-05,4,5.5
3,C-17,SKU-0042,2024-02-01 10:00:00,1,6
"""


@pytest.fixture
def coded(folder):
    """The folder with codes: of two that differ in case alone, and one of digits."""
    texts = {
        "order_lines": LINES,
        "products": "product_id,name\nSKU-0042,Nuts\n00042,Bolts\n",
        "customers": "customer_id,name\nC-17,Ann\nc-17,Bob\n",
    }
    for table, text in texts.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
    return folder


def codes_of(database):
    with open_database(database) as conn:
        return Codes.of(conn)


def findings_of(folder, target):
    with pytest.raises(DataError) as caught:
        import_folder(folder, target)
    assert not target.exists()
    return [str(finding) for finding in caught.value.findings]


@pytest.mark.parametrize("bits", [1, 53, 63])
def test_a_number_is_the_first_bits_of_the_hash_in_python_and_in_the_database(bits):
    codes = ["SKU-0042", "00042", "ä", "", "日本", "it's", "x" * 1000]
    asked = f"SELECT {number_sql('code', bits)} FROM (SELECT unnest($codes) AS code)"
    found = duckdb.execute(asked, {"codes": codes}).fetchall()
    assert [number for (number,) in found] == [number_of(code, bits) for code in codes]
    assert all(0 <= number < 2**bits for (number,) in found)


def test_a_number_stays_what_it_is():
    """Another one would cut every saved fit off from its pairs. The digest is a known one."""
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert number_of("abc") == int(digest, 16) >> (256 - 53)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_codes_come_in_as_their_numbers_and_are_kept(coded, target, file_format):
    if file_format == "parquet":
        types = {"order_id": "VARCHAR", "product_id": "VARCHAR", "customer_id": "VARCHAR"}
        for table, columns in {
            "order_lines": tuple(types), "products": ("product_id",), "customers": ("customer_id",)
        }.items():  # fmt: skip
            as_text = dict.fromkeys(columns, "VARCHAR")
            path = coded / f"{table}.csv"
            duckdb.sql(f"SELECT * FROM read_csv('{path}', types = {as_text})").write_parquet(
                str(path.with_suffix(".parquet"))
            )
            path.unlink()
    report = import_folder(coded, target)
    assert (report.lines, report.orders, report.customers, report.products) == (4, 3, 2, 2)
    with open_database(target) as conn:
        source, codes = as_source(conn), Codes.of(conn)
        assert sorted(rows_of(source.order_events(AS_OF))) == sorted(
            [(NUTS, ANN, -62, 2.0), (NUTS, ANN, -32, 1.0), (NUTS, BOB, -59, 4.0),
             (BOLTS, ANN, -62, 1.5)]
        )  # fmt: skip
        assert source.products(AS_OF, [NUTS]) == {NUTS: ProductInfo("Nuts", pytest.approx(38 / 7))}
        assert source.customer_names([ANN, BOB]) == {ANN: "Ann", BOB: "Bob"}
        kept = conn.execute("SELECT Kind, Code FROM dbo.Code ORDER BY ALL").fetchall()
    assert kept == [
        ("customer", "C-17"), ("customer", "c-17"), ("product", "00042"), ("product", "SKU-0042")
    ]  # fmt: skip
    assert codes.code("product", NUTS) == "SKU-0042"
    assert codes.number("customer", "c-17") == BOB
    assert [str(notice) for notice in report.notices] == [
        "order_lines: order_id is no whole number, so that all are taken as codes "
        "(3 rows; e.g. O/1)",
        "products: product_id is no whole number, so that all are taken as codes "
        "(2 rows; e.g. SKU-0042)",
        "customers: customer_id is no whole number, so that all are taken as codes "
        "(2 rows; e.g. C-17)",
    ]


def test_whole_numbers_stay_what_they_are_and_leave_no_codes(folder, target):
    edit(folder, "order_lines", "2,102,1,", "9223372036854775807,102.0, 1 ,")
    report = import_folder(folder, target)
    with open_database(target) as conn:
        assert conn.execute('SELECT max(ID) FROM dbo."Order"').fetchone() == (2**63 - 1,)
        assert (1, 102, -59, 4.0) in rows_of(as_source(conn).order_events(AS_OF))
        tables = conn.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert ("Code",) not in tables
    told = ["order_lines: blanks around product_id, left out (1 row)"]
    assert [str(notice) for notice in report.notices] == told


# One odd order id: the whole column is text from then on.
ODD = ["A7", "02", "+2", "2e0", "2.5", "2_0", "0x2", "-0", "9223372036854775808", "日本 7"]


@pytest.mark.parametrize("odd", ODD)
def test_one_id_that_is_no_plain_whole_number_makes_all_codes(folder, target, odd):
    edit(folder, "order_lines", "2,102,1,", f"{odd},102,1,")
    report = import_folder(folder, target)
    with open_database(target) as conn:
        orders = conn.execute('SELECT ID FROM dbo."Order" ORDER BY ID').fetchall()
    assert orders == sorted((number_of(code, 63),) for code in ("1", odd, "3"))
    assert [str(notice) for notice in report.notices] == [
        "order_lines: order_id is no whole number, so that all are taken as codes "
        f"(1 row; e.g. {odd})"
    ]


def test_whole_numbers_in_one_file_are_the_same_codes_in_another(folder, target):
    """As a column of text that holds one letter elsewhere: '1' and 1 are one product."""
    edit(folder, "products", "2,Bolts", "2,Bolts\nSKU-3,Nails")
    to_parquet(folder, product_id="CAST(product_id AS DOUBLE)")
    import_folder(folder, target)
    with open_database(target) as conn:
        events = rows_of(as_source(conn).order_events(AS_OF))
    assert {product for product, *_ in events} == {number_of("1"), number_of("2")}


def test_ids_that_lost_their_zeros_in_one_file_are_told(folder, target):
    edit(folder, "products", "1,Nuts\n2,Bolts", "0001,Nuts\n0002,Bolts")
    assert findings_of(folder, target) == [
        "order_lines: product_id is not in products (compared as text, as 0001 is) "
        "(4 rows; e.g. line 2: 1, line 3: 2, line 4: 1, line 5: 1)"
    ]


def test_broken_rules_show_codes(coded, target):
    edit(coded, "order_lines", "O/2,c-17,", "O/1,c-17,")
    edit(coded, "customers", "c-17,Bob", "c-17,Bob\nc-17,Bert\nC-18,\n ,Nobody\n,None")
    edit(coded, "order_lines", "3,C-17,SKU-0042", "3,C-17,sku-0042")
    assert findings_of(coded, target) == [
        "order_lines: product_id is not in products (compared as text, as SKU-0042 is) "
        "(1 row; e.g. line 5: sku-0042)",
        "order_lines: order_id belongs to more than one customer (3 rows; e.g. line 2: order O/1, "
        "customer C-17, line 3: order O/1, customer C-17, line 4: order O/1, customer c-17)",
        "customers: customer_id is null (1 row; e.g. line 7)",
        "customers: customer_id is blank, or not a whole number (int64) or text "
        "(1 row; e.g. line 6:  )",
        "customers: customer_id is not unique (2 rows; e.g. line 3: c-17, line 4: c-17)",
    ]


def test_blanks_around_codes_are_left_out_and_told(coded, target):
    edit(coded, "order_lines", "O/2,c-17,SKU-0042", "O/2,c-17\u00a0,  SKU-0042\t")
    edit(coded, "products", "SKU-0042,", "SKU-0042 ,")
    notices = [str(notice) for notice in import_folder(coded, target).notices]
    for told in (
        "order_lines: blanks around customer_id, left out (1 row)",
        "order_lines: blanks around product_id, left out (1 row)",
        "products: blanks around product_id, left out (1 row)",
    ):
        assert told in notices
    assert codes_of(target).code("product", NUTS) == "SKU-0042"


def test_codes_that_only_blanks_tell_apart_are_one_twice(coded, target):
    edit(coded, "products", "00042,Bolts", "00042,Bolts\n00042 ,Screws")
    assert findings_of(coded, target) == [
        "products: product_id is not unique (2 rows; e.g. line 3: 00042, line 4: 00042)"
    ]


def test_a_letter_and_its_accent_are_the_letter_with_the_accent(coded, target):
    edit(coded, "products", "00042,", f"{unicodedata.normalize('NFD', 'Ä-42')},")
    edit(coded, "order_lines", "00042,", "Ä-42,")
    import_folder(coded, target)
    codes = codes_of(target)
    for written in ("Ä-42", unicodedata.normalize("NFD", "Ä-42"), " Ä-42 "):
        assert codes.number("product", written) == number_of("Ä-42")


def test_python_and_the_database_agree_on_plain_codes(coded, target):
    odd = [f"{blank}A{blank}B{blank}" for blank in BLANKS if blank not in "\n\r"]
    odd += ["e\u0301", "\u212b", "ﬁ", "\u200bX"]
    rows = "".join(f'"{code}",\n' for code in odd)
    edit(coded, "customers", "c-17,Bob\n", f"c-17,Bob\n{rows}")
    import_folder(coded, target)
    codes = codes_of(target)
    for code in odd:
        number = number_of(plain_code(code))
        assert codes.code("customer", number) == plain_code(code)
        assert codes.number("customer", code) == number


def test_bytes_that_are_no_text_are_no_code(coded, target):
    """As a command line hands them over."""
    import_folder(coded, target)
    with pytest.raises(ArgumentError, match=r"there is no product '\\udcff'; the nearest codes"):
        codes_of(target).number("product", "\udcff")


def test_a_column_of_uuids_is_text(coded, target):
    uuid = "0b5f6c3e-8f0e-4b6f-9d55-1d2f3a4b5c6d"
    to_parquet(coded, order_id=f"CAST('{uuid}' AS UUID)", customer_id="'C-17'")
    import_folder(coded, target)
    with open_database(target) as conn:
        orders = conn.execute('SELECT ID FROM dbo."Order"').fetchall()
    assert orders == [(number_of(uuid, 63),)]


def test_what_has_no_name_is_called_by_its_code(coded, target):
    edit(coded, "products", "Nuts", "")
    edit(coded, "customers", "Ann", "")
    import_folder(coded, target)
    with open_database(target) as conn:
        source = as_source(conn)
        assert source.products(AS_OF, [NUTS])[NUTS].name == "Product SKU-0042"
        assert source.customer_names([ANN]) == {ANN: "Customer C-17"}


def test_an_import_of_two_codes_with_one_number_is_refused(coded, target):
    """Two that were searched for: the first pair among codes like these."""
    one, other = "SKU-65519771", "SKU-162328420"
    assert number_of(one) == number_of(other)
    edit(coded, "products", "00042,Bolts", f"00042,Bolts\n{one},Nails\n{other},Screws")
    assert findings_of(coded, target) == [
        "products: product_id: codes that share a number inside; one of them has to be written "
        f"otherwise (2 rows; e.g. {other} and {one})"
    ]


def test_every_two_codes_with_one_number_are_named():
    with duckdb.connect() as conn:
        conn.execute(
            "CREATE TABLE staged_products AS SELECT 'P-' || i AS product_id FROM range(9) t(i)"
        )
        (finding,) = number_codes(conn, ["product_id"], bits=3)
        conn.execute("DROP TABLE staged_codes")
        assert number_codes(conn, ["product_id"]) == []
    assert "codes that share a number inside" in str(finding)
    first, second = finding.examples[0].split(" and ")[:2]
    assert number_of(first, 3) == number_of(second, 3)
    assert first != second


def test_looking_codes_up(coded, target):
    import_folder(coded, target)
    codes = codes_of(target)
    assert codes.has("product")
    assert codes.number("product", str(NUTS)) == NUTS
    assert codes.code("product", 4711) is None
    assert codes.code("product", 2**70) is None
    numbers = as_int64([BOLTS, 1, NUTS, 2**62])
    assert codes.column("product", numbers).to_pylist() == ["00042", None, "SKU-0042", None]
    for unknown in ("SKU-42", "sku-0042", "42", "9" * 40, ""):
        with pytest.raises(ArgumentError, match=f"no product '{unknown}'; the nearest codes are "):
            codes.number("product", unknown)
    assert codes.nearest("product", "sku-0042") == ["SKU-0042", "00042"]
    assert codes.nearest("product", "42")[0] == "00042"


def test_a_database_without_codes_has_whole_numbers(folder, target):
    import_folder(folder, target)
    codes = codes_of(target)
    assert not codes.has("product")
    assert codes.number("product", "4711") == 4711
    assert codes.column("customer", as_int64([101])).to_pylist() == [None]
    with pytest.raises(ArgumentError, match="product_id has to be a whole number, got 'SKU-1'"):
        codes.number("product", "SKU-1")


def test_codes_that_cannot_be_read_are_a_source_error(folder, target):
    import_folder(folder, target)
    with open_database(target, read_only=False) as conn:
        conn.execute("CREATE TABLE dbo.Code (Number INTEGER)")
        with pytest.raises(SourceError, match="codes could not be read"):
            Codes.of(conn)


def as_int64(numbers):
    return np.array(numbers, dtype=np.int64)


def test_a_check_shows_codes_of_returns_that_reverse_nothing(coded, tmp_path):
    edit(coded, "order_lines", "2024-01-05,4,", "2024-01-05,-4,")
    import_folder(coded, tmp_path / "coded.duckdb")
    with open_database(tmp_path / "coded.duckdb") as conn:
        notices = check_database(conn).notices
    (found,) = (notice for notice in notices if "reverse no order" in notice.rule)
    assert found.examples == ("customer c-17, product SKU-0042, 2024-01-05: 4",)
