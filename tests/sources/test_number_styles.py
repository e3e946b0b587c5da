"""Files of one import whose numbers are written in several ways, and other oddities of parts."""

from dataclasses import replace

import duckdb
import pytest

from tests.sources.odd_files import failures, lines_of, notices, written
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.quarantine import Quarantine
from toolkit.sources.folder.questions import UnsettledError

HEADER = "order_id;customer_id;product_id;ordered_at;quantity;unit_price"
COMMA = ("1;1;1;2024-01-01;1.000;1,50", "2;1;1;2024-01-02;2;1.234,50")
DOT = ("3;1;1;2024-01-01;1;1.50", "4;1;1;2024-01-02;2;2.25")
EITHER = ("5;1;1;2024-01-03;1;2.500", "6;1;1;2024-01-04;2;3.125")
PLAIN = ("7;1;1;2024-01-03;1;2",)


def parts(tmp_path, *texts):
    return [
        written(tmp_path / f"{n}.csv", *lines, header=HEADER) for n, lines in enumerate(texts, 1)
    ]


def values(target):
    return [line[3:] for line in lines_of(target)]


def test_each_file_is_read_in_its_own_way_where_they_differ(tmp_path, target):
    report = import_orders(parts(tmp_path, COMMA, DOT, PLAIN), target)
    assert values(target) == [(1000, 1.5), (2, 1234.5), (1, 1.5), (2, 2.25), (1, 2)]
    assert report.understood.mapping.decimal == "per-file"
    assert "decimal dot or comma, as each file has it: 1.5" in str(report.understood)
    import_orders(parts(tmp_path, COMMA, DOT, PLAIN), target, report.understood.mapping)
    assert values(target)[0] == (1000, 1.5)


def test_parts_of_parquet_are_files_too(tmp_path, target):
    for path in parts(tmp_path, COMMA, DOT):
        lines = duckdb.read_csv(str(path), sep=";", all_varchar=True)
        lines.write_parquet(str(path.with_suffix(".parquet")))
    import_orders(sorted(tmp_path.glob("*.parquet")), target)
    assert values(target) == [(1000, 1.5), (2, 1234.5), (1, 1.5), (2, 2.25)]


def test_a_file_that_would_be_read_otherwise_by_itself_is_a_question(tmp_path, target):
    files = parts(tmp_path, COMMA, EITHER)
    with pytest.raises(UnsettledError) as caught:
        import_orders(files, target)
    (question,) = caught.value.questions
    assert str(question) == (
        "numbers in 2.csv may have a decimal comma as other files do, or a dot (2.500 is 2500 or "
        "2.5): give --decimal , for all files, or --decimal per-file to read each by itself"
    )
    read = []
    for answer in question.answers:
        report = import_orders(files, target, OrderMapping().with_options(answer.settings))
        read.append([price for _, price in values(target)])
    assert read == [[1.5, 1234.5, 2500, 3125], [1.5, 1234.5, 2.5, 3.125]]
    told = "numbers in 2.csv may have a decimal dot or comma (2.500 is 2.5 or 2500)"
    assert f"order_lines: {told}: the first is taken" in notices(report)


def test_a_file_that_both_ways_fit_beside_files_of_both(tmp_path, target):
    with pytest.raises(UnsettledError) as caught:
        import_orders(parts(tmp_path, COMMA, DOT, EITHER), target)
    assert "numbers in 3.csv may have a decimal dot or comma" in str(caught.value)
    assert not target.exists()


def test_numbers_of_both_kinds_in_one_file_are_a_question(tmp_path, target):
    """A quarantine would take those away that tell of the other kind."""
    prices = ["1.234,50"] * 3 + ["1,234.50", "1,234"]
    lines = [f"{i};1;{i};2024-01-0{i};1;{price}" for i, price in enumerate(prices, 1)]
    file, aside = parts(tmp_path, lines), Quarantine(tmp_path / "aside.csv", limit=50)
    with pytest.raises(UnsettledError) as caught:
        import_orders(file, target, quarantine=aside)
    (question,) = caught.value.questions
    assert str(question) == (
        "numbers are written both with a decimal comma (1.234,50) and with a decimal dot "
        "(1,234.50), so that 1,234 may be either: give --decimal , or --decimal ."
    )
    read = []
    for answer in question.answers:
        mapping = OrderMapping().with_options(answer.settings)
        import_orders(file, target, mapping, quarantine=replace(aside, limit=80))
        read.append([price for _, price in values(target)])
    assert read == [[1234.5, 1234.5, 1234.5, 1.234], [1234.5, 1234]]


def test_files_that_agree_are_read_as_one(tmp_path, target):
    report = import_orders(parts(tmp_path, DOT, EITHER), target)
    assert [price for _, price in values(target)] == [1.5, 2.25, 2.5, 3.125]
    assert report.understood.mapping.decimal is None
    report = import_orders(parts(tmp_path, COMMA, PLAIN), target)
    assert report.understood.mapping.decimal == ","


def test_rows_of_empty_fields_are_blank_lines(tmp_path, target):
    lines = [PLAIN[0], ";;;;;", '"";"";"";"";"";""', ";;", "", "8;1;1;2024-01-05;0;2"]
    path = written(tmp_path / "a.csv", *lines, header=HEADER)
    assert failures(path, target) == ["order_lines: quantity is 0 (1 row; e.g. line 7: 0)"]
    path = written(tmp_path / "a.csv", *lines[:-1], header=HEADER)
    assert import_orders([path], target).lines == 1


def test_a_row_with_anything_in_it_is_a_line(tmp_path, target):
    path = written(tmp_path / "a.csv", f"{PLAIN[0]};", ";;;;;;total", header=f"{HEADER};note")
    assert "order_lines: customer_id is null (1 row; e.g. line 3)" in failures(path, target)


DAYS = {
    "order_date,delivery_date": "order_date",
    "delivery_date,order_date": "order_date",
    "invoice_date,order_date": "order_date",
    "invoice_date,time": "invoice_date",
    "date,delivery_date": None,
    "created_at,invoice_date": None,
    "Belegdatum,Lieferdatum": None,
    "delivery_date,note": None,
}


@pytest.mark.parametrize(("columns", "taken"), DAYS.items(), ids=DAYS)
def test_which_day_is_the_order_s(tmp_path, target, columns, taken):
    header = f"order_id,customer_id,product_id,quantity,unit_price,{columns}"
    path = written(tmp_path / "a.csv", "1,1,1,1,2,2024-01-01,2024-01-05", header=header)
    if taken is not None:
        understood = import_orders([path], target).understood
        assert understood.mapping.columns["ordered_at"] == taken
        return
    (failure,) = failures(path, target)
    named = " or ".join(name for name in columns.split(",") if name != "note")
    assert failure.startswith(f"order_lines: ordered_at may be {named}: choose one with --map")
