"""Instants become days of the business's time zone, of files and of DataFrames; today is its."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import duckdb
import pandas as pd
import pytest

from tests.sources.helpers import rows_of, to_parquet
from toolkit import ForecastEngine, OrderMapping, import_orders
from toolkit.data.zones import known_zone, offsets, today_in
from toolkit.errors import ArgumentError, DataError
from toolkit.sources.base import today_of
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source, last_order_day

BERLIN = OrderMapping(timezone="Europe/Berlin")
DAYS = {
    "2024-04-07T00:00:00+02:00": "2024-04-07",
    "2024-04-06T23:30:00+02:00": "2024-04-06",
    "2024-04-06T22:30:00Z": "2024-04-07",
    "2024-03-31T00:30:00+01:00": "2024-03-31",  # the clocks go forward at 02:00
    "2024-03-30T23:30:00+01:00": "2024-03-30",
    "2024-03-31T22:30:00Z": "2024-04-01",
    "2023-10-28T22:30:00Z": "2023-10-29",  # the clocks go back at 03:00
    "2023-10-29T22:30:00Z": "2023-10-29",
    "2023-10-29T23:30:00+0100": "2023-10-29",
    "2023-12-31 23:30:00 -05:00": "2024-01-01",
    "2023-01-01 23:30:00 Europe/London": "2023-01-02",
}
"""Instants as they are written, and their days in Berlin."""


def write(folder, moments):
    lines = [f"{i},{i % 2},7,{moment},1,2" for i, moment in enumerate(moments, start=1)]
    head = "order_id,customer_id,product_id,ordered_at,quantity,unit_price"
    (folder / "lines.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    return folder / "lines.csv"


def days_of(database):
    with closing(open_database(database)) as conn:
        found = conn.execute("SELECT CAST(Created AS DATE) FROM dbo.OrderItem ORDER BY OrderID")
        return [str(day) for (day,) in found.fetchall()]


@pytest.mark.parametrize("like", ["T", "+0100"])
def test_instants_become_days_of_the_zone(tmp_path, target, like):
    """All as their own way of writing; offsets without a colon are another one."""
    moments = [m for m in DAYS if like in m or like == "T"]
    if like == "T":
        moments.remove("2023-10-29T23:30:00+0100")
    report = import_orders([write(tmp_path, moments)], target, BERLIN)
    assert days_of(target) == [DAYS[moment] for moment in moments]
    assert f"taken as days in Europe/Berlin ({len(moments)} row" in str(report)


def test_a_format_with_an_offset(tmp_path, target):
    mapping = OrderMapping(timezone="Europe/Berlin", date_format="%d.%m.%Y %H:%M %z")
    file = write(tmp_path, ["07.04.2024 00:00 +0200", "06.04.2024 23:30 +0100"])
    import_orders([file], target, mapping)
    assert days_of(target) == ["2024-04-07", "2024-04-07"]
    with pytest.raises(DataError, match="as --timezone Europe/Berlin"):
        import_orders([file], target, OrderMapping(date_format="%d.%m.%Y %H:%M %z"))


@pytest.mark.parametrize("type_", ["TIMESTAMPTZ", "TIMESTAMPTZ_NS"])
def test_parquet_with_instants(folder, target, type_):
    to_parquet(folder, ordered_at=f"CAST(ordered_at || '+00:00' AS {type_})")
    with pytest.raises(DataError, match=r"ordered_at has an offset from UTC \(2024-01-02 08:30:00"):
        import_orders([folder], target)
    import_orders([folder], target, OrderMapping(timezone="Pacific/Auckland"))
    assert days_of(target) == ["2024-01-02", "2024-01-02", "2024-01-05", "2024-02-01"]
    import_orders([folder], target, OrderMapping(timezone="America/Los_Angeles"))
    assert days_of(target) == ["2024-01-02", "2024-01-02", "2024-01-04", "2024-02-01"]


def test_an_order_at_midnight_of_the_as_of_date_is_not_known(tmp_path, target):
    """In UTC it would be of the day before."""
    file = write(tmp_path, ["2024-04-07T00:00:00+02:00", "2024-04-06T23:59:59+02:00"])
    import_orders([file], target, BERLIN)
    with closing(open_database(target)) as conn:
        events = as_source(conn).order_events(date(2024, 4, 7))
        assert rows_of(events) == [(7, 0, -1, 1.0)]
        assert len(as_source(conn).order_events(date(2024, 4, 8))) == 2


@pytest.mark.parametrize("zone", [None, "America/New_York", "Pacific/Kiritimati"])
def test_local_times_stay_on_their_day(tmp_path, target, zone):
    """In New York it is tomorrow in UTC from 20:00 on; noon is of the day before in Kiritimati."""
    file = write(tmp_path, ["2024-04-06 20:00:00", "2024-04-06 23:30:00", "2024-04-07 00:00:00"])
    import_orders([file], target, OrderMapping(timezone=zone))
    assert days_of(target) == ["2024-04-06", "2024-04-06", "2024-04-07"]


@pytest.mark.parametrize("zone", [None, "Pacific/Kiritimati"])
def test_a_local_time_may_be_of_a_day_that_has_not_begun_elsewhere(tmp_path, target, zone):
    now = datetime.now(UTC) + timedelta(hours=14)
    mapping = OrderMapping(timezone=zone)
    import_orders([write(tmp_path, [f"{now:%Y-%m-%d %H:%M:%S}"])], target, mapping)
    assert days_of(target) == [f"{now:%Y-%m-%d}"]
    file = write(tmp_path, [f"{now + timedelta(1):%Y-%m-%d %H:%M:%S}"])
    with pytest.raises(DataError, match="ordered_at lies outside"):
        import_orders([file], target, mapping)


def test_times_with_and_without_an_offset_are_not_mixed(tmp_path, target):
    file = write(tmp_path, ["2024-04-07T00:00:00+02:00", "2024-04-07T00:00:00"])
    with pytest.raises(DataError) as caught:
        import_orders([file], target, BERLIN)
    told = (
        "  - order_lines: ordered_at has no time zone, where other rows have one (1 row; e.g. line "
        "3: 2024-04-07T00:00:00)"
    )
    assert str(caught.value).splitlines()[1:2] == [told]
    with pytest.raises(DataError) as caught:
        import_orders([file], target)
    asked, also = str(caught.value).splitlines()[1:3]
    assert "give the time zone of the business" in asked
    assert also == told


@pytest.mark.parametrize("day", ["2024-04-07 23:30:00", "2024-04-07"])
def test_a_time_without_an_offset_is_local_beside_offsets_of_any_kind(tmp_path, target, day):
    file = write(tmp_path, ["2024-04-07 23:30:00 +0000", day])
    with pytest.raises(DataError, match=f"no time zone, .* .1 row; e.g. line 3: {day}."):
        import_orders([file], target, BERLIN)


def test_what_is_no_time_is_no_time_with_an_offset(tmp_path, target):
    file = write(tmp_path, ["2024-04-07 10:00:00", "2024-04-07 10:00 at noon", "2024-04-07"])
    with pytest.raises(DataError) as caught:
        import_orders([file], target)
    (rule,) = str(caught.value).splitlines()[1:2]
    assert "is not a date" in rule
    assert "offset" not in str(caught.value)


@pytest.mark.parametrize("first", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_today_is_that_of_the_imported_orders(tmp_path, target, first):
    """The two are 26 hours apart: one of them has another date than this machine."""
    yesterday = f"{today_in(first) - timedelta(1)} 12:00:00"
    today = f"{today_in(first)} 00:00:00"
    file = write(tmp_path, ["2024-01-01 10:00:00", yesterday, today])
    import_orders([file], target, OrderMapping(timezone=first))
    with closing(open_database(target)) as conn:
        assert today_of(as_source(conn)) == today_in(first)
        assert last_order_day(conn) == today_in(first) - timedelta(1)
        forecast = ForecastEngine(conn).generate_forecast(7)
        assert forecast.model_metadata["as_of_date"] == str(today_in(first))
        assert not any("future" in str(n) for n in check_database(conn).notices)


def test_a_database_without_a_zone_has_the_days_of_this_machine(folder, target):
    import_orders([folder], target)
    with closing(open_database(target)) as conn:
        assert today_of(as_source(conn)) == datetime.now().date()


def test_data_frames(tmp_path):
    lines = pd.DataFrame(
        {
            "customer_id": [1, 1],
            "product_id": [7, 7],
            "ordered_at": pd.to_datetime(["2024-04-06T22:00:00Z", "2024-04-01T21:59:59Z"]),
            "quantity": [1, 1],
            "unit_price": [2, 2],
        }
    )
    with pytest.raises(DataError, match="as timezone='Europe/Berlin'"):
        ForecastEngine.from_frame(lines)
    with pytest.raises(ArgumentError, match="nearest names are Europe/Berlin"):
        ForecastEngine.from_frame(lines, timezone="Europe/Berln")
    engine = ForecastEngine.from_frame(lines, timezone="Europe/Berlin")
    events = engine.source.order_events(date(2024, 4, 7))
    assert rows_of(events) == [(7, 1, -6, 1.0)]
    assert today_of(engine.source) == today_in("Europe/Berlin")


NOON = datetime(2024, 4, 7, 12)
MIXED = {
    "aware first": [NOON.replace(tzinfo=UTC), NOON],
    "naive first": [NOON, NOON.replace(tzinfo=UTC)],
    "a day first": [NOON.date(), NOON.replace(tzinfo=UTC)],
}


@pytest.mark.parametrize("moments", MIXED.values(), ids=MIXED)
def test_objects_with_and_without_a_zone_are_not_mixed(moments):
    """Arrow takes some of them to UTC."""
    columns = {"customer_id": 1, "product_id": 7, "quantity": 1, "unit_price": 2}
    lines = pd.DataFrame({"ordered_at": pd.Series(moments, dtype=object), **columns})
    told = "ordered_at has no time zone, where other rows have one"
    with pytest.raises(DataError, match=told):
        import_orders(lines, None, BERLIN)
    with pytest.raises(DataError, match=told):
        ForecastEngine.from_frame(lines, timezone="Europe/Berlin")


def test_a_zone_is_kept_in_a_mapping(tmp_path):
    BERLIN.save(tmp_path / "mapping.toml")
    assert OrderMapping.read(tmp_path / "mapping.toml") == BERLIN


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("europe/berlin", "Europe/Berlin"),
    ],
)
def test_an_unknown_zone_is_told_with_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"got '{name}'; the nearest names are .*{nearest}"):
        known_zone(name)


@pytest.mark.parametrize(
    "zone",
    ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Europe/Moscow",
     "Pacific/Apia", "America/Caracas", "UTC"],
)  # fmt: skip
def test_offsets_are_those_that_duckdb_has(zone):
    """Every quarter of the days of 36 years, and minutes beside the changes."""
    changes = offsets(zone)
    beside = [c + timedelta(minutes=m) for c, _ in changes for m in (-1, 0, 1)]
    listed = ", ".join(f"TIMESTAMP '{moment}'" for moment in beside if moment.year >= 1990)
    query = f"""
        SELECT t, date_diff('minute', t, timezone('{zone}', timezone('UTC', t))) FROM (
            SELECT unnest(generate_series(TIMESTAMP '1990-01-01', TIMESTAMP '2025-12-31',
                INTERVAL 6 HOUR)) AS t UNION ALL SELECT unnest([{listed}])) ORDER BY t
    """
    found = pd.DataFrame(duckdb.sql(query).fetchall(), columns=["since", "minutes"])
    ours = pd.DataFrame(changes[::-1], columns=["since", "expected"])
    found["since"] = found["since"].astype("datetime64[us]")
    ours["since"] = ours["since"].astype("datetime64[us]")
    both = pd.merge_asof(found, ours, on="since")
    assert (both["minutes"] == both["expected"]).all()
