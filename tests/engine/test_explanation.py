"""``engine.explain``: whose parts, in which words, and when there are none."""

import json

import numpy as np
import pytest

from tests.conftest import AS_OF, NOON, add_line
from toolkit.data.attribution import Attribution, Part
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, ModelError
from toolkit.results.explanation import EXPLANATION, Explained, Explanation
from toolkit.results.metadata import model_metadata


@pytest.fixture
def explaining(database, rhythm) -> ForecastEngine:
    return ForecastEngine(database, model=rhythm, draws=50, clock=lambda: NOON)


@pytest.fixture
def customer(database) -> int:
    """One who ordered product 1."""
    lines = 'dbo.OrderItem i JOIN dbo."Order" o ON i.OrderID = o.ID'
    agreements = "JOIN dbo.ClientAgreement a ON a.ID = o.ClientAgreementID"
    wanted = "WHERE i.ProductID = 1 AND o.Created < $as_of"
    query = f"SELECT min(a.ClientID) FROM {lines} {agreements} {wanted}"
    (found,) = database.execute(query, {"as_of": AS_OF}).fetchone()
    return found


def test_a_customers_parts_add_up_and_have_names(explaining, customer):
    found = explaining.explain(1, customer, AS_OF)
    assert (found.product_name, found.unit) == ("Article 1", "orders")
    assert sum((part["amount"] for part in found.parts), found.base) == pytest.approx(
        found.expected, rel=1e-9
    )
    (risk,) = [
        product["risk_reason"]
        for product in explaining.forecast_customer(customer, AS_OF).products
        if product["product_id"] == 1
    ]
    assert found.risk_reason == risk
    frame = found.to_frame()
    assert list(frame.columns) == list(EXPLANATION)
    assert frame["role"].tolist() == ["base", *["part"] * 8, "expected"]
    assert len(found.plot().axes[0].patches) == 7  # of the product, nothing differs


def test_against_all_the_product_differs_too(explaining, customer):
    found = explaining.explain(1, customer, AS_OF, against="all")
    (product,) = [part for part in found.parts if part["part"] == "the product as a whole"]
    assert product["amount"] != 0.0
    assert found.base_name == "a typical customer of a typical product"
    own = explaining.explain(1, customer, AS_OF)
    assert found.expected == pytest.approx(own.expected, rel=1e-9)


def test_a_product_is_its_customers_season_and_surprises(explaining):
    found = explaining.explain(1, as_of_date=AS_OF)
    assert found.unit == "units"
    assert [part["part"] for part in found.parts] == [
        "new customers", "the time of the year", "surprises to all products alike",
        "surprises to this product alone",
    ]  # fmt: skip
    expected = explaining.generate_forecast(1, AS_OF).summary["expected_quantity"]
    assert found.expected == pytest.approx(expected, rel=0.1)


def test_equal_calls_give_equal_bytes(explaining, customer):
    first, second = (json.dumps(explaining.explain(1, customer, AS_OF).to_dict()) for _ in "12")
    assert first == second


def test_what_nobody_ordered_has_nothing_to_explain(explaining, customer):
    assert explaining.explain(4711, as_of_date=AS_OF) is None
    assert explaining.explain(1, 999_999, AS_OF) is None
    assert explaining.explain(1, customer, "2000-01-01") is None


def test_a_model_that_does_not_explain_says_so(engine):
    with pytest.raises(ModelError, match="pair_conjugate does not say what its forecasts"):
        engine.explain(1, as_of_date=AS_OF)


def test_wrong_calls_are_refused(explaining, customer, database):
    with pytest.raises(ArgumentError, match="against has to be one of product, all, got 'none'"):
        explaining.explain(1, customer, AS_OF, against="none")
    database.execute("INSERT INTO dbo.Product (ID, Name) VALUES (777, 'Lonely')")
    add_line(database, product_id=777, customer_id=customer, day=-9)
    with pytest.raises(ArgumentError, match="product 777 has one customer"):
        explaining.explain(777, customer, AS_OF)
    assert explaining.explain(777, customer, AS_OF, against="all") is not None


def made(**amounts) -> Explanation:
    """Of a customer's orders; each amount is the middle of what it may be, and how far off."""
    off = np.linspace(-1.0, 1.0, 21)
    parts = tuple(
        Part(name, middle + far * off, np.zeros(21)) for name, (middle, far) in amounts.items()
    )
    base = np.full(21, 4.0)
    total = base + sum(part.amount for part in parts)
    what = Explained(1, "<Milk>", 7, "Shop\n7", "Overdue: 9 days silent", "product")
    return Explanation.of(
        what, Attribution(base, total, parts), AS_OF, 12, model_metadata(AS_OF, NOON)
    )


def test_words_name_what_is_sure_and_say_what_is_not():
    shown = made(pace=(3.0, 0.5), silence=(-1.0, 0.2), sizes=(0.4, 2.0), same=(0.0, 0.0))
    text = shown.to_card().text()
    for part in (
        "Shop\\n7 is expected to order it 6.4 times, a typical customer of this product 4.0 times",
        "More: pace +3.0.", "Less: silence -1.0.", "Least sure: sizes, between -1.4 and +2.2",
        "At risk. Overdue: 9 days silent.",
    ):  # fmt: skip
        assert part in text
    assert "same" not in text
    assert "<Milk>" not in shown.to_card().html()
