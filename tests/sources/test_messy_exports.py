"""Exports that went through other programs: what they changed is understood, or asked about."""

from tests.sources.odd_files import codes_of, lines_of, notices, written
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping


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
