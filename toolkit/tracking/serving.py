"""A registered version as MLflow serves it: order lines in, the tables of ``toolkit predict`` out.

model = mlflow.pyfunc.load_model("models:/inter-order@champion")
pairs = model.predict(orders, params={"as_of_date": "2017-10-02", "table": "pairs"})
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.data.tables import MAX_AMOUNT
from toolkit.errors import ArgumentError, PredictionError
from toolkit.model import FittedModel, known_model
from toolkit.sources.base import OrderSource
from toolkit.sources.embedded.database import create_tables, fill_tables
from toolkit.sources.folder.rules import EARLIEST, LATEST, ImportRule, findings
from toolkit.sources.sql import as_source
from toolkit.stages.arguments import as_of_day
from toolkit.stages.listing import warn_of
from toolkit.stages.patterns import read_patterns
from toolkit.stages.predict_tables import pairs_frame, product_weeks_frame
from toolkit.stages.prediction import CustomerPredictor, in_chunks
from toolkit.tracking.pyfunc import PythonModel, PythonModelContext

FIT = "fit"
MODEL = "model"
FRAMES = {"product_weeks": product_weeks_frame, "pairs": pairs_frame}
KEYS = ("customer_id", "product_id", "order_date")

SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.long, "customer_id"),
            ColSpec(DataType.long, "product_id"),
            ColSpec(DataType.datetime, "order_date"),
            # A double would refuse a column of whole numbers.
            ColSpec(AnyType(), "quantity"),
        ]
    ),
    params=ParamSchema(
        [
            ParamSpec("as_of_date", DataType.string, None),
            ParamSpec("weeks", DataType.long, 12),
            ParamSpec("draws", DataType.long, DRAWS),
            ParamSpec("seed", DataType.long, SEED),
            ParamSpec("table", DataType.string, "product_weeks"),
        ]
    ),
)
"""A row is an order line or an order event; those of a day are added up, less returns.

``as_of_date`` is today if it is not given; rows at or after it are not looked at. ``table``:
``product_weeks`` or ``pairs``.
"""

EXAMPLE = (
    pd.DataFrame(
        [(7, 770, "2024-01-01", 3.0), (7, 770, "2024-01-15", 2.0), (8, 770, "2024-01-09", 1.0)],
        columns=[*KEYS, "quantity"],
    ).astype({"order_date": "datetime64[ns]"}),
    {"as_of_date": "2024-01-22", "weeks": 4, "table": "product_weeks"},
)
"""Order lines and parameters that MLflow keeps beside a version, to try it with."""


class InterOrderModel(PythonModel):
    """Loads the fit beside it, and predicts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the fit's parameters; ``ModelError`` where the installed models cannot."""
        config: Mapping[str, Any] = context.model_config
        self.fitted = known_model(config[MODEL]).load(Path(context.artifacts[FIT]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """One of the two tables, see ``SIGNATURE``."""
        return predict_table(self.fitted, model_input, **(params or {}))


def predict_table(
    fitted: FittedModel,
    orders: pd.DataFrame,
    *,
    as_of_date: str | None = None,
    weeks: int = WEEKS,
    draws: int = DRAWS,
    seed: int = SEED,
    table: str = "product_weeks",
) -> pd.DataFrame:
    """What ``toolkit predict`` writes of a database with these ``orders``, to the last digit.

    Raises ``ArgumentError`` for an argument or a column that is not what it should be,
    ``PredictionError`` where there is nothing before the date or the model fails.
    """
    if table not in FRAMES:
        raise ArgumentError(f"table has to be one of {', '.join(FRAMES)}, got {table!r}")
    predictor = CustomerPredictor(fitted, weeks, draws, seed)
    with orders_source(orders) as source:
        as_of = as_of_day(as_of_date, source)
        patterns, failed = read_patterns(source, as_of, fitted.reads_customer_days)
    warn_of(failed)
    if not len(patterns):
        raise PredictionError(f"the orders hold none before {as_of}")
    frames = []
    for chunk in in_chunks(predictor, patterns):
        predictions, failed = predictor.predict(chunk)
        warn_of(failed)
        frames.append(FRAMES[table](predictions))
    return pd.concat(frames, ignore_index=True)


@contextmanager
def orders_source(orders: pd.DataFrame) -> Iterator[OrderSource]:
    """A source that holds ``orders``: read by the queries that read any database."""
    _check(orders)
    with duckdb.connect() as conn:
        conn.register("given", orders[[*KEYS, "quantity"]])
        conn.execute(
            "CREATE TEMP VIEW lines AS SELECT row_number() OVER () AS order_id, customer_id,"
            " product_id, CAST(order_date AS TIMESTAMP) AS ordered_at,"
            " CAST(quantity AS DOUBLE) AS quantity, NULL AS unit_price FROM given"
        )
        _check_values(conn)
        for name in ("product", "customer"):
            conn.execute(
                f"CREATE TEMP VIEW {name}s AS SELECT DISTINCT {name}_id, NULL AS name FROM given"
            )
        create_tables(conn)
        fill_tables(conn, "lines", "products", "customers")
        yield as_source(conn)


def _check_values(conn: duckdb.DuckDBPyConnection) -> None:
    """A quantity may be NaN: its pair is left out, and told."""
    beyond = f"NOT isnan(quantity) AND abs(quantity) > {MAX_AMOUNT}"
    outside = f"ordered_at < DATE '{EARLIEST}' OR ordered_at >= DATE '{LATEST}'"
    rules = [
        ImportRule(f"quantities are beyond {MAX_AMOUNT:g}", beyond, "quantity"),
        ImportRule(f"order dates lie outside {EARLIEST} … {LATEST}", outside, "ordered_at"),
    ]
    found = findings(conn, "orders", "lines", rules)
    if found:
        raise ArgumentError("; ".join(map(str, found)))


def _check(orders: pd.DataFrame) -> None:
    missing = [name for name in (*KEYS, "quantity") if name not in orders]
    if missing:
        raise ArgumentError(f"the orders have no column {', '.join(missing)}")
    empty = {name: int(orders[name].isna().sum()) for name in KEYS}
    told = [f"{rows:,} rows without {name}" for name, rows in empty.items() if rows]
    quantity = orders["quantity"].dtype
    if not is_numeric_dtype(quantity) or is_bool_dtype(quantity):
        told.append(f"quantities of type {quantity}, which are no numbers")
    if told:
        raise ArgumentError(f"the orders have {' and '.join(told)}")
