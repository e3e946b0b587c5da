"""Exports that went through other programs: what they changed is understood, or asked about."""

from tests.sources.odd_files import HEADER, codes_of, failures, lines_of, notices, written
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.folder.quarantine import Quarantine


def test_whole_numbers_among_codes_are_the_same_when_written_as_floats(tmp_path, target):
    lines = ["1,17850.0,A,2024-01-01,1,2", "2,17850,A,2024-01-02,1,2", "3,X7,A,2024-01-03,1,2"]
    report = import_orders([written(tmp_path / "a.csv", *lines)], target)
    assert codes_of(target, "customer") == ["17850", "X7"]
    told = "customer_id has whole numbers written like 17850.0, taken as 17850 (1 row)"
    assert f"order_lines: {told}" in notices(report)


def test_numbers_with_parts_are_codes_as_they_are(tmp_path, target):
    lines = [f"{n},1,{code},2024-01-0{n},1,2" for n, code in enumerate(["1.0", "1.1", "1"], 1)]
    import_orders([written(tmp_path / "a.csv", *lines)], target)
    assert codes_of(target, "product") == ["1", "1.0", "1.1"]


def test_excluded_products_are_found_when_written_as_floats(tmp_path, target):
    lines = ["1,1,7.0,2024-01-01,1,2", "2,1,8.0,2024-01-02,1,2"]
    path = written(tmp_path / "a.csv", *lines)
    import_orders([path], target, OrderMapping(exclude_products=("7",)))
    assert [line[1] for line in lines_of(target)] == [8]


def test_dates_of_both_orders_are_asked_about(tmp_path, target):
    days = ["13/01/2024", "15/01/2024", "01/14/2024", "02/03/2024"]
    path = written(tmp_path / "a.csv", *(f"{n},1,1,{day},1,2" for n, day in enumerate(days)))
    aside = Quarantine(tmp_path / "broken.csv", 50)
    assert (
        "order_lines: ordered_at is written both day first (13/01/2024) and month first "
        "(01/14/2024), so that 02/03/2024 may be either: give --date-format day-first or "
        "--date-format month-first"
    ) in failures(path, target, quarantine=aside)
    report = import_orders([path], target, OrderMapping(date_format="day-first"), quarantine=aside)
    assert report.lines == 3


def test_columns_that_differ_in_case_only_are_named(tmp_path, target):
    path = written(tmp_path / "a.csv", "1,1,1,2024-01-01,1,2,9", header=f"{HEADER},Quantity")
    assert failures(path, target) == [
        "order_lines: a.csv cannot be read: columns Quantity, quantity differ in their case only: "
        "rename one"
    ]


def test_a_date_format_that_fits_nothing_is_told_as_such(tmp_path, target):
    path = written(tmp_path / "a.csv", "1,1,1,31/01/2024,1,2")
    assert failures(path, target, OrderMapping(date_format="%d.%m.%Y")) == [
        "order_lines: ordered_at is not a date (dates like %d.%m.%Y) (1 row; "
        "e.g. line 2: 31/01/2024)"
    ]
