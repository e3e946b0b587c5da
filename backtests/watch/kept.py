"""Forecasts kept before their weeks come, and what they said held against what came.

``WATCH/forecasts/AS_OF/FIT/``: ``forecast.json``, ``pairs.parquet``, ``products.parquet``. A folder
appears whole, and is never written again: what is scored is what was said then, whatever has become
of the orders before the date, or of the version, since.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from backtests.run.provenance import uniforms
from backtests.scores.actuals import Actuals
from backtests.scores.calibration import randomized_pit_draws
from backtests.scores.metrics import crps_draws
from backtests.scores.past import YEAR, PastYear
from backtests.scores.weekly import week_scores
from toolkit.data.defaults import SEED
from toolkit.data.tables import Floats, Ints, OrderEvents, Predictions
from toolkit.disk import whole_folder
from toolkit.errors import ArgumentError
from toolkit.validation import load, write

WATCHED_WEEKS = 4
"""So far ahead a forecast is kept."""

RECORD, PAIRS, PRODUCTS = "forecast.json", "pairs.parquet", "products.parquet"


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """``forecast.json``: by which fit, MODEL@VERSION, a forecast was made, and when.

    ``expected_units``: of all products together, in each week of the whole horizon.
    """

    fit: str
    as_of_date: date
    made_on: date
    weeks: int
    draws: int
    expected_units: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class KeptForecast:
    """What a fit said of the weeks after a date."""

    record: KeptRecord
    product_id: Ints  # [pairs], ascending
    customer_id: Ints  # [pairs], ascending within a product
    p_order_by_week: NDArray[np.float32]  # [pairs, weeks], at least one order by the week's end
    of_product: Ints  # [products], ascending
    orders_before: Ints  # [products], order events before the date
    expected_quantity: Floats  # [products, weeks]
    quantity: NDArray[np.float32]  # [products, weeks, draws]
    past: PastYear | None  # None: an earlier toolkit kept it

    @classmethod
    def of(cls, predictions: Predictions, fit: str, made_on: date) -> "KeptForecast":
        """What is kept of ``predictions``."""
        patterns, products = predictions.patterns, predictions.products
        weeks = min(WATCHED_WEEKS, predictions.weeks)
        draws = products.quantity.shape[2]
        return cls(
            KeptRecord(
                fit,
                patterns.as_of_date,
                made_on,
                weeks,
                draws,
                tuple(products.expected_quantity.sum(axis=0).tolist()),
            ),
            patterns.product_id,
            patterns.customer_id,
            predictions.pairs.p_order_by_week[:, :weeks].astype(np.float32),
            products.product_id,
            patterns.sum_by_product(patterns.order_count.astype(float)).astype(np.int64),
            products.expected_quantity[:, :weeks],
            products.quantity[:, :weeks],
            PastYear.of(patterns),
        )

    def save(self, folder: Path) -> None:
        """Write it to ``folder``, which appears whole."""
        weeks = range(self.record.weeks)
        pairs = pa.table(
            {
                "product_id": self.product_id,
                "customer_id": self.customer_id,
                **{_by(week): self.p_order_by_week[:, week] for week in weeks},
            }
        )
        draws = self.quantity.reshape(len(self.of_product), -1)
        past = {} if self.past is None else {"past": _lists(self.past.quantity)}
        products = pa.table(
            {
                "product_id": self.of_product,
                "orders_before": self.orders_before,
                **{f"expected_w{week + 1}": self.expected_quantity[:, week] for week in weeks},
                "draws": _lists(draws),
                **past,
            }
        )
        with whole_folder(folder) as part:
            pq.write_table(pairs, part / PAIRS, compression="zstd")
            pq.write_table(products, part / PRODUCTS, compression="zstd")
            write(part / RECORD, self.record)

    @classmethod
    def read(cls, folder: Path) -> "KeptForecast":
        """What ``save`` wrote. ``ArgumentError`` where it is damaged."""
        record = read_record(folder)
        weeks = range(record.weeks)
        try:
            pairs = pq.read_table(folder / PAIRS, use_threads=False)
            products = pq.read_table(folder / PRODUCTS, use_threads=False)
        except (OSError, pa.ArrowException) as exc:
            said = str(exc).splitlines()[0]
            if isinstance(exc, FileNotFoundError):
                said = f"it lacks {PAIRS} or {PRODUCTS}"
            raise ArgumentError(
                f"{folder} is no forecast that was kept: {said}; restore it, or remove it, and the "
                "watch goes on without it"
            ) from exc
        count, product_id = products.num_rows, products["product_id"].to_numpy()
        draws = products["draws"].combine_chunks().flatten().to_numpy()
        past = None
        if "past" in products.column_names:
            weeks_before = products["past"].combine_chunks().flatten().to_numpy()
            past = PastYear(product_id, weeks_before.reshape(count, YEAR))
        return cls(
            record,
            pairs["product_id"].to_numpy(),
            pairs["customer_id"].to_numpy(),
            np.column_stack([pairs[_by(week)].to_numpy() for week in weeks]),
            product_id,
            products["orders_before"].to_numpy(),
            np.column_stack([products[f"expected_w{week + 1}"].to_numpy() for week in weeks]),
            draws.reshape(count, record.weeks, record.draws),
            past,
        )

    def scores(self, events: OrderEvents, weeks: int) -> pd.DataFrame:
        """``week_scores`` of the first ``weeks`` weeks, from the ``events`` in them."""
        actuals = Actuals.among(events, (self.product_id, self.customer_id), weeks)
        rows = np.searchsorted(actuals.product_id, self.of_product)
        product_weeks = self._product_weeks(actuals.quantity[rows])
        return week_scores(self._pairs(actuals), product_weeks, self.past)

    def _pairs(self, actuals: Actuals) -> pd.DataFrame:
        said = {_by(week): self.p_order_by_week[:, week] for week in range(actuals.weeks)}
        return pd.DataFrame({"next_week": actuals.next_week(), **said})

    def _product_weeks(self, quantity: Floats) -> pd.DataFrame:
        """A row per product and week, of the columns that ``week_scores`` reads."""
        products, weeks = quantity.shape
        draws = self.quantity[:, :weeks].reshape(products * weeks, -1)
        day, actual = self.record.as_of_date.toordinal(), quantity.ravel()
        keys = ((SEED, day, product % 2**64) for product in self.of_product.tolist())
        u = np.array([uniforms(key, weeks) for key in keys]).reshape(-1)
        return pd.DataFrame(
            {
                "product_id": np.repeat(self.of_product, weeks),
                "week": np.tile(np.arange(1, weeks + 1), products),
                "product_orders_before": np.repeat(self.orders_before, weeks),
                "quantity": actual,
                "expected_quantity": self.expected_quantity[:, :weeks].ravel(),
                "pit": randomized_pit_draws(draws, actual, u),
                "crps": crps_draws(draws, actual),
            }
        )


def read_record(folder: Path) -> KeptRecord:
    """What a kept forecast says of itself. ``ArgumentError`` where it is damaged."""
    return load(KeptRecord, folder / RECORD, "a forecast that was kept")


def _lists(rows: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """A list per row, of as many numbers."""
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1] or 1)


def _by(week: int) -> str:
    return f"p_order_w{week + 1}"
