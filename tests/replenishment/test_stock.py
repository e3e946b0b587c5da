"""Stock files: what is read, and every mistake in one at once."""

import numpy as np
import pandas as pd
import pytest

from toolkit.errors import ArgumentError, DataError
from toolkit.replenishment.stock import Stock, read_stock
from toolkit.sources.sql import as_source


@pytest.fixture
def file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "stock.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_what_is_not_given_has_a_default_or_is_the_policys(file):
    stock = read_stock(file("product,on_hand,on_order\n7, 12 ,0\n8,-3.5,4e1\n"))
    assert stock.product_id.tolist() == [7, 8]
    assert stock.position.tolist() == [12.0, 36.5]
    assert stock.pack_size.tolist() == [1.0, 1.0]
    assert stock.minimum_order.tolist() == [0.0, 0.0]
    assert stock.lead_time_days == (None, None)
    assert np.isnan([stock.unit_cost, stock.review_days, stock.service_level]).all()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_a_byte_order_mark_and_quotes(file, delimiter):
    lines = [
        ["product", "on_hand", "on_order", "lead_time_days", "pack_size"],
        ["7", "1", "2", '"10:0.2,14:0.8"', "6"],
        ["8", "1", "2", "", ""],
    ]
    text = "\n".join(delimiter.join(line) for line in lines)
    stock = read_stock(file(text, "utf-8-sig"))
    assert stock.lead_time_days == ({10: 0.2, 14: 0.8}, None)
    assert stock.pack_size.tolist() == [6.0, 1.0]


def test_a_frame_reads_as_the_file_does(file):
    text = "product,on_hand,on_order,unit_cost,service_level\n7,1,2,,0.9\n8,3,4,2.5,\n"
    frame = pd.DataFrame(
        {"product": [7, 8], "on_hand": [1, 3], "on_order": [2.0, 4.0],
         "unit_cost": [None, 2.5], "service_level": [0.9, np.nan]}
    )  # fmt: skip
    read, made = read_stock(file(text)), Stock.from_frame(frame)
    assert made.product_id.tolist() == read.product_id.tolist()
    assert made.unit_cost[1] == read.unit_cost[1] == 2.5
    assert np.isnan([made.unit_cost[0], read.unit_cost[0], made.service_level[1]]).all()


def test_lines_are_counted_as_an_editor_does(file):
    with pytest.raises(DataError) as caught:
        read_stock(file("product,on_hand,on_order\n1,2,3\n\n2,many,3\n"))
    assert "line 4: 'many'" in str(caught.value)


@pytest.mark.parametrize("days", ["729", "1e19", "1e300"])
def test_a_review_period_ends_within_what_is_forecast(file, days):
    with pytest.raises(DataError) as caught:
        read_stock(file(f"product,on_hand,on_order,review_days\n7,1,2,{days}\n"))
    assert "review_days has to be a whole number from 1 to 728" in str(caught.value)


def test_ids_of_a_frame_may_be_floats(database):
    """As pandas makes them of whole numbers beside a gap."""
    frame = pd.DataFrame({"product": [7.0, 8.0], "on_hand": [1.5, 3], "on_order": [0, 0]})
    stock = Stock.from_frame(frame, source=as_source(database))
    assert (stock.product_id.tolist(), stock.on_hand.tolist()) == ([7, 8], [1.5, 3.0])
    with pytest.raises(DataError, match=r"got '7\.5'"):
        Stock.from_frame(frame.assign(product=[7.5, 8.0]))


def test_every_mistake_is_listed(file, database):
    text = """product,on_hand,on_order,pack_sise,lead_time_days,pack_size,review_days,service_level
1,5,0,,14,1,7,0.9
1,5,0,,14,1,7,0.9
2,many,-1,,soon,0,1.5,95
x7,,0,,14,inf,,
999,5,0,,10:0.5,1,0,
,5,0,,14,1,7,
"""
    with pytest.raises(DataError) as caught:
        read_stock(file(text), source=as_source(database))
    said = str(caught.value)
    for part in (
        "column 'pack_sise' is unknown; did you mean 'pack_size'?",
        "product is unknown (3 rows; e.g. line 5: product_id has to be a whole number, got 'x7'",
        "line 6: '999' is not in the database",
        "line 7: it is empty",
        "product appears more than once (1 row; e.g. line 3: '1')",
        "lead_time_days cannot be used (2 rows; e.g. line 4: lead_time_days has to be",
        "on_hand has to be a number",
        "line 4: 'many', line 5: ''",
        "on_order has to be a number from 0 to 1e+12 (1 row; e.g. line 4: '-1')",
        "pack_size has to be a number above 0, at most 1e+12 (2 rows; e.g. line 4: '0'",
        "review_days has to be a whole number from 1 to 728 (2 rows",
        "service_level has to be a number between 0 and 1 (1 row; e.g. line 4: '95')",
    ):
        assert part in said, part
    assert len(caught.value.findings) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("product,on_hand\n7,1\n", "column on_order is missing"),
        ("", "column product is missing"),
        ("product,on_hand,on_order,on_hand\n7,1,1,1\n", "column on_hand appears twice"),
        (
            "product,on_hand,on_order\n7,1\n8,1,2,3\n",
            r"fields of the first one \(2 rows; e.g. line 2",
        ),
    ],
)
def test_a_file_of_another_shape(file, text, message):
    with pytest.raises(DataError, match=message):
        read_stock(file(text))


def test_a_file_that_is_none(file, tmp_path):
    with pytest.raises(ArgumentError, match="cannot be read: No such file"):
        read_stock(tmp_path / "no.csv")
    path = file("")
    path.write_bytes(b"product,on_hand\n\xff\xfe\n")
    with pytest.raises(ArgumentError, match="is no CSV file in UTF-8"):
        read_stock(path)
