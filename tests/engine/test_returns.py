"""A bulk order that is cancelled a day later: forecasts are as if neither had been."""

from datetime import date, timedelta

import pandas as pd
import pytest

from tests.conftest import NOON
from toolkit.engine import ForecastEngine
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_folder

AS_OF = date(2022, 2, 20)
WEEKLY = [(date(2022, 1, 3) + timedelta(weeks=week), 5.0) for week in range(5)]
BULK = [(date(2022, 2, 14), 80_995.0), (date(2022, 2, 15), -80_995.0)]


def frame(days):
    return pd.DataFrame(
        [
            (order_id, 101, 1, pd.Timestamp(day), quantity, 2.5)
            for order_id, (day, quantity) in enumerate(days, start=1)
        ],
        columns=["order_id", "customer_id", "product_id", "ordered_at", "quantity", "unit_price"],
    )


def from_frame(days, folder):
    return ForecastEngine.from_frame(frame(days), clock=lambda: NOON)


def from_folder(days, folder):
    lines = frame(days)
    lines.to_csv(folder / "order_lines.csv", index=False)
    for table in ("product", "customer"):
        ids = lines[[f"{table}_id"]].drop_duplicates()
        ids.assign(name=None).to_csv(folder / f"{table}s.csv", index=False)
    import_folder(folder, folder / f"{len(days)}.duckdb")
    return ForecastEngine(open_database(folder / f"{len(days)}.duckdb"), clock=lambda: NOON)


@pytest.mark.parametrize("engine_of", [from_frame, from_folder])
def test_a_bulk_order_and_its_cancellation_are_as_if_neither_had_been(engine_of, tmp_path):
    forecasts = []
    for days in (WEEKLY, [*WEEKLY, *BULK]):
        engine = engine_of(days, tmp_path)
        said = engine.generate_forecast(1, AS_OF)
        forecasts.append(said)
        engine.conn.close()
    without, cancelled = forecasts
    assert 20 < without.summary["expected_quantity"] < 60
    assert cancelled.summary == without.summary
    assert cancelled.weekly_forecasts == without.weekly_forecasts
    assert cancelled.top_customers_by_volume == without.top_customers_by_volume


def test_until_it_was_cancelled_the_order_stood():
    """As of the day of the cancellation nobody knew of it."""
    engine = ForecastEngine.from_frame(frame([*WEEKLY, *BULK]), clock=lambda: NOON)
    said = engine.generate_forecast(1, date(2022, 2, 15))
    assert said.summary["expected_quantity"] > 50_000
