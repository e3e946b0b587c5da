"""Columns of other systems: recognised, mapped, shown, saved and asked about."""

from datetime import datetime

import pytest

from tests.sources.odd_files import HEADER, codes_of, failures, lines_of, names_of, notices, written
from toolkit.errors import ArgumentError
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping

# What was understood, and said again.
UCI = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
UCI_LINES = [
    '700001,MUG-7A,"MUG, BLUE",6,12/1/2010 8:26,2.55,20100,United Kingdom',
    "700002,30411,TRAY,6,12/1/2010 8:28,1.85,20100,United Kingdom",
    "C700009,30411,TRAY RED,-1,12/13/2010 9:41,1.85,20100,United Kingdom",
    "700004,30411,TRAY RED,3,12/14/2010 9:41,1.85,20101,United Kingdom",
    "536381,POST,POSTAGE,1,12/14/2010 9:41,18.0,20101,United Kingdom",
]
ERP = "Belegnummer;Kundennummer;Kundenname;Artikelnummer;Bezeichnung;Datum;Menge;Preis"
ERP_LINES = ["7;100;Müller;000046;Schraube für Holz;31.01.2024;1.200;1,50",
             "8;101;Jäger;000047;Dübel;01.02.2024;3;0,25"]  # fmt: skip


def test_a_shop_s_export_is_read_by_itself(tmp_path, target):
    told = []
    path = written(tmp_path / "sales.csv", *UCI_LINES, header=UCI)
    mapping = OrderMapping(exclude_products=("POST", "M"))
    report = import_orders([path], target, mapping, told=told.append)
    assert sorted(line[2:] for line in lines_of(target)) == [
        (datetime(2010, 12, 1, 8, 26), 6, 2.55),
        (datetime(2010, 12, 1, 8, 28), 6, 1.85),
        (datetime(2010, 12, 13, 9, 41), -1, 1.85),
        (datetime(2010, 12, 14, 9, 41), 3, 1.85),
    ]
    assert codes_of(target, "product") == ["30411", "MUG-7A"]
    assert set(names_of(target, "Product").values()) == {"MUG, BLUE", "TRAY RED"}
    assert "order_lines: lines of excluded products, left out (1 row)" in notices(report)
    assert told == [report.understood]
    assert {c.field: c.column for c in told[0].columns}["ordered_at"] == "InvoiceDate"
    assert str(told[0]).splitlines()[4] == (
        "ordered_at    InvoiceDate  12/1/2010 8:26 · 12/1/2010 8:28 · 12/13/2010 9:41  "
        "dates, month first: 2010-12-01 08:26:00"
    )


def test_an_export_of_another_language_is_read_by_itself(tmp_path, target):
    path = written(tmp_path / "erp.csv", *ERP_LINES, header=ERP, encoding="latin-1")
    report = import_orders([path], target)
    assert [line[2:] for line in lines_of(target)] == [
        (datetime(2024, 1, 31), 1200, 1.5),
        (datetime(2024, 2, 1), 3, 0.25),
    ]
    assert names_of(target, "Client") == {100: "Müller", 101: "Jäger"}
    assert report.understood.mapping == OrderMapping(
        columns=report.understood.mapping.columns,
        date_format="day-first",
        decimal=",",
        thousands=".",
        encoding="cp1252",
    )


def test_a_saved_mapping_says_the_same_again(tmp_path, target):
    path = written(tmp_path / "erp.csv", *ERP_LINES, header=ERP, encoding="latin-1")
    first = import_orders([path], target)
    before = lines_of(target)
    first.understood.mapping.save(tmp_path / "mapping.toml")
    mapping = OrderMapping.read(tmp_path / "mapping.toml")
    assert mapping == first.understood.mapping
    assert import_orders([path], target, mapping).understood.mapping == mapping
    assert lines_of(target) == before


def test_a_mapping_lists_all_that_is_wrong_with_it(tmp_path):
    path = tmp_path / "mapping.toml"
    path.write_text('decimal = ";"\ndate_format = "soon"\n[columns]\ncustomer = "Kunde"\n')
    with pytest.raises(ArgumentError) as caught:
        OrderMapping.read(path)
    said = str(caught.value)
    assert "has 3 mistakes" in said
    assert "columns.customer: is unknown; did you mean" in said
    assert "decimal: has to be one of '.', ',', 'per-file', got ';'" in said
    assert "date_format: has to be one of day-first, month-first" in said


def test_two_columns_that_may_be_one_are_a_question(tmp_path, target):
    header = HEADER.replace("customer_id", "Customer No,Client ID")
    path = written(tmp_path / "a.csv", "1,1,8,1,2024-01-01,1,1", header=header)
    found = failures(path, target)
    assert found[0] == (
        "order_lines: customer_id may be Customer No or Client ID: choose one with "
        '--map customer_id="Customer No"'
    )
    import_orders([path], target, OrderMapping(columns={"customer_id": "clientid"}))
    assert lines_of(target)[0][0] == 8


def test_columns_of_which_none_is_known(tmp_path, target):
    assert failures(written(tmp_path / "a.csv", "1,2", header="foo,bar"), target)[0] == (
        "order_lines: column order_id is missing; the columns are foo, bar: rename the one that "
        "holds it to order_id, or give --map order_id=COLUMN"
    )


def test_a_column_that_is_not_there_cannot_be_mapped(tmp_path, target):
    path = written(tmp_path / "a.csv", "1,1,1,2024-01-01,1,1")
    found = failures(path, target, OrderMapping(columns={"customer_id": "custmer_id"}))
    assert found[0] == (
        "order_lines: there is no column custmer_id to map to customer_id; "
        "did you mean customer_id?"
    )


SYSTEMS = {
    "Shopify": ("Name,Email,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku",
                "#1001,a@example.com,2024-01-01 10:00:00 +0100,2,Cup,4.50,CUP-1"),
    "SAP": ("VBELN;AUDAT;KUNNR;MATNR;ARKTX;KWMENG;NETPR",
            "0000004711;20240101;0000100001;000046;Cup;2,000;4,50"),
    "Dynamics": ("SalesId,CustAccount,ItemId,CreatedDateTime,SalesQty,SalesPrice",
                 "SO-1,C-1,CUP-1,2024-01-01 10:00:00,2,4.50"),
    "pandas": (",unique_id,ds,y,customer_id,price", "0,CUP-1,2024-01-01,2,C-1,4.50"),
    "plain": ("Order ID,Customer ID,Product ID,Order Date,Qty,Unit Price",
              "1,1,1,2024-01-01,2,4.50"),
}  # fmt: skip


@pytest.mark.parametrize(("header", "line"), SYSTEMS.values(), ids=SYSTEMS)
def test_exports_of_other_systems(tmp_path, target, header, line):
    mapping = OrderMapping(timezone="Europe/Berlin")
    import_orders([written(tmp_path / "a.csv", line, header=header)], target, mapping)
    (one,) = lines_of(target)
    assert (one[2].date(), *one[3:]) == (datetime(2024, 1, 1).date(), 2, 4.5)


def test_names_are_the_most_frequent_and_of_several_the_last(tmp_path, target):
    names = ["Cup", "Mug", "Mug", "Cup", "Jar", "  "]
    rows = [f"{i},1,1,2024-01-0{i},1,1,{name}" for i, name in enumerate(names, start=1)]
    import_orders([written(tmp_path / "a.csv", *rows, header=f"{HEADER},Description")], target)
    assert names_of(target, "Product") == {1: "Cup"}


def test_a_file_of_products_goes_before_the_lines(tmp_path, target):
    lines = written(tmp_path / "sales.csv", "1,1,1,2024-01-01,1,1")
    products = written(tmp_path / "products.csv", "1,Cup", "2,Jar", header="product_id,name")
    import_orders([lines, products], target)
    assert names_of(target, "Product") == {1: "Cup", 2: "Jar"}
    assert names_of(target, "Client") == {1: None}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sales.xlsx", "it is no workbook, or a damaged one"),
        ("nothing.csv", "there is no such file"),
        ("nothing", "there is no such folder"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, target, name, said):
    if name == "sales.xlsx":
        (tmp_path / name).write_bytes(b"PK")
    (failure,) = failures(tmp_path / name, target)
    assert said in failure
