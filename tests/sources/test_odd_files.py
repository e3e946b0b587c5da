"""Files as people have them: each odd one gives the right values, or the right sentence."""

import gzip
from datetime import datetime

import duckdb
import pytest

from tests.sources.odd_files import HEADER, codes_of, failures, lines_of, names_of, notices, written
from toolkit.errors import DataError
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping


# Case 4: floats that cannot tell whole numbers apart.
@pytest.mark.parametrize(
    ("kind", "first", "refused"),
    [
        ("FLOAT", 16777216, True),
        ("FLOAT", 16777215, False),
        ("DOUBLE", 9007199254740992, True),
        ("DOUBLE", 9007199254740991, False),
    ],
)
def test_floats_that_may_be_other_ids_are_refused(tmp_path, target, kind, first, refused):
    path = tmp_path / "lines.parquet"
    duckdb.sql(
        f"SELECT 1 AS order_id, CAST({first} AS {kind}) AS customer_id, 1 AS product_id,"
        " DATE '2024-01-01' AS ordered_at, 1 AS quantity, 2.5 AS unit_price"
    ).write_parquet(str(path))
    if not refused:
        import_orders([path], target)
        assert lines_of(target)[0][0] == first
        return
    (failure,) = failures(path, target)
    assert failure == (
        "order_lines: customer_id is a float, which may stand for another whole number from "
        f"{first} on: save the column as whole numbers (int64) or text (1 row; e.g. row 1: {first})"
    )


# Case 5: dots that may be thousands.
def test_a_dot_that_may_set_thousands_apart_is_told(tmp_path, target):
    semicolons = HEADER.replace(",", ";")
    path = written(
        tmp_path / "a.csv",
        "1;1;1;2024-01-01;1.000;2.50",
        "2;1;1;2024-01-02;3.000;2.50",
        header=semicolons,
    )
    report = import_orders([path], target)
    assert (
        "order_lines: quantity is always written like 1.000, which is read as 1; if its dots set "
        "thousands apart, write it without them (2 rows)" in notices(report)
    )
    assert [line[3] for line in lines_of(target)] == [1, 3]


@pytest.mark.parametrize(("other", "told"), [("12", True), ("1.5", False), ("0.250", False)])
def test_dots_beside_whole_numbers_may_set_thousands_apart_too(tmp_path, target, other, told):
    path = written(
        tmp_path / "a.csv", "1,1,1,2024-01-01,1.234,2.50", f"2,1,1,2024-01-02,{other},2.50"
    )
    said = "order_lines: quantity is written like 1.000 wherever it has a dot"
    assert any(said in notice for notice in notices(import_orders([path], target))) == told


@pytest.mark.parametrize(("decimal", "quantity"), [(".", 1), (",", 1000)])
def test_dots_of_which_nothing_tells_more_are_a_question(tmp_path, target, decimal, quantity):
    path = written(tmp_path / "a.csv", "1,1,1,2024-01-01,1.000,2", "2,1,1,2024-01-02,3,2")
    (failure,) = failures(path, target)
    assert failure == (
        "order_lines: numbers may have a decimal dot or comma (1.000 is 1 or 1000): "
        "give --decimal . or --decimal ,"
    )
    import_orders([path], target, OrderMapping(decimal=decimal))
    assert lines_of(target)[0][3] == quantity


NUMBERS = {
    "comma": (["1;2,50", "12;0,5"], [(1, 2.5), (12, 0.5)]),
    "thousands by dots": (["1.234;1.234,50", "-5;2,00"], [(1234, 1234.5), (-5, 2)]),
    "thousands by blanks": (["1 234;1\u00a0234,5", "5;2"], [(1234, 1234.5), (5, 2)]),
    "thousands by apostrophes": (["1'234;1'234.50", "5;2.00"], [(1234, 1234.5), (5, 2)]),
    "English": (["1,234;1,234.50", "5;2.00"], [(1234, 1234.5), (5, 2)]),
    "sign at the end": (["5,00-;2,50", "5;2,50"], [(-5, 2.5), (5, 2.5)]),
}


@pytest.mark.parametrize(("written_so", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_read_as_they_are_written(tmp_path, target, written_so, expected):
    rows = [f"{i};1;{i};2024-01-0{i};{text}" for i, text in enumerate(written_so, start=1)]
    path = written(tmp_path / "a.csv", *rows, header=HEADER.replace(",", ";"))
    import_orders([path], target)
    assert [line[3:] for line in lines_of(target)] == expected


# Case 6: a spreadsheet has cut the digits of an id.
def test_ids_that_a_spreadsheet_has_cut_are_refused(tmp_path, target):
    rows = [f"{i},1.23457E+12,1,2024-01-0{i},1,1" for i in (1, 2)]
    (failure,) = failures(written(tmp_path / "a.csv", *rows), target)
    assert failure == (
        "order_lines: customer_id is written like 1.23457E+12: a spreadsheet has cut its digits; "
        "show the column there as a number without decimals or as text, and export it again "
        "(2 rows; e.g. line 2: 1.23457E+12, line 3: 1.23457E+12)"
    )


# Case 7: what programs write for nothing, in both files.
@pytest.mark.parametrize("nothing", ["NULL", "N/A", "nan"])
def test_ids_that_are_written_as_missing_are_missing(folder, target, nothing):
    lines = (folder / "order_lines.csv").read_text(encoding="utf-8")
    customers = (folder / "customers.csv").read_text(encoding="utf-8")
    (folder / "order_lines.csv").write_text(lines.replace("2,102,", f"2,{nothing},"))
    (folder / "customers.csv").write_text(customers.replace("102,", f"{nothing},"))
    assert failures(folder, target) == [
        "order_lines: customer_id is null (1 row; e.g. line 4)",
        "customers: customer_id is null (1 row; e.g. line 3)",
    ]


# Case 8: numbers beyond any order.
@pytest.mark.parametrize("quantity", ["2e12", "1e308", "-2e12"])
def test_quantities_beyond_any_order_are_refused(tmp_path, target, quantity):
    (failure,) = failures(written(tmp_path / "a.csv", f"1,1,1,2024-01-01,{quantity},1"), target)
    assert failure == f"order_lines: quantity is beyond 1e+12 (1 row; e.g. line 2: {quantity})"


# Case 9: the line is that of the file, whatever comes before.
BEFORE = {
    "blank line": ([""], 4),
    "blank lines": (["", "", ""], 6),
    "break in a field": (['1,1,"a\nb",2024-01-01,1,1'], 5),
    "odd line": (["1,1"], 4),
    "nothing": ([], 3),
}


@pytest.mark.parametrize(("before", "line"), BEFORE.values(), ids=BEFORE)
def test_a_broken_row_is_named_by_its_line(tmp_path, target, before, line):
    path = written(tmp_path / "a.csv", "1,1,c,2024-01-01,1,1", *before, "2,1,c,2024-01-01,0,1")
    assert f"order_lines: quantity is 0 (1 row; e.g. line {line}: 0)" in failures(path, target)


def test_an_odd_line_is_named_by_its_line_after_a_break_in_a_field(tmp_path, target):
    path = written(tmp_path / "a.csv", '1,1,"a\nb",2024-01-01,1,1', "", "2,1")
    (failure,) = failures(path, target)
    assert failure.startswith("order_lines: lines cannot be read (1 row; e.g. line 5: Expected")


# Cases 10 and 11: what comes before the header, and other encodings.
def test_a_first_line_that_names_the_separator_is_none_of_the_table(tmp_path, target):
    path = written(
        tmp_path / "a.csv", HEADER.replace(",", ";"), "1;1;1;2024-01-01;1;2", header="sep=;"
    )
    assert import_orders([path], target).lines == 1
    path = written(
        tmp_path / "a.csv", HEADER.replace(",", ";"), "1;1;1;2024-01-01;0;2", header="sep=;"
    )
    with pytest.raises(DataError, match="line 3: 0"):
        import_orders([path], target)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_letters_of_other_encodings(tmp_path, target, encoding):
    path = written(
        tmp_path / "a.csv",
        "1,1,1,2024-01-01,1,2,Müller",
        header=f"{HEADER},customer_name",
        encoding=encoding,
    )
    import_orders([path], target)
    assert names_of(target, "Client") == {1: "Müller"}


def test_an_encoding_that_is_given_is_believed(tmp_path, target):
    path = written(
        tmp_path / "a.csv",
        "1,1,1,2024-01-01,1,2,Жук",
        header=f"{HEADER},customer_name",
        encoding="cp1251",
    )
    import_orders([path], target, OrderMapping(encoding="cp1251"))
    assert names_of(target, "Client") == {1: "Жук"}
    with pytest.raises(DataError, match="not written in utf-8; name its encoding with --encoding"):
        import_orders([path], target, OrderMapping(encoding="utf-8"))


# Case 12: parts and compressed files.
def test_a_folder_of_parts(tmp_path, target):
    for place in (tmp_path / "order_lines.parquet", tmp_path / "in" / "order_lines.parquet"):
        place.mkdir(parents=True)
        for i in (0, 1):
            duckdb.sql(
                f"SELECT {i} AS order_id, 1 AS customer_id, 1 AS product_id, 1 AS quantity,"
                f" DATE '2024-01-01' + {i} AS ordered_at, 2.5 AS unit_price"
            ).write_parquet(str(place / f"part-000{i}.parquet"))
        (place / "_SUCCESS").touch()
    for path in (tmp_path / "order_lines.parquet", tmp_path / "in"):
        assert import_orders([path], target).lines == 2


ALIKE = {"product_id": "1", "ordered_at": "TIMESTAMP '2024-01-01'", "quantity": "1"}


def parts_that_differ(tmp_path, field, *values):
    for i, value in enumerate(values):
        row = {**ALIKE, field: value}
        selected = ", ".join(f"{sql} AS {name}" for name, sql in row.items())
        duckdb.sql(f"SELECT {i} AS order_id, 1 AS customer_id, 2.5 AS unit_price, {selected}"
                   ).write_parquet(str(tmp_path / f"{i}.parquet"))  # fmt: skip
    return [tmp_path / f"{i}.parquet" for i in range(len(values))]


@pytest.mark.parametrize(
    ("field", "one", "other", "types"),
    [
        ("ordered_at", "TIMESTAMP '2024-01-01'", "TIMESTAMPTZ '2024-01-01 23:30:00+00'",
         ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")),
        ("ordered_at", "DATE '2024-01-01'", "TIMESTAMPTZ '2024-01-01 23:30:00+00'",
         ("DATE", "TIMESTAMP WITH TIME ZONE")),
        ("product_id", "1::DOUBLE", "'00123'", ("DOUBLE", "VARCHAR")),
        ("quantity", "1.5::DOUBLE", "'1.234'", ("DOUBLE", "VARCHAR")),
    ],
)  # fmt: skip
def test_parts_of_different_types_are_refused(tmp_path, target, field, one, other, types):
    """DuckDB would make the first file's type of all: of an instant UTC."""
    for values in ((one, other), (other, one)):
        with pytest.raises(DataError) as caught:
            import_orders(
                parts_that_differ(tmp_path, field, *values), target, OrderMapping(timezone="UTC")
            )
        said = f"column {field} is {types[0]} in one file and {types[1]} in another: save it alike"
        assert f"0.parquet, 1.parquet cannot be read: {said}" in str(caught.value)


def test_parts_of_types_that_go_together_lose_nothing(tmp_path, target):
    import_orders(parts_that_differ(tmp_path, "quantity", "1", "2.5::DOUBLE"), target)
    assert [line[3] for line in lines_of(target)] == [1, 2.5]
    import_orders(parts_that_differ(tmp_path, "product_id", "1", "'00123'"), target)
    assert codes_of(target, "product") == ["00123", "1"]
    days = ("DATE '2024-01-01'", "TIMESTAMP '2024-01-02 23:30:00'", "TIMESTAMP_NS '2024-01-03'")
    import_orders(parts_that_differ(tmp_path, "ordered_at", *days), target)
    assert [line[2].day for line in lines_of(target)] == [1, 2, 3]
    ids = ("9007199254740993::BIGINT", "9007199254740993::DOUBLE")
    with pytest.raises(DataError, match="product_id is a float, which may stand for another"):
        import_orders(parts_that_differ(tmp_path, "product_id", *ids), target)


def test_parts_name_the_file_and_line_of_what_is_wrong(tmp_path, target):
    parts = tmp_path / "parts"
    parts.mkdir()
    written(parts / "a.csv", "1,1,1,2024-01-01,1,2", "2,1,1,2024-01-02,1,2")
    written(parts / "b.CSV", "3,1,1,2024-01-03,1,2", "4,1,1,2024-01-04,0,2")
    (parts / "README.md").touch()
    (failure,) = failures(parts, target)
    assert failure == "order_lines: quantity is 0 (1 row; e.g. b.CSV line 3: 0)"
    written(parts / "b.CSV", "3,1,1,2024-01-03,1,2", "", "4,1,1,2024-01-04,0,2")
    (failure,) = failures(parts, target)
    assert failure == "order_lines: quantity is 0 (1 row; e.g. b.CSV line 4: 0)"
    written(parts / "b.CSV", "3,1,1,2024-01-03,1,2")
    assert notices(import_orders([parts], target))[-1] == "README.md: is not read"
    assert import_orders([parts / "a.csv", parts / "b.CSV"], target).lines == 3
    assert import_orders([parts / "*.csv"], target).lines == 2


def test_parts_with_other_columns_are_refused(tmp_path, target):
    one = written(tmp_path / "a.csv", "1,1,1,2024-01-01,1,2")
    other = written(tmp_path / "b.csv", "1,1,1,2024-01-01,1,2", header=f"{HEADER[:-5]}cost")
    with pytest.raises(DataError, match=r"b.csv has other columns than the first file \(unit_cost"):
        import_orders([one, other], target)


def test_parts_of_two_kinds_are_refused(tmp_path, target):
    one = written(tmp_path / "a.csv", "1,1,1,2024-01-01,1,2")
    other = tmp_path / "b.parquet"
    duckdb.read_csv(str(one)).write_parquet(str(other))
    with pytest.raises(DataError, match="there are Parquet and CSV files: keep those of one kind"):
        import_orders([one, other], target)


def test_a_file_without_rows(tmp_path, target):
    (failure,) = failures(written(tmp_path / "a.csv"), target)
    assert failure == "order_lines: there are no rows"


@pytest.mark.parametrize("name", ["order_lines.csv.gz", "sales.CSV.GZ"])
def test_compressed_csv(tmp_path, target, name):
    text = f"{HEADER}\n1,1,1,2024-01-01,1,2\n\n2,1,1,2024-01-02,0,2\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()))
    (failure,) = failures(path, target)
    assert failure == "order_lines: quantity is 0 (1 row; e.g. line 4: 0)"
    path.write_bytes(gzip.compress(text.replace(",0,", ",1,").encode()))
    assert import_orders([path], target).lines == 2


# Case 13: ids as bytes.
def test_ids_as_bytes_are_text(tmp_path, target):
    path = tmp_path / "lines.parquet"
    duckdb.sql(
        "SELECT 1 AS order_id, 1 AS customer_id, 'SKU-1'::BLOB AS product_id,"
        " DATE '2024-01-01' AS ordered_at, 1 AS quantity, 2.5 AS unit_price"
    ).write_parquet(str(path))
    import_orders([path], target)
    assert codes_of(target, "product") == ["SKU-1"]


# Case 16: dates in other clothes.
DATES = {
    "compact": (["20240101", "20240131"], datetime(2024, 1, 1)),
    "Excel's days": (["45292", "45293.5"], datetime(2024, 1, 1)),
    "a.m. and p.m.": (["2024-01-31 01:05:00 PM", "2024-02-01 11:00:00 AM"],
                      datetime(2024, 1, 31, 13, 5)),
    "month first": (["12/1/2010 8:26", "12/13/2010 9:01"], datetime(2010, 12, 1, 8, 26)),
    "day first": (["1/12/2010", "13/12/2010 08:00:30"], datetime(2010, 12, 1)),
    "two digits": (["1/12/10", "13/12/10"], datetime(2010, 12, 1)),
    "two digits, year first": (["24-01-15", "24-01-31"], datetime(2024, 1, 15)),
    "two digits, day first": (["15-01-24", "31-01-24"], datetime(2024, 1, 15)),
    "dots": (["01.02.2024", "02.03.2024"], datetime(2024, 2, 1)),
    "names of months": (["31-Jan-2024", "1-Feb-2024"], datetime(2024, 1, 31)),
    "equal either way": (["01/01/2024", "02/02/2024"], datetime(2024, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("texts", "first"), DATES.values(), ids=DATES)
def test_dates_are_read_as_they_are_written(tmp_path, target, texts, first):
    rows = [f"{i},1,1,{text},1,1" for i, text in enumerate(texts)]
    import_orders([written(tmp_path / "a.csv", *rows)], target)
    assert lines_of(target)[0][2] == first


@pytest.mark.parametrize(
    ("wanted", "day"),
    [("day-first", datetime(2010, 2, 1)), ("month-first", datetime(2010, 1, 2)),
     ("%d/%m/%Y", datetime(2010, 2, 1))],
)  # fmt: skip
def test_dates_of_which_nothing_tells_more_are_a_question(tmp_path, target, wanted, day):
    path = written(tmp_path / "a.csv", "1,1,1,01/02/2010,1,1", "2,1,1,03/02/2010,1,1")
    (failure,) = failures(path, target)
    assert failure == (
        "order_lines: ordered_at may be written day first or month first (01/02/2010 is "
        "2010-02-01 or 2010-01-02): give --date-format day-first or --date-format month-first"
    )
    import_orders([path], target, OrderMapping(date_format=wanted))
    assert lines_of(target)[0][2] == day


def test_a_year_of_two_digits_may_come_first_or_last(tmp_path, target):
    path = written(tmp_path / "a.csv", "1,1,1,24-01-15,1,1", "2,1,1,24-01-16,1,1")
    (failure,) = failures(path, target)
    assert failure == (
        "order_lines: ordered_at may be written day first or year first (24-01-15 is "
        "2015-01-24 or 2024-01-15): give --date-format day-first or --date-format year-first"
    )
    import_orders([path], target, OrderMapping(date_format="year-first"))
    assert lines_of(target)[0][2] == datetime(2024, 1, 15)


def test_one_odd_date_is_told_in_the_words_of_the_others(tmp_path, target):
    path = written(tmp_path / "a.csv", "1,1,1,12/13/2010,1,1", "2,1,1,12/14/2010,1,1",
                   "3,1,1,14/12/2010,1,1")  # fmt: skip
    (failure,) = failures(path, target)
    assert failure == (
        "order_lines: ordered_at is not a date (dates, month first) "
        "(1 row; e.g. line 4: 14/12/2010)"
    )


# Case 17: signs that nobody sees.
def test_signs_that_nobody_sees_are_shown(folder, target, tmp_path):
    path = written(tmp_path / "a.csv", "1,A,1,2024-01-01,1,1", "2,A\u200b,1,2024-01-02,1,1")
    report = import_orders([path], target)
    assert report.customers == 2
    assert (
        "order_lines: customer_id holds signs that nobody sees, so that equal codes may differ "
        "(1 row; e.g. A\\u200b)" in notices(report)
    )
    written(folder / "customers.csv", "A,Ann", "101,Ann", header="customer_id,name")
    text = (folder / "order_lines.csv").read_text(encoding="utf-8").replace(",102,", ",A\u200b,")
    (folder / "order_lines.csv").write_text(text, encoding="utf-8")
    target.unlink()
    (failure,) = failures(folder, target)
    assert failure.endswith(r"line 4: A\u200b)")
