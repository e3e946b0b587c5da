"""What to order: the plan that is returned, a line for each product, the most urgent first."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from toolkit.card import SHOWN_ROWS, Card, CardCell, Figure, Grid, Shown, Strong, counted, in_a_line
from toolkit.data.tables import Floats, Ints
from toolkit.replenishment.policy import ReplenishmentPolicy, possible_days


@dataclass(frozen=True, slots=True)
class PlanLines:
    """What is said of each product, [products]; quantities in units.

    Shortages and what is reached are those of the cycle that this order decides: from its delivery
    to the next one. A position below the ``reorder_point`` must not wait until tomorrow; one below
    the ``order_up_to_level`` not until the next review.
    """

    product_id: Ints
    product_name: tuple[str, ...]
    on_hand: Floats
    on_order: Floats
    lead_time_days: Floats  # the expected ones
    review_days: Ints
    target: Floats  # cycle service level or fill rate
    expected_demand: Floats  # from now until the next delivery after this one
    reorder_point: Floats
    order_up_to_level: Floats
    quantity: Floats  # to order now
    order_value: Floats  # NaN where the unit's cost is not known
    run_out_day: Floats  # median, 0 is the as-of date; infinite where beyond the interval
    p_shortage_before_delivery: Floats
    p_shortage_without_order: Floats
    p_shortage: Floats
    expected_shortage_without_order: Floats
    expected_shortage: Floats
    fill_rate: Floats  # with the order

    def __len__(self) -> int:
        """Number of products."""
        return len(self.product_id)

    @property
    def urgent(self) -> NDArray[np.bool_]:
        """What has to be ordered today, review or not, [products]."""
        urgent: NDArray[np.bool_] = self.on_hand + self.on_order < self.reorder_point
        return urgent

    def select(self, rows: Ints) -> "PlanLines":
        """The products in ``rows``, in their order."""
        return PlanLines(*(_rows(getattr(self, field.name), rows) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class ReplenishmentPlan(Shown):
    """What to order as of a date, the most urgent first, and how it was computed."""

    as_of_date: date
    policy: ReplenishmentPolicy
    lines: PlanLines
    ranked_by: str
    not_planned: tuple[int, ...]  # products of the stock that nobody ordered before the date
    failed_pairs: int
    model_name: str
    model_version: str
    draws: int
    seed: int
    product_codes: tuple[str | None, ...] | None = None  # [products], where ids have codes

    def __repr__(self) -> str:
        """How many products, and how much; not every line."""
        return (
            f"<ReplenishmentPlan as of {self.as_of_date}: {self.lines.quantity.sum():,.0f} units, "
            f"{np.count_nonzero(self.lines.quantity):,} of {counted(len(self.lines), 'product')}>"
        )

    def to_frame(self) -> pd.DataFrame:
        """A row for each product, the most urgent first.

        Columns are those of ``PlanLines``, with ``product_code`` where ids have codes, the
        ``run_out_date`` (NaT: after the interval) in place of its day, and ``urgent``.
        """
        columns: dict[str, object] = {}
        for field in fields(self.lines):
            columns[field.name] = getattr(self.lines, field.name)
            if field.name == "product_id" and self.product_codes is not None:
                columns["product_code"] = pd.array(list(self.product_codes), dtype="string")
            if field.name == "product_name":
                columns[field.name] = pd.array(list(self.lines.product_name), dtype="string")
            if field.name == "run_out_day":
                del columns[field.name]
                columns["run_out_date"] = np.array(self._run_out_dates(), dtype="datetime64[s]")
        return pd.DataFrame({**columns, "urgent": self.lines.urgent})

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON: how it was made, and its lines; null where nothing is known."""
        frame = self.to_frame()
        frame["run_out_date"] = frame["run_out_date"].dt.strftime("%Y-%m-%d")
        lines = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return {
            "as_of_date": str(self.as_of_date),
            "policy": self.policy.to_dict(),
            "ranked_by": self.ranked_by,
            "model_name": self.model_name,
            "model_version": self.model_version,
            "draws": self.draws,
            "seed": self.seed,
            "failed_pairs": self.failed_pairs,
            "not_planned": list(self.not_planned),
            "lines": lines,
        }

    def to_card(self, top: int | None = SHOWN_ROWS) -> Card:
        """Totals, and the first ``top`` products to order; None for all of them."""
        lines = self.lines
        ordered = np.flatnonzero(lines.quantity > 0)
        value = lines.order_value[ordered]
        known = np.isfinite(value)
        of = "" if known.all() else f"of {known.sum():,} products whose cost is known"
        money = [Figure("value", f"{value[known].sum():,.2f}", of)] if known.any() else []
        short = lines.expected_shortage_without_order.sum(), lines.expected_shortage.sum()
        return Card(
            title=f"What to order as of {self.as_of_date}",
            subtitle=f"{self.policy}, by {self.model_name}@{self.model_version}",
            figures=[
                Figure(
                    "products to order",
                    f"{len(ordered):,}",
                    f"of {len(lines):,}; {np.count_nonzero(lines.urgent):,} cannot wait a day",
                ),
                Figure("units", f"{lines.quantity.sum():,.0f}"),
                *money,
                Figure(
                    "expected units short",
                    f"{short[1]:,.0f}",
                    f"{short[0]:,.0f} without these orders",
                ),
            ],
            warnings=self._warnings(),
            grids=[self._grid(ordered).first(top)] if len(ordered) else [],
            sentences=self._sentences(len(ordered)),
        )

    def _grid(self, rows: Ints) -> Grid:
        lines, dates = self.lines, self._run_out_dates()
        codes = self.product_codes or [str(number) for number in lines.product_id.tolist()]
        cells: list[Sequence[CardCell]] = [
            (
                in_a_line(codes[i] or ""),
                in_a_line(lines.product_name[i]),
                Strong(_units(lines.quantity[i])),
                _units(np.ceil(lines.order_up_to_level[i])),
                _units(lines.on_hand[i])
                + (f" + {_units(lines.on_order[i])}" if lines.on_order[i] else ""),
                str(dates[i] or "later"),
                _share(lines.p_shortage_before_delivery[i]),
                f"{_share(lines.p_shortage_without_order[i])} → {_share(lines.p_shortage[i])}",
            )
            for i in rows.tolist()
        ]
        heads = ("product", "name", "order", "up to", "stock", "runs out", "late", "short")
        first = "what runs out first" if self.ranked_by == "run_out" else "dearest shortages"
        return Grid(f"To order now, {first} on top", heads, cells, frozenset(heads[2:]))

    def _warnings(self) -> list[str]:
        if not self.failed_pairs:
            return []
        return [f"{counted(self.failed_pairs, 'pair')} failed and are left out of the demand."]

    def _sentences(self, ordered: int) -> list[str]:
        said = []
        if ordered:
            said += [
                "stock: on hand + on order. runs out: when it does in half of the draws, if "
                "nothing is ordered. late: P(short before this order arrives), which it cannot "
                "help. short: P(short before the next delivery after this one), without the order "
                "→ with it.",
            ]
        if own := self._with_terms_of_their_own():
            has, whose = ("has", "its") if own == 1 else ("have", "their")
            said.append(
                f"{counted(own, 'product')} {has} a lead time, review period or target of "
                f"{whose} own."
            )
        if rest := len(self.lines) - ordered:
            said.append(f"{counted(rest, 'product')} can wait until the next review.")
        if self.not_planned:
            count = counted(len(self.not_planned), "product")
            said.append(
                f"Not planned, since nobody ordered them before this date: {count}, "
                f"{_some(self.not_planned)}."
            )
        return said

    def _with_terms_of_their_own(self) -> int:
        """How many products' expected lead time, period or target are not the policy's."""
        lines, policy = self.lines, self.policy
        expected = sum(day * p for day, p in possible_days(policy.lead_time_days).items())
        as_all = (
            np.isclose(lines.lead_time_days, expected)
            & (lines.review_days == policy.review_days)
            & (lines.target == policy.level)
        )
        return int(np.count_nonzero(~as_all))

    def _run_out_dates(self) -> list[date | None]:
        return [
            self.as_of_date + timedelta(int(day)) if np.isfinite(day) else None
            for day in self.lines.run_out_day.tolist()
        ]


def _rows[Column: (Floats, tuple[str, ...])](column: Column, rows: Ints) -> Column:
    if isinstance(column, tuple):
        return tuple(column[row] for row in rows.tolist())
    return column[rows]


def _units(amount: float) -> str:
    return f"{amount:,.0f}" if amount == round(amount) else f"{amount:,.1f}"


def _share(p: float) -> str:
    """A probability in per cent; one that is not 0 or 1 is not shown as such."""
    if 0 < p < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < p < 1 else f"{100 * p:.0f} %"


def _some(ids: Sequence[int], shown: int = 5) -> str:
    return ", ".join(map(str, ids[:shown])) + (", …" if len(ids) > shown else "")
