"""The two tables that ``toolkit predict`` writes: weekly demand by product, outlook by pair."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from toolkit.data.ids import Kind
from toolkit.data.tables import (
    DAYS_PER_WEEK,
    QUANTILE_NAMES,
    QUANTILES,
    Floats,
    Ints,
    Patterns,
    Predictions,
    quantiles_of,
)
from toolkit.disk import check_on_disk, whole_file
from toolkit.results.pair import FailedPair
from toolkit.sources.codes import NO_CODES, Codes
from toolkit.stages.prediction import CustomerPredictor, in_chunks

PRODUCT_WEEKS = "product_weeks.parquet"
PAIRS = "pairs.parquet"


@dataclass(frozen=True, slots=True)
class WrittenTables:
    """What ``write_predictions`` wrote and left out."""

    product_weeks: Path
    pairs: Path
    products: int
    pair_count: int
    failed: tuple[FailedPair, ...]


def write_predictions(
    predictor: CustomerPredictor,
    patterns: Patterns | Iterable[Patterns],
    folder: Path,
    progress: Callable[[int], None] = lambda pairs: None,
    codes: Codes = NO_CODES,
) -> WrittenTables:
    """Predict all of ``patterns`` and write both tables into ``folder``, replacing old ones.

    They may come in several tables of whole products, read one after the other. Where ids have
    ``codes``, these stand beside them.

    Works through whole products in chunks, so that the draws in memory stay bounded whatever the
    data, horizon and draws. Both tables are complete before the first takes its place; a run that
    is cut short while predicting, or finds no room (``OSError``), leaves what was there.
    ``progress`` is told how many pairs are done.
    """
    check_on_disk(folder)
    folder.mkdir(parents=True, exist_ok=True)
    targets = folder / PRODUCT_WEEKS, folder / PAIRS
    failed: list[FailedPair] = []
    products = pair_count = 0
    with (
        whole_file(targets[0]) as weeks_part,
        whole_file(targets[1]) as pairs_part,
        ExitStack() as stack,
    ):
        writers = TableWriter(stack, weeks_part), TableWriter(stack, pairs_part)
        tables = [patterns] if isinstance(patterns, Patterns) else patterns
        for chunk in chain.from_iterable(in_chunks(predictor, table) for table in tables):
            predictions, failures = predictor.predict(chunk)
            for writer, table in zip(writers, tables_of(predictions, codes), strict=True):
                writer.write(table)
            products += len(predictions.products.product_id)
            pair_count += len(predictions.patterns)
            failed += failures
            progress(len(chunk))
    return WrittenTables(*targets, products, pair_count, tuple(failed))


class TableWriter:
    """A Parquet file that takes its schema from the first table written; a row group of each."""

    def __init__(self, stack: ExitStack, path: Path) -> None:
        self._stack, self._path = stack, path
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Append the table."""
        if self._writer is None:
            self._writer = self._stack.enter_context(
                pq.ParquetWriter(self._path, table.schema, compression="zstd")
            )
        self._writer.write_table(table)


def tables_of(predictions: Predictions, codes: Codes = NO_CODES) -> tuple[pa.Table, pa.Table]:
    """Product weeks and pairs, as the files hold them."""
    frames = product_weeks_frame(predictions, codes), pairs_frame(predictions, codes)
    weeks, pairs = (pa.Table.from_pandas(frame, preserve_index=False) for frame in frames)
    return weeks, pairs


def product_weeks_frame(predictions: Predictions, codes: Codes = NO_CODES) -> pd.DataFrame:
    """One row per product and week: all demand, new customers included; units and orders."""
    products, weeks = predictions.products, predictions.weeks
    count = len(products.product_id)
    quantiles = quantiles_of(products.quantity, axis=2).reshape(len(QUANTILES), -1)
    starts = _dates(predictions, DAYS_PER_WEEK * np.arange(weeks, dtype=float))
    return pd.DataFrame(
        {
            **_ids("product", np.repeat(products.product_id, weeks), codes),
            "week_number": np.tile(np.arange(1, weeks + 1), count),
            "week_start_date": np.tile(starts, count),
            "expected_orders": products.expected_orders.ravel(),
            "expected_quantity": products.expected_quantity.ravel(),
            **{
                f"quantity_{q}": v.astype(float)
                for q, v in zip(QUANTILE_NAMES, quantiles, strict=True)
            },
            "known_expected_quantity": products.known_expected_quantity.ravel(),
        }
    )


def pairs_frame(predictions: Predictions, codes: Codes = NO_CODES) -> pd.DataFrame:
    """One row per pair; dates are null beyond reach, ``p_order_wk`` is cumulative by week."""
    patterns, pairs = predictions.patterns, predictions.pairs
    quantiles = _dates(predictions, pairs.next_order_quantiles)
    return pd.DataFrame(
        {
            **_ids("customer", patterns.customer_id, codes),
            **_ids("product", patterns.product_id, codes),
            "order_count": patterns.order_count,
            "p_alive": pairs.p_alive,
            "confidence": pairs.confidence,
            "next_order_date": _dates(predictions, pairs.next_order_day),
            **{f"next_order_{q}": quantiles[:, i] for i, q in enumerate(QUANTILE_NAMES)},
            "expected_orders": pairs.expected_orders.sum(axis=1),
            "median_orders": pairs.median_orders,
            **{
                f"p_order_w{week + 1}": pairs.p_order_by_week[:, week]
                for week in range(predictions.weeks)
            },
        }
    )


def _ids(kind: Kind, numbers: Ints, codes: Codes) -> dict[str, Ints | pd.Series]:
    """The column of ids [rows], and that of their codes where they have any."""
    columns: dict[str, Ints | pd.Series] = {f"{kind}_id": numbers}
    if codes.has(kind):
        columns[f"{kind}_code"] = codes.column(kind, numbers).to_pandas().astype("string")
    return columns


def _dates(predictions: Predictions, days: Floats) -> NDArray[np.datetime64]:
    """Days from the as-of date as timestamps of midnight; NaN becomes NaT."""
    as_of = np.datetime64(predictions.patterns.as_of_date, "s")
    seconds = np.where(np.isnan(days), 0, days).astype(np.int64) * 86_400
    dates = as_of + seconds.astype("timedelta64[s]")
    return np.where(np.isnan(days), np.datetime64("NaT", "s"), dates)
