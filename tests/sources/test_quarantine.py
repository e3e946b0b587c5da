"""Broken lines: refused, or set aside with their reasons up to a limit."""

import json

import pytest

from tests.sources.odd_files import failures, lines_of, notices, written
from toolkit.errors import ArgumentError, DataError
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.quarantine import Quarantine

# Case 14: broken lines, refused or set aside.
BROKEN = [
    "1,1,1,2024-01-01,5,2",
    "2,1,1,2024-01-02,5,0",
    "3,1,1,2024-01-03,5,-11062.06",
    "4,,1,2024-01-04,5,2",
    "5,1,1,2024-01-05,0,2",
    "6,1,1,soon,5,2",
    "7,1,1",
    "8,1,1,2024-01-08,5,2",
]
SET_ASIDE = """file,line,reason,order_id,customer_id,product_id,ordered_at,quantity,unit_price,text
a.csv,3,unit_price is not above 0,2,1,1,2024-01-02,5,0,
a.csv,4,unit_price is not above 0,3,1,1,2024-01-03,5,-11062.06,
a.csv,5,customer_id is null,4,,1,2024-01-04,5,2,
a.csv,6,quantity is 0,5,1,1,2024-01-05,0,2,
"""


def test_broken_lines_are_refused_at_once_with_a_remedy(tmp_path, target):
    with pytest.raises(DataError) as caught:
        import_orders([written(tmp_path / "a.csv", *BROKEN[:5])], target)
    assert len(caught.value.findings) == 3
    assert str(caught.value).endswith(
        "--quarantine FILE sets such lines aside and imports the others; above 5 % of the lines it "
        "takes --quarantine-limit, too."
    )


def test_broken_lines_are_set_aside_with_their_reasons(tmp_path, target):
    aside = tmp_path / "broken.csv"
    path = written(tmp_path / "a.csv", *BROKEN)
    report = import_orders([path], target, quarantine=Quarantine(aside, 75))
    assert report.lines == 2
    assert [line[2].day for line in lines_of(target)] == [1, 8]
    text = aside.read_text(encoding="utf-8")
    assert text.startswith(SET_ASIDE)
    assert 'a.csv,7,"ordered_at is not a date (2024-01-31' in text
    assert "a.csv,8,the line cannot be read: Expected Number of Columns: 6" in text
    told = [notice for notice in notices(report) if "set aside" in notice]
    assert told[0] == f"order_lines: lines set aside in {aside} (6 rows)"
    assert len(told) == 6


def test_more_broken_lines_than_the_limit_are_refused(tmp_path, target):
    aside = tmp_path / "broken.csv"
    path = written(tmp_path / "a.csv", *BROKEN)
    found = failures(path, target, quarantine=Quarantine(aside, 74))
    assert found[0] == (
        "order_lines: 6 of 8 lines would be set aside, 75.0 %, which is above the limit of 74 %; "
        "if that is right, give --quarantine-limit 76"
    )
    assert len(found) == 6
    assert not aside.exists()


def test_nothing_broken_leaves_an_empty_quarantine(tmp_path, target):
    aside = tmp_path / "broken.csv"
    import_orders([written(tmp_path / "a.csv", BROKEN[0])], target, quarantine=Quarantine(aside))
    assert aside.read_text(encoding="utf-8").splitlines() == [SET_ASIDE.splitlines()[0]]


def test_a_quarantine_in_no_folder_is_refused_before_anything_is_read(tmp_path, target):
    aside = Quarantine(tmp_path / "nowhere" / "broken.csv")
    with pytest.raises(ArgumentError, match=r"there is no folder .*nowhere to write broken.csv to"):
        import_orders([written(tmp_path / "a.csv", *BROKEN)], target, quarantine=aside)


def test_a_limit_is_a_percentage(tmp_path):
    with pytest.raises(ArgumentError, match="from 0 to 100 percent, got 500"):
        Quarantine(tmp_path / "broken.csv", 500)


def test_a_dry_run_writes_nothing(tmp_path):
    path = written(tmp_path / "a.csv", *BROKEN)
    report = import_orders([path], None, quarantine=Quarantine(tmp_path / "broken.csv", 75))
    assert report.lines == 2
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]
    assert json.dumps(report.understood.mapping.as_toml())
