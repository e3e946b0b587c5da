"""The scenario that a form's fields tell of: the same address tells the same scenario."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from toolkit.data.scenario import Change, Scenario
from toolkit.errors import ArgumentError

NAME = "scenario"


@dataclass(frozen=True, slots=True)
class Slider:
    """A number that can be pulled from ``least`` to ``most``, or written into the address."""

    name: str
    label: str
    unit: str
    least: float
    most: float
    step: float
    default: float
    help: str


DEMAND = Slider(
    *("demand", "Demand", "%", -100, 200, 5, 0),
    help="What all customers order, more or less than forecast.",
)
PRICE = Slider(
    *("price", "Price", "%", -90, 200, 5, 0),
    help="The unit price, more or less than now.",
)
ELASTICITY = Slider(
    *("elasticity", "Elasticity", "", -5, 5, 0.1, -1),
    help="Demand × (new price / old price) to this power; −1: half the price, twice the units.",
)
SLIDERS = (DEMAND, PRICE, ELASTICITY)
LOST = "lost"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asks for: the sliders' values by name, and a customer who is lost, by code."""

    values: Mapping[str, float] = field(default_factory=dict)
    lost: str = ""

    def value(self, slider: Slider) -> float:
        """Where a slider stands."""
        return self.values.get(slider.name, slider.default)

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.value(DEMAND) or self.value(PRICE) or self.lost)

    def scenario(self, product_id: int, unit_price: float | None, lost: int | None) -> Scenario:
        """The changes, one after the other. ``ArgumentError`` for a price where none is known."""
        return Scenario(NAME, tuple(self._changes(product_id, unit_price, lost)))

    def _changes(
        self, product_id: int, unit_price: float | None, lost: int | None
    ) -> Iterator[Change]:
        if demand := self.value(DEMAND):
            yield Change("demand", products=(product_id,), percent=demand)
        if percent := self.value(PRICE):
            if unit_price is None:
                raise ArgumentError("the product has no price that could change")
            price = unit_price * (1 + percent / 100)
            elasticity = self.value(ELASTICITY)
            yield Change("price", products=(product_id,), price=price, elasticity=elasticity)
        if lost is not None:
            yield Change("customer_lost", customers=(lost,))


def asked_by(query: Mapping[str, str]) -> Asked:
    """What the fields of an address say; ``ArgumentError`` with all that is wrong with them."""
    values, wrong = {}, []
    for slider in SLIDERS:
        text = query.get(slider.name, "").strip()
        try:
            value = float(text or slider.default)
        except ValueError:
            value = float("nan")
        if slider.least <= value <= slider.most:
            values[slider.name] = value
        else:
            wrong.append(
                f"{slider.name} has to be a number from {slider.least:g} to {slider.most:g}, "
                f"got {text[:20]!r}"
            )
    if wrong:
        raise ArgumentError("; ".join(wrong))
    return Asked(values, query.get(LOST, "").strip())
