"""Scores of single weeks: what a version said of a week, and what the week brought.

A backtest has them by as-of date, a watch by the dates on which it kept a forecast; both by the
same formulas, so that the one can be held against the other.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import product

import numpy as np
import pandas as pd

from backtests.scores.metrics import log_loss
from backtests.scores.past import PastYear
from backtests.scores.score import HEADLINE_ORDERS, ScoredRun
from toolkit.data.tables import DAYS_PER_WEEK

KEYS = ("version", "as_of_date", "week")
COLUMNS = (
    *KEYS, "begins", "units", "expected_units", "crps", "root_crps", "product_weeks", "held",
    "loss", "pairs", "ordered", "expected_pairs", "past_units", "year_units", "past_root_crps",
)  # fmt: skip
INSIDE = (0.1, 0.9)


def week_scores(
    pairs: pd.DataFrame, product_weeks: pd.DataFrame, past: PastYear | None
) -> pd.DataFrame:
    """A row per observed week of one as-of date, by ``week`` from 1.

    ``units``, ``expected_units``: of all products. ``crps``: sum over product-weeks of products
    with ten order events before, in units; ``root_crps`` of their square roots; ``product_weeks``
    counts them, ``held`` those of them inside their 80 % interval, by PIT. ``loss``: sum of the log
    losses of an order in this week by pairs that had none in the weeks before; their sum over the
    weeks is the log score of the week of the next order. ``pairs``: how many these are,
    ``ordered``: how many of them ordered, ``expected_pairs``: how many were expected to. NaN where
    the version says nothing of pairs.

    ``past_units``, ``year_units``: of all products by their ``past``, its mean, and the same week a
    year before; ``past_root_crps``: as ``root_crps``, of the past in place of the version, with the
    version's sum. NaN without it.

    ``pairs``: columns ``next_week`` (from 0) and ``p_order_w1`` … of a table of pairs;
    ``product_weeks``: a table of product-weeks (``backtests.scores.tables``).
    """
    by_week = product_weeks.groupby("week")
    counted = product_weeks[product_weeks["product_orders_before"] >= HEADLINE_ORDERS]
    held = counted["pit"].between(*INSIDE)
    table = pd.DataFrame(
        {
            "units": by_week["quantity"].sum(),
            "expected_units": by_week["expected_quantity"].sum(),
            "crps": counted.groupby("week")["crps"].sum(),
            "root_crps": np.sqrt(counted["crps"]).groupby(counted["week"]).sum(),
            "product_weeks": counted.groupby("week").size(),
            "held": held.groupby(counted["week"]).sum(),
        }
    ).astype(float)
    names = ("loss", "pairs", "ordered", "expected_pairs")
    of_pairs = [_of_pairs(pairs, int(week)) for week in table.index]
    of_past = [_of_past(past, rows, int(str(week))) for week, rows in by_week]
    return table.join(
        [
            pd.DataFrame(of_pairs, table.index, names),
            pd.DataFrame(of_past, table.index, COLUMNS[-3:]),
        ]
    )


def _of_past(past: PastYear | None, rows: pd.DataFrame, week: int) -> tuple[float, float, float]:
    """What the past says of product-weeks of one week: mean, a year before, sum of root CRPS."""
    if past is None:
        return np.nan, np.nan, np.nan
    everything = rows["product_id"].to_numpy()
    units = past.expected(everything).sum(), past.a_year_before(everything, week).sum()
    rows = rows[rows["product_orders_before"] >= HEADLINE_ORDERS]
    crps = past.crps(
        rows["product_id"].to_numpy(),
        rows["quantity"].to_numpy(dtype=float),
        float(rows["expected_quantity"].sum()),
    )
    return float(units[0]), float(units[1]), float(np.sqrt(crps).sum())


def _of_pairs(pairs: pd.DataFrame, week: int) -> tuple[float, float, float, float]:
    """Of an order in ``week``, from 1: the sum of log losses, pairs, those that did, expected."""
    column = f"p_order_w{week}"
    if column not in pairs:
        return np.nan, np.nan, np.nan, np.nan
    waiting = pairs[pairs["next_week"] >= week - 1]
    by_now = waiting[column].to_numpy(dtype=float)
    before = np.zeros(len(by_now))
    if week > 1:
        before = waiting[f"p_order_w{week - 1}"].to_numpy(dtype=float)
    left = 1.0 - before
    p = np.divide(by_now - before, left, out=np.ones_like(left), where=left > 0)
    p = np.clip(p, 0.0, 1.0)
    ordered = (waiting["next_week"] == week - 1).to_numpy(dtype=float)
    loss = float(log_loss(p, ordered).sum())
    return loss, float(len(waiting)), float(ordered.sum()), float(p.sum())


def weeks_of_run(run: ScoredRun, versions: Sequence[str]) -> pd.DataFrame:
    """``week_scores`` of a run: a row per version, as-of date and week, and when it ``begins``."""
    columns = ["product_id", "week", "product_orders_before", "quantity", "expected_quantity"]
    parts = []
    for version, day in product(versions, run.dates):
        units = run.product_weeks(version, day, [*columns, "pit", "crps"])
        if len(units):
            names = [f"p_order_w{week + 1}" for week in range(int(units["week"].max()))]
            past = PastYear.from_table(run.past(version, day))
            scores = week_scores(run.pairs(version, day, ["next_week", *names]), units, past)
            parts.append(keyed(scores, version, pd.Timestamp(day)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*COLUMNS])


def keyed(scores: pd.DataFrame, version: str, as_of_date: pd.Timestamp) -> pd.DataFrame:
    """The rows of ``week_scores`` with what they are of, in the order of ``COLUMNS``."""
    table = scores.reset_index().assign(version=version, as_of_date=as_of_date)
    ahead = [timedelta(DAYS_PER_WEEK * (week - 1)) for week in table["week"].tolist()]
    return table.assign(begins=table["as_of_date"] + pd.Series(ahead, table.index))[[*COLUMNS]]
