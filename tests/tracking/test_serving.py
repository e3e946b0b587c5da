"""A registered version predicts from a frame of orders what ``toolkit predict`` writes."""

import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF
from tests.tracking.fits import rhythm_fit
from toolkit.errors import ArgumentError, PredictionError
from toolkit.model import find_model
from toolkit.sources.sql import as_source
from toolkit.stages.discovery import discover
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.predict_tables import write_predictions
from toolkit.stages.prediction import CustomerPredictor
from toolkit.tracking.promotion import set_alias
from toolkit.tracking.registration import register_fit
from toolkit.tracking.serving import predict_table

PARAMS = {"as_of_date": AS_OF.isoformat(), "weeks": 5, "draws": 40, "seed": 3}


@pytest.fixture
def lines(orders) -> pd.DataFrame:
    """The generated orders' lines, in no order, a return among them."""
    columns = ["customer_id", "product_id", "ordered_at", "quantity"]
    lines = orders.order_lines[columns].rename(columns={"ordered_at": "order_date"})
    return lines.sample(frac=1, random_state=2, ignore_index=True)


def written(model, conn, folder) -> dict[str, pd.DataFrame]:
    """The tables as the command writes them."""
    source = as_source(conn)
    analyzer = PatternAnalyzer(source, model.reads_customer_days)
    patterns, failed = analyzer.analyze(discover(source, AS_OF, None))
    assert not failed
    tables = write_predictions(CustomerPredictor(model, 5, 40, 3), patterns, folder)
    return {name: pd.read_parquet(getattr(tables, name)) for name in ("product_weeks", "pairs")}


def as_read(frame: pd.DataFrame, tmp_path) -> pd.DataFrame:
    """The frame as a file gives it back: Parquet knows no dates in seconds."""
    frame.to_parquet(tmp_path / "frame.parquet", index=False)
    return pd.read_parquet(tmp_path / "frame.parquet")


@pytest.mark.parametrize(
    "model", [find_model("pair_conjugate"), rhythm_fit()], ids=lambda m: m.name
)
def test_a_frame_gives_the_tables_that_a_database_gives(model, database, lines, tmp_path):
    expected = written(model, database, tmp_path)
    for table, frame in expected.items():
        found = predict_table(model, lines, **PARAMS, table=table)
        assert len(found) > 10
        pd.testing.assert_frame_equal(as_read(found, tmp_path), frame, check_exact=True)


SERVE = """
import sys
import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model("models:/inter-order@challenger")
for table in ("product_weeks", "pairs"):
    params = eval(sys.argv[1]) | {"table": table}
    found = model.predict(pd.read_parquet("lines.parquet"), params=params)
    found.to_parquet(table + ".served", index=False)
"""


def test_mlflow_loads_it_in_a_new_process_from_a_folder_that_was_moved(
    store, fresh_script, database, lines, tmp_path
):
    fit = rhythm_fit()
    register_fit(store, fit)
    set_alias(store, "challenger", "1")
    moved = tmp_path / "moved here"
    moved.mkdir()
    for name in ("mlflow.db", "mlartifacts"):
        (tmp_path / name).rename(moved / name)
    whole = lines.assign(
        quantity=lines["quantity"].astype(int), customer_id=lines["customer_id"].astype("int32")
    )
    whole.to_parquet(moved / "lines.parquet")
    fresh_script(SERVE, PARAMS, cwd=moved)
    expected = written(fit, database, tmp_path)
    for table, frame in expected.items():
        found = pd.read_parquet(moved / f"{table}.served")
        pd.testing.assert_frame_equal(found, frame, check_exact=True)


def test_what_happened_at_the_date_or_after_it_changes_nothing(lines):
    model = find_model("pair_conjugate")
    later = lines.assign(
        order_date=pd.Timestamp(AS_OF) + pd.to_timedelta(np.arange(len(lines)) % 80, "D"),
        quantity=1e6,
        product_id=lines["product_id"] + np.arange(len(lines)) % 2,
    )
    known = lines[lines["order_date"] < pd.Timestamp(AS_OF)]
    for table in ("product_weeks", "pairs"):
        one, other = (
            predict_table(model, frame, **PARAMS, table=table)
            for frame in (known, pd.concat([later, known]))
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_returns_are_netted_and_lines_of_a_day_are_one_event():
    day = pd.Timestamp(AS_OF - timedelta(10))
    rows = [
        (1, 5, day, 3.0),
        (1, 5, day + pd.Timedelta(hours=9), 2.0),
        (1, 5, day, -1.0),
        (2, 5, day, 4.0),
        (2, 5, day, -4.0),
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "order_date", "quantity"])
    pairs = predict_table(find_model("pair_conjugate"), frame, **PARAMS, table="pairs")
    assert pairs[["customer_id", "order_count"]].to_numpy().tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weeks": 0}, "weeks has to be a whole number from 1 to 104, got 0"),
        ({"seed": -1}, "seed has to be a whole number of at least 0"),
        ({"table": "weeks"}, "table has to be one of product_weeks, pairs, got 'weeks'"),
        ({"as_of_date": "June"}, "as_of_date has to be a date as YYYY-MM-DD, got 'June'"),
    ],
)
def test_wrong_arguments_are_told(lines, change, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        predict_table(find_model("pair_conjugate"), lines, **(PARAMS | change))


def test_columns_that_are_not_what_they_should_be_are_told(lines):
    model = find_model("pair_conjugate")
    with pytest.raises(ArgumentError, match="no column order_date, quantity"):
        predict_table(model, lines[["customer_id", "product_id"]], **PARAMS)
    broken = lines.assign(quantity=lines["quantity"].astype(str))
    broken.loc[:2, "order_date"] = pd.NaT
    with pytest.raises(ArgumentError, match="3 rows without order_date and quantities of type"):
        predict_table(model, broken, **PARAMS)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"quantity": 1e308}, "orders: quantities are beyond 1e+12 (2 rows; e.g. 1e+308, 1e+308)"),
        ({"quantity": np.inf}, "orders: quantities are beyond 1e+12 (2 rows; e.g. inf, inf)"),
        (
            {"order_date": pd.Timestamp("9999-12-31").as_unit("us")},
            "orders: order dates lie outside 1990-01-01 … 3000-01-01 (2 rows; e.g. 9999-12-31",
        ),
    ],
)
def test_numbers_and_dates_beyond_all_bounds_are_told(lines, change, sentence):
    frame = pd.concat([lines, lines.head(2).assign(**change)])
    with pytest.raises(ArgumentError, match=re.escape(sentence)):
        predict_table(find_model("pair_conjugate"), frame, **PARAMS)


def test_nothing_before_the_date_is_told(lines):
    with pytest.raises(PredictionError, match="the orders hold none before 1999-01-01"):
        predict_table(
            find_model("pair_conjugate"), lines, **(PARAMS | {"as_of_date": "1999-01-01"})
        )
