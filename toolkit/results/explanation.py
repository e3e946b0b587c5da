"""Why a forecast is what it is: the parts of a pair's or a product's expectation. Plain data.

Of a pair: orders over the horizon, from those of a typical pair; of a product: units, from those
of its known customers at an average time of year. Parts add up to the difference. Quantiles
are of expectations under draws of the model: how sure it is of them, no chance of single orders.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from toolkit.card import Card, CardCell, Figure, Grid, Shown, Strong, counted, in_a_line
from toolkit.data.attribution import Against, Attribution, Part
from toolkit.data.tables import DAYS_PER_WEEK, QUANTILE_NAMES, Floats, quantiles_of
from toolkit.results.metadata import ModelMetadata
from toolkit.results.tables import Schema, frame_of, quantile_columns

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.results.figures import Drawing

type Unit = Literal["orders", "units"]

TYPICAL: Mapping[Against, str] = {
    "product": "a typical customer of this product",
    "all": "a typical customer of a typical product",
}
KNOWN_CUSTOMERS = "known customers at an average time of year"
NAMED_PARTS = 3
"""So many parts are named in a sentence."""
FEW, MANY = 3.0, 100.0
"""So few are counted by the hundredth, so many as whole ones."""
NOTE = (
    "Parts add up: what several do only together is shared among them (Shapley values). Intervals "
    "hold 80 % and are of expectations; the chance of single orders comes on top."
)


class ExplainedPart(TypedDict):
    """What a part adds, in orders or units, and to the log of the pair's rate (exactly).

    ``log_rate``: None of a product's part. ``measure``: what ``value``, the pair's own, and
    ``typical_value`` count; None where no number tells.
    """

    part: str
    amount: float
    amount_quantiles: dict[str, float]
    log_rate: float | None
    log_rate_quantiles: dict[str, float] | None
    measure: str | None
    value: float | None
    typical_value: float | None


EXPLANATION: Schema = {
    "product_id": "int64",
    "role": "string",
    "part": "string",
    "amount": "float64",
    **quantile_columns("amount"),
    "log_rate": "float64",
    **quantile_columns("log_rate"),
    "measure": "string",
    "value": "float64",
    "typical_value": "float64",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """Of which product, and which of its customers, if one, an attribution is; by name."""

    product_id: int
    product_name: str
    customer_id: int | None
    customer_name: str | None
    risk_reason: str | None
    against: Against


@dataclass(frozen=True, slots=True)
class Explanation(Shown):
    """What an expectation is made of: ``base`` and the parts add up to ``expected``.

    ``unit``: orders of a pair, units of a product, over the horizon. ``risk_reason``: a sentence
    with its probability where the pair is at risk, else None. Without a customer it is the
    product's.
    """

    product_id: int
    product_name: str
    customer_id: int | None
    customer_name: str | None
    forecast_period_weeks: int
    forecast_start_date: str
    forecast_end_date: str
    unit: Unit
    base_name: str
    base: float
    base_quantiles: dict[str, float]
    expected: float
    expected_quantiles: dict[str, float]
    parts: list[ExplainedPart]
    risk_reason: str | None
    model_metadata: ModelMetadata

    @classmethod
    def of(
        cls, what: Explained, found: Attribution, as_of: date, weeks: int, metadata: ModelMetadata
    ) -> "Explanation":
        """The means and quantiles of an attribution's draws."""
        of_pair = what.customer_id is not None
        return cls(
            product_id=what.product_id,
            product_name=what.product_name,
            customer_id=what.customer_id,
            customer_name=what.customer_name,
            forecast_period_weeks=weeks,
            forecast_start_date=as_of.isoformat(),
            forecast_end_date=(as_of + timedelta(DAYS_PER_WEEK * weeks - 1)).isoformat(),
            unit="orders" if of_pair else "units",
            base_name=TYPICAL[what.against] if of_pair else KNOWN_CUSTOMERS,
            base=float(found.base.mean()),
            base_quantiles=_quantiles(found.base),
            expected=float(found.expected.mean()),
            expected_quantiles=_quantiles(found.expected),
            parts=[_part(part) for part in found.parts],
            risk_reason=what.risk_reason,
            model_metadata=metadata,
        )

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    def to_frame(self) -> "pd.DataFrame":
        """A row for the base, each part and what is expected: ``role`` says which.

        Columns and types are ``EXPLANATION``.
        """
        rows: list[dict[str, object]] = [
            {"role": "base", **self._row(self.base_name, self.base, self.base_quantiles)},
            *({"role": "part", **part} for part in self.parts),
            {"role": "expected", **self._row("expected", self.expected, self.expected_quantiles)},
        ]
        return frame_of(rows, EXPLANATION, {"product_id": self.product_id})

    def tables(self) -> dict[str, "pd.DataFrame"]:
        """Its one table, by name."""
        return {"parts": self.to_frame()}

    def plot(self) -> "Drawing":
        """A bar for each part, the largest first, with 80 % intervals.

        The figure is returned, never shown.
        """
        from toolkit.results.figures import plot_parts

        largest = self._largest_first()
        title = f"{self._who()}: {self._said(self.expected)} in {self._weeks()}"
        return plot_parts(
            title,
            f"{self.unit} more or less than the {self._number(self.base)} of {self.base_name}",
            [part["part"] for part in largest],
            [part["amount"] for part in largest],
            [_interval(part["amount_quantiles"]) for part in largest],
        )

    def __repr__(self) -> str:
        """Of whom, how much, and how much is typical."""
        return (
            f"<Explanation of {self._who()}, {self.forecast_start_date} to "
            f"{self.forecast_end_date}: {self._said(self.expected)}, from {self._said(self.base)} "
            f"of {self.base_name}>"
        )

    def to_card(self, product_code: str | None = None, customer_code: str | None = None) -> Card:
        """The parts, the largest first, and in words. Codes are shown where ids stand for codes."""
        made = self.model_metadata
        product = in_a_line(product_code or str(self.product_id))
        title = f"{in_a_line(self.product_name)} (product {product})"
        if self.customer_name is not None:
            customer = in_a_line(customer_code or str(self.customer_id))
            title = f"{in_a_line(self.customer_name)} (customer {customer}), {title}"
        failed = made["failed_pairs"]
        return Card(
            title=title,
            subtitle=(
                f"{self.forecast_start_date} to {self.forecast_end_date}, "
                f"by {made['model_name']}@{made['model_version']}"
            ),
            figures=[
                Figure(f"expected {self.unit}", self._number(self.expected), self._between()),
                Figure(self.base_name, self._number(self.base)),
            ],
            warnings=[f"{counted(failed, 'pair')} failed, left out."] if failed else [],
            grids=[self._parts(), *self._measures()],
            sentences=self._sentences(),
        )

    def _sentences(self) -> list[str]:
        least_sure = max(self.parts, key=_width)
        low, high = _interval(least_sure["amount_quantiles"])
        return [
            *self._headline(),
            *self._movers("More", 1),
            *self._movers("Less", -1),
            f"Least sure: {least_sure['part']}, between {self._number(low, '+')} and "
            f"{self._number(high, '+')} {self.unit}.",
            *([f"At risk. {self.risk_reason}."] if self.risk_reason else []),
            NOTE,
        ]

    def _headline(self) -> Iterator[str]:
        if self.customer_id is None:
            yield (
                f"{self._said(self.expected)} are expected in {self._weeks()}, "
                f"{self._number(self.base)} of {self.base_name} alone."
            )
        else:
            yield (
                f"In {self._weeks()} {in_a_line(self.customer_name or '')} is expected to order it "
                f"{self._number(self.expected)} times, {self.base_name} "
                f"{self._number(self.base)} times."
            )

    def _movers(self, how: str, sign: int) -> Iterator[str]:
        """The largest parts of which one can be sure that they add, or that they take."""
        named = [
            f"{part['part']} {self._number(part['amount'], '+')}{_measured(part)}"
            for part in self._largest_first()
            if min(sign * end for end in _interval(part["amount_quantiles"])) > 0
        ]
        if named:
            yield f"{how}: {'; '.join(named[:NAMED_PARTS])}."

    def _parts(self) -> Grid:
        """A product's parts have no rate."""
        of_pair = self.customer_id is not None
        heads = ("part", self.unit, "80 % interval", *(["rate"] if of_pair else []))
        rows = [[*self._cells(part)] for part in self._largest_first()]
        return Grid("What makes the difference", heads, rows, frozenset(heads[1:]))

    def _cells(self, part: ExplainedPart) -> Iterator[CardCell]:
        low, high = _interval(part["amount_quantiles"])
        yield part["part"]
        yield Strong(self._number(part["amount"], "+"))
        yield f"{self._number(low, '+')} to {self._number(high, '+')}"
        if part["log_rate"] is not None:
            yield f"× {np.exp(part['log_rate']):.2f}"

    def _measures(self) -> list[Grid]:
        """What numbers tell of the parts."""
        rows = [
            (part["measure"], f"{part['value']:,.3g}", f"{part['typical_value']:,.3g}")
            for part in self._largest_first()
            if part["measure"] is not None
        ]
        heads = ("", "this customer", "typical")
        return [Grid("What they are like", heads, rows, frozenset(heads[1:]))] if rows else []

    def _largest_first(self) -> list[ExplainedPart]:
        """The parts, without those in which the pair and a typical one are the same."""
        some = [
            part
            for part in self.parts
            if part["amount"] or any(_interval(part["amount_quantiles"]))
        ]
        return sorted(some, key=lambda part: -abs(part["amount"]))

    def _who(self) -> str:
        product = in_a_line(self.product_name)
        return (
            product if self.customer_name is None else f"{in_a_line(self.customer_name)}, {product}"
        )

    def _weeks(self) -> str:
        return counted(self.forecast_period_weeks, "week")

    def _said(self, amount: float) -> str:
        return f"{self._number(amount)} {self.unit}"

    def _between(self) -> str:
        low, high = _interval(self.expected_quantiles)
        return f"80 % between {self._number(low)} and {self._number(high)}"

    def _number(self, amount: float, sign: str = "") -> str:
        """Orders to a tenth, or a hundredth where they are few; units as whole ones if many."""
        most = max(self.expected, self.base)
        digits = 2 if most < FEW else 1 if most < MANY else 0
        rounded = round(amount, digits) + 0.0  # no −0
        return f"{rounded:{sign},.{digits}f}"

    @staticmethod
    def _row(part: str, amount: float, quantiles: dict[str, float]) -> dict[str, object]:
        return {"part": part, "amount": amount, "amount_quantiles": quantiles}


def _part(part: Part) -> ExplainedPart:
    rate, measure = part.log_rate, part.measure
    return ExplainedPart(
        part=part.name,
        amount=float(part.amount.mean()),
        amount_quantiles=_quantiles(part.amount),
        log_rate=None if rate is None else float(rate.mean()),
        log_rate_quantiles=None if rate is None else _quantiles(rate),
        measure=None if measure is None else measure.unit,
        value=None if measure is None else measure.value,
        typical_value=None if measure is None else measure.typical,
    )


def _quantiles(draws: Floats) -> dict[str, float]:
    return dict(zip(QUANTILE_NAMES, quantiles_of(draws, axis=0).tolist(), strict=True))


def _interval(quantiles: Mapping[str, float]) -> tuple[float, float]:
    return quantiles["q10"], quantiles["q90"]


def _width(part: ExplainedPart) -> float:
    low, high = _interval(part["amount_quantiles"])
    return high - low


def _measured(part: ExplainedPart) -> str:
    """In brackets, what the pair and a typical one are like."""
    if part["measure"] is None or part["value"] is None or part["typical_value"] is None:
        return ""
    return f" ({part['measure']}: {part['value']:,.3g}, typically {part['typical_value']:,.3g})"
