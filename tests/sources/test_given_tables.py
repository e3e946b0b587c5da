"""Order lines in tables of other libraries: understood, checked and mapped as files are."""

import re
from datetime import datetime

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from tests.sources.odd_files import codes_of, lines_of, notices, written
from toolkit.errors import ArgumentError, DataError
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.quarantine import Quarantine
from toolkit.sources.folder.questions import UnsettledError

FRAME = pd.DataFrame(
    {
        "Kundennummer": ["C-1", "C-2", "C-1"],
        "Artikel": [1, 2, 2],
        "Menge": [1, 2, 3],
        "Datum": ["31.01.2024", "01.02.2024", "02.02.2024"],
        "Preis": ["1,5", "2,5", "1.003,25"],
    }
)


class Foreign:
    """A table of a library that has nothing else in common with ours."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def as_file(tmp_path):
    path = tmp_path / "a.csv"
    FRAME.to_csv(path, index=False, sep=";")
    return [path]


@pytest.mark.parametrize(
    "given",
    [
        FRAME,
        FRAME.astype({"Artikel": "category", "Kundennummer": "string"}),
        pa.Table.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME).to_reader(),
        Foreign(pa.Table.from_pandas(FRAME)),
    ],
    ids=["pandas", "categories", "Arrow", "reader", "PyCapsule"],
)
def test_a_table_is_read_as_its_file_is(tmp_path, target, given):
    import_orders(as_file(tmp_path), target)
    wanted = lines_of(target), codes_of(target, "customer")
    report = import_orders(given, target)
    assert (lines_of(target), codes_of(target, "customer")) == wanted
    assert lines_of(target)[-1][4] in (1.5, 1003.25)
    assert report.understood.mapping.date_format == "day-first"


def test_a_relation_of_duckdb(target):
    lines = duckdb.sql(
        "SELECT 1 AS order_id, 2 AS customer_id, 3 AS product_id, 4 AS quantity, 2.5 AS unit_price,"
        " TIMESTAMPTZ '2024-01-01 00:30:00+02' AS ordered_at"
    )
    import_orders(lines, target, OrderMapping(timezone="UTC"))
    assert lines_of(target) == [(2, 3, datetime(2023, 12, 31, 22, 30), 4, 2.5)]


def test_empty_rows_and_missing_values(tmp_path, target):
    frame = FRAME.reindex([0, 7, 1, 2, 8]).reset_index(drop=True)
    frame.loc[2, "Kundennummer"] = None
    with pytest.raises(DataError) as caught:
        import_orders(frame, target)
    assert [str(finding) for finding in caught.value.findings] == [
        "order_lines: customer_id is null (1 row; e.g. row 2)"
    ]
    aside = Quarantine(tmp_path / "broken.csv", 50)
    report = import_orders(frame, target, quarantine=aside)
    assert (report.lines, lines_of(target)[0][1]) == (2, 1)
    assert aside.file.read_text().splitlines()[1].startswith('"",2,customer_id is null,')


def test_a_question_has_answers_for_a_mapping(target):
    frame = FRAME.assign(Datum="01/02/2024")
    with pytest.raises(UnsettledError) as caught:
        import_orders(frame, target)
    (question,) = caught.value.questions
    answered = OrderMapping().with_options(question.answers[1].settings)
    assert import_orders(frame, None, answered).first_date.isoformat() == "2024-01-02"


@pytest.mark.parametrize("given", [7, [1, 2], pd.Series([1, 2])], ids=["7", "list", "Series"])
def test_what_is_no_table(given, target):
    with pytest.raises(ArgumentError, match="files has to be paths or a table of order lines"):
        import_orders(given, target)


def test_columns_that_are_there_twice(target):
    with pytest.raises(DataError, match="columns A, a differ in their case only"):
        import_orders(pd.DataFrame([[1, 2]], columns=["a", "A"]), target)


def test_a_single_path_is_enough(tmp_path, target):
    path = written(tmp_path / "a.csv", "1,1,1,2024-01-01,1,2")
    assert import_orders(path, target).lines == import_orders(str(path), target).lines == 1


SERIES = pa.table(
    {"unique_id": ["A", "B"], "ds": [datetime(2024, 1, 1), datetime(2024, 1, 8)], "y": [1.0, 2.0]}
)


def test_series_without_customers_and_prices(tmp_path, target):
    with pytest.raises(DataError) as caught:
        import_orders(SERIES, target)
    said = str(caught.value)
    assert "or --constant customer_id=ALL if there are no customers" in said
    assert "or --constant unit_price=unknown if there are no prices" in said
    mapping = OrderMapping(constants={"customer_id": "ALL", "unit_price": "unknown"})
    report = import_orders(SERIES, target, mapping)
    assert codes_of(target, "customer") == ["ALL"]
    assert {line[3:] for line in lines_of(target)} == {(1, None), (2, None)}
    assert re.search("\ncustomer_id +ALL in all lines\n", str(report.understood))
    report.understood.mapping.save(tmp_path / "a.toml")
    assert OrderMapping.read(tmp_path / "a.toml").constants == mapping.constants
    assert any("all are of one customer" in notice for notice in notices(report))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"constants": {"client": "ALL"}}, "constants.client: is unknown"),
        (
            {"constants": {"customer_id": "ALL"}, "columns": {"customer_id": "x"}},
            "customer_id: is both a column (x) and a constant",
        ),
        ({"decimal": "per-file", "thousands": "."}, "thousands: not with decimal per-file"),
    ],
)
def test_settings_that_contradict_each_other(content, said):
    with pytest.raises(ArgumentError) as caught:
        OrderMapping.of(content, "it")
    assert said in str(caught.value)


def test_a_constant_has_to_be_such_a_value(target):
    with pytest.raises(DataError, match=r"unit_price is not a number \(2 rows"):
        import_orders(
            SERIES, target, OrderMapping(constants={"customer_id": "A", "unit_price": "1,5"})
        )
