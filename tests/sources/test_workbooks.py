"""Order lines in Excel's files: cells are what they are there, rows have Excel's numbers."""

from datetime import datetime

import pytest

from tests.sources.odd_files import codes_of, failures, lines_of, names_of, notices
from tests.sources.odd_files import written as csv
from tests.sources.workbooks import HEADER, written, written_ods
from toolkit.errors import DataError
from toolkit.sources.folder.importer import import_folder, import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.quarantine import Quarantine
from toolkit.sources.folder.questions import UnsettledError

NOON = datetime(2024, 1, 31, 12)


def line(n=1, customer=1, product=1, when=NOON, quantity=2, price=4.5):
    return (n, customer, product, when, quantity, price)


def test_cells_are_what_they_are(tmp_path, target):
    rows = [line(1, 12345.0, "00042", NOON, 2, 1.234), line(2, "C-9", 42, NOON, 1000, 2)]
    report = import_orders([written(tmp_path / "a.xlsx", *rows)], target)
    assert codes_of(target, "customer") == ["12345", "C-9"]
    assert codes_of(target, "product") == ["00042", "42"]
    assert [one[2:] for one in lines_of(target)] == [(NOON, 2, 1.234), (NOON, 1000, 2)]
    assert str(report.understood).splitlines()[2] == "customer_id  Customer No  12345 · C-9"


def test_whole_numbers_are_whole_numbers(tmp_path, target):
    import_orders([written(tmp_path / "a.xlsx", line(1, 12345.0, 7.0))], target)
    assert lines_of(target)[0][:2] == (12345, 7)


def test_libreoffice_s_files(tmp_path, target):
    import_orders([written_ods(tmp_path / "a.ods", line(1, "00042", 7, NOON, 2, 1.234))], target)
    assert (codes_of(target, "customer"), lines_of(target)[0][1:]) == (
        ["00042"],
        (7, NOON, 2, 1.234),
    )


@pytest.mark.parametrize("file_format", ["xlsx", "XLSX"])
def test_a_folder_of_tables(tmp_path, target, file_format):
    written(tmp_path / f"order_lines.{file_format}", line())
    written(tmp_path / f"products.{file_format}", (1, "Cup"), header=("product_id", "name"))
    (tmp_path / f"~$order_lines.{file_format}").write_bytes(b"open in Excel")
    import_folder(tmp_path, target)
    assert names_of(target, "Product") == {1: "Cup"}


def test_rows_are_told_by_excel_s_numbers(tmp_path, target):
    rows = [line(1), (), line(2, quantity=0), line(3, price=None)]
    path = written(tmp_path / "a.xlsx", *rows, above=2)
    found = failures(path, target)
    assert found == [
        "order_lines: unit_price is null (1 row; e.g. row 7)",
        "order_lines: quantity is 0 (1 row; e.g. row 6: 0.0)",
    ]
    aside = Quarantine(tmp_path / "broken.csv", 90)
    assert import_orders([path], target, quarantine=aside).lines == 1
    assert [text.split(",")[:3] for text in aside.file.read_text().splitlines()[1:]] == [
        ["a.xlsx", "6", "quantity is 0"],
        ["a.xlsx", "7", "unit_price is null"],
    ]


def test_several_workbooks_are_one_table(tmp_path, target):
    parts = [written(tmp_path / f"{n}.xlsx", line(n), line(n + 10)) for n in (1, 2)]
    assert import_orders(parts, target).lines == 4
    target.unlink()
    written(parts[1], line(2, quantity=0))
    assert "e.g. 2.xlsx row 2: 0.0" in failures(tmp_path / "*.xlsx", target)[0]


def test_a_title_above_the_header_is_told(tmp_path, target):
    rows = [(), HEADER, line()]
    path = written(tmp_path / "a.xlsx", *rows, header=("Sales 2024",))
    told = "row 3 of a.xlsx is taken for the header; rows above it are not read"
    assert f"order_lines: {told}" in notices(import_orders([path], target))


def test_several_filled_sheets_are_a_question(tmp_path, target):
    path = written(tmp_path / "a.xlsx", line(), Notes=[("call Ann",)], Empty=[])
    with pytest.raises(UnsettledError) as caught:
        import_orders([path], target)
    (question,) = caught.value.questions
    assert str(question) == (
        "a.xlsx has several sheets that are filled: Data, Notes: choose one with --sheet Data"
    )
    settled = OrderMapping().with_options(question.answers[0].settings)
    mapping = import_orders([path], target, settled).understood.mapping
    assert mapping.sheet == "Data"
    mapping.save(tmp_path / "a.toml")
    assert OrderMapping.read(tmp_path / "a.toml") == mapping
    target.unlink()
    assert failures(path, target, OrderMapping(sheet="Date")) == [
        "order_lines: a.xlsx cannot be read: a.xlsx has no sheet Date; its sheets are Data, Notes, "
        "Empty"
    ]


def test_dates_without_their_format(tmp_path, target):
    rows = [line(1, when=45292), line(2, when=45293.5)]
    import_orders([written(tmp_path / "a.xlsx", *rows)], target)
    assert [one[2] for one in lines_of(target)] == [datetime(2024, 1, 1), datetime(2024, 1, 2, 12)]
    import_orders([written(tmp_path / "a.xlsx", *rows, line(3))], target)
    assert [one[2] for one in lines_of(target)][1:] == [datetime(2024, 1, 2, 12), NOON]


def test_texts_are_read_as_those_of_csv(tmp_path, target):
    rows = [line(1, when="31.01.2024", quantity="1.200", price="1.234,50")]
    import_orders([written(tmp_path / "a.xlsx", *rows)], target)
    assert lines_of(target)[0][2:] == (datetime(2024, 1, 31), 1200, 1234.5)


def test_numbers_as_text_beside_numbers(tmp_path, target):
    rows = [line(1, price=1.234), line(2, price="12"), line(3, price="1.5")]
    import_orders([written(tmp_path / "a.xlsx", *rows)], target)
    assert [one[4] for one in lines_of(target)] == [1.234, 12, 1.5]


DOUBTFUL = {
    "a number of another style": (
        line(2, price="1,50"),
        "order_lines: unit_price holds numbers, and texts that are numbers written otherwise, so "
        "that the former may have been misread: make all of the column numbers, or all of it text "
        "(row 3: 1,50) (1 row)",
    ),
    "a number that may be thousands": (line(2, quantity="1.200"), "row 3: 1.200"),
    "a date of another order": (
        line(2, when="13/02/2024"), "days and months of the former may have been exchanged"
    ),
    "an id that was cut": (
        line(2, customer=1234567890123456),
        "order_lines: customer_id holds numbers of more than 15 digits, of which a spreadsheet "
        "keeps no more: enter them as text (row 3: 1234567890123456) (1 row)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("row", "said"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_makes_other_cells_doubtful_is_refused(tmp_path, target, row, said):
    path = written(tmp_path / "a.xlsx", line(1), row)
    aside = Quarantine(tmp_path / "broken.csv", 90)
    assert said in failures(path, target, quarantine=aside)[0]


def test_files_of_two_kinds_and_files_that_are_none(tmp_path, target):
    book = written(tmp_path / "a.xlsx", line())
    other = csv(tmp_path / "b.csv", "1", header="a")
    with pytest.raises(DataError, match="there are CSV and Excel files: keep those of one kind"):
        import_orders([book, other], target)
    assert "is no workbook, or a damaged one" in failures(_copied(other), target)[0]
    empty = written(tmp_path / "c.xlsx", header=())
    assert "c.xlsx is empty" in failures(empty, target)[0]


def _copied(path):
    copy = path.with_suffix(".ods")
    copy.write_bytes(path.read_bytes())
    return copy
