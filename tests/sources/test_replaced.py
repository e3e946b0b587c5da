"""Products that others replaced: their orders are the new one's from the day after on."""

from datetime import date, timedelta

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from backtests.run.provenance import Survey
from backtests.scores.actuals import events_after
from tests.sources.helpers import AS_OF, Line, assert_same_events, database, rows_of
from toolkit.cli.app import app
from toolkit.data.scenario import Change, Scenario
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, DataError, SourceError
from toolkit.sources.base import events_until, replacements_of
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.replaced import Replaced, Replacements, circles, keep_replaced
from toolkit.sources.sql import as_source, weekly_quantities

OLD, NEW, NEWEST, OTHER = 1, 2, 3, 4
NAMES = {OLD: "Cup", NEW: "Mug", NEWEST: "Beaker", OTHER: "Plate"}


def on(day):
    return AS_OF + timedelta(day)


def lines(seed=3, first=-200, last=60):
    """Orders of every product by six customers, some returned, some on days of two products."""
    chance = np.random.default_rng(seed)
    return [
        Line(i, 100 + int(chance.integers(6)), int(chance.integers(1, 5)), int(day),
             quantity=float(chance.integers(1, 9) * chance.choice([1, 1, 1, -1])), price=float(i))
        for i, day in enumerate(chance.integers(first, last, 400), start=1)
    ]  # fmt: skip


def opened(each, renamed=()):
    made = [
        line if line.product_id not in dict(renamed)
        else Line(line.order_id, line.customer_id, dict(renamed)[line.product_id], line.day,
                  quantity=line.quantity, price=line.price)
        for line in lines()
    ]  # fmt: skip
    conn = database(made, products=NAMES)
    keep_replaced(conn, each)
    return conn


CASES = {
    "one by one": ([Replaced(OLD, NEW, on(-9))], {OLD: NEW}),
    "two by one": ([Replaced(OLD, NEW, on(-9)), Replaced(OTHER, NEW, on(-50))],
                   {OLD: NEW, OTHER: NEW}),
    "a chain": ([Replaced(OLD, NEW, on(-50)), Replaced(NEW, NEWEST, on(-9))],
                {OLD: NEWEST, NEW: NEWEST}),
    "a chain the other way round": (
        [Replaced(OLD, NEW, on(-9)), Replaced(NEW, NEWEST, on(-50))], {OLD: NEWEST, NEW: NEWEST}
    ),
    "a chain not yet whole": ([Replaced(OLD, NEW, on(-1)), Replaced(NEW, NEWEST, on(0))],
                              {OLD: NEW}),
    "not yet": ([Replaced(OLD, NEW, on(0)), Replaced(OTHER, NEW, on(9))], {}),
}  # fmt: skip


@pytest.mark.parametrize(("each", "renamed"), CASES.values(), ids=CASES)
def test_all_is_as_if_the_old_product_had_been_called_like_the_new_one(each, renamed):
    customers = range(100, 106)
    with opened(each) as one, opened([], renamed.items()) as other:
        source, twin = as_source(one), as_source(other)
        assert_same_events(source.order_events(AS_OF), twin.order_events(AS_OF))
        for product in NAMES:
            assert_same_events(
                source.order_events(AS_OF, [product]), twin.order_events(AS_OF, [product])
            )
        days, expected = (s.customer_days(AS_OF, customers) for s in (source, twin))
        for name in ("customer_id", "day", "products"):
            np.testing.assert_array_equal(getattr(days, name), getattr(expected, name))
        assert source.ordered_products(AS_OF, customers) == twin.ordered_products(AS_OF, customers)


def test_an_old_product_has_nothing_left_to_forecast_and_the_total_counts_it_once():
    with opened([Replaced(OLD, NEW, on(-9))]) as conn, opened([], {OLD: NEW}.items()) as twin:
        engine, expected = ForecastEngine(conn), ForecastEngine(twin)
        assert engine.generate_forecast(OLD, AS_OF) is None
        one = engine.generate_forecast(NEW, AS_OF).summary["quantity_quantiles"]
        assert one == expected.generate_forecast(NEW, AS_OF).summary["quantity_quantiles"]
        both = engine.forecast_portfolio([OLD, NEW], AS_OF)
        assert both.summary["expected_quantity"] == pytest.approx(
            expected.forecast_portfolio([NEW], AS_OF).summary["expected_quantity"]
        )
        change = Change("product_delisted", products=(OLD,))
        with pytest.raises(ArgumentError, match=f"was replaced before {AS_OF}: name 2"):
            engine.compare_scenarios([Scenario("gone", (change,))], as_of_date=AS_OF)


def test_a_price_of_its_own_comes_first_else_that_of_what_it_replaced():
    known = [Line(1, 100, OLD, -30, quantity=2, price=3.0)]
    later = [*known, Line(2, 100, NEW, -3, quantity=1, price=7.0)]
    for given, price in ((known, 3.0), (later, 7.0)):
        with database(given, products=NAMES) as conn:
            keep_replaced(conn, [Replaced(OLD, NEW, on(-9)), Replaced(OTHER, NEWEST, on(-90))])
            source = as_source(conn)
            assert source.products(AS_OF, [NEW])[NEW].unit_price == price
            assert source.products(AS_OF, [OLD, NEW])[OLD].unit_price == 3.0
            assert source.products(on(-9), [NEW])[NEW].unit_price is None
            assert source.products(on(-40), [OLD])[OLD].unit_price is None
            assert source.products(on(-8), [OLD, OTHER])[OTHER].unit_price is None


def test_what_came_after_a_date_is_of_the_products_as_they_were_then():
    made = [Line(1, 100, OLD, -30), Line(2, 100, OLD, 3), Line(3, 100, NEW, 10)]
    cases = {-9: [(NEW, 100, 3, 1.0), (NEW, 100, 10, 1.0)], 0: [(OLD, 100, 3, 1.0)]}
    for day, expected in cases.items():
        with database(made, products=NAMES) as conn:
            keep_replaced(conn, [Replaced(OLD, NEW, on(day))])
            after = events_after(as_source(conn), AS_OF, 2)
            assert [row for row in rows_of(after) if row[0] == expected[0][0]] == expected
            (first, *_), known = weekly_quantities(conn, OLD, AS_OF, 1), day < 0
            assert first == (0.0 if known else 1.0)


def test_a_runs_data_are_told_apart_by_what_was_replaced_and_when():
    told = set()
    for each in ([], [Replaced(OLD, NEW, on(-9))], [Replaced(OLD, NEW, on(-8))]):
        with opened(each) as conn:
            survey = Survey.of(as_source(conn))
            told.add((survey.data.sha256, survey.replaced))
    assert len(told) == 3
    assert len({data for data, _ in told}) == 1


def test_replacements_are_read_once_and_a_circle_is_refused():
    each = [Replaced(OLD, NEW, on(-9)), Replaced(NEW, OLD, on(-8))]
    with opened(each) as conn, pytest.raises(SourceError, match="round in a circle: 1, 2"):
        as_source(conn).order_events(AS_OF)
    assert circles({1: 2, 2: 3, 5: 3, 3: 4}) == []
    with duckdb.connect() as conn:
        assert replacements_of(as_source(conn)) == Replacements()


def test_of_another_kind_of_source_nothing_was_replaced():
    with opened([Replaced(OLD, NEW, on(-9))]) as conn:
        plain = as_source(conn)

        class Plain:
            order_events = staticmethod(lambda end, ids=None: plain.order_events(end, ids))

        assert len(events_until(Plain(), AS_OF, AS_OF)) == len(plain.order_events(AS_OF))


HEADER = "order_id,customer_id,product_id,ordered_at,quantity,unit_price"


@pytest.fixture
def sales(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    week = [date(2022, 1, 3) + timedelta(weeks=i) for i in range(20)]
    rows = [f"{i},1,{'A' if i < 15 else 'B'},{day},5,2.5" for i, day in enumerate(week)]
    (tmp_path / "sales.csv").write_text("\n".join([HEADER, *rows]))
    return tmp_path


def replaces(folder, *rows, header="old_product,new_product,date"):
    (folder / "replaces.csv").write_text("\n".join([header, *rows]) + "\n")
    return OrderMapping(replaces="replaces.csv")


@pytest.mark.parametrize("header", ["old_product;new_product;date", "Old;Replaced by;Since"])
def test_a_file_of_replaced_products_is_imported(sales, header):
    mapping = replaces(sales, " A ;B;2022-04-18", "", header=header)
    report = import_orders(["sales.csv"], sales / "orders.duckdb", mapping)
    assert "replaces.csv: products were replaced (1 row)" in str(report)
    with open_database(sales / "orders.duckdb") as conn:
        (found,) = replacements_of(as_source(conn)).each
        assert found.since_date == date(2022, 4, 18)
        assert len(np.unique(as_source(conn).order_events(date(2022, 6, 1)).product_id)) == 1
    import_orders(["sales.csv"], sales / "orders.duckdb")
    with open_database(sales / "orders.duckdb") as conn:
        assert replacements_of(as_source(conn)) == Replacements()


def test_everything_that_is_wrong_with_it_is_said_at_once(sales):
    rows = ("A,B,2022-04-18", "A,Z,2022-04-18", "B,A,soon", ",B,2022-01-01", "B,B,2022-01-01")
    (sales / "sales.csv").write_text(f"{HEADER}\n1,1,A,2022-01-03,5,0\n2,1,B,2022-01-03,5,1\n")
    with pytest.raises(DataError) as caught:
        import_orders(["sales.csv"], None, replaces(sales, *rows))
    said = str(caught.value)
    for part in (
        "old_product is empty (1 row; e.g. line 5)",
        "date is no date like 2024-01-31 (1 row; e.g. line 4: soon)",
        "product replaces itself (1 row; e.g. line 6: B)",
        "old_product appears more than once (2 rows; e.g. A: B, Z, B: A, B)",
        "product is unknown (1 row; e.g. line 3: Z)",
        "unit_price is not above 0",
    ):  # fmt: skip
        assert part in said, said


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (
            ["A,B,2022-01-01", "B,A,2022-01-01"],
            "old,new,date",
            "in a circle .1 row; e.g. A → B → A",
        ),
        (["A,B"], "old,new", "column date is missing; the columns are old, new"),
        (["A,B,1,2"], "old,new,date,date", "cannot be read: column date appears twice"),
        (None, "", "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_right(sales, rows, header, said):
    mapping = OrderMapping(replaces="none.csv")
    mapping = mapping if rows is None else replaces(sales, *rows, header=header)
    with pytest.raises(DataError, match=said):
        import_orders(["sales.csv"], None, mapping)


def test_the_command_says_what_has_replaced_a_product(sales):
    replaces(sales, "A,B,2022-04-18")
    run = CliRunner().invoke
    asked = ["import", "sales.csv", "--db", "o.duckdb", "--replaces", "replaces.csv"]
    done = run(app, [*asked, "--save-mapping", "m.toml"])
    assert done.exit_code == 0, done.output
    assert OrderMapping.read(sales / "m.toml").replaces == "replaces.csv"
    told = "product B has replaced it since 2022-04-18, and its orders are the history of B."
    done = run(app, ["forecast", "A", "--db", "o.duckdb", "--as-of", "2022-06-01"])
    assert done.exit_code == 3
    assert f"There is nothing to forecast for product A: {told}" in done.stderr
    assert run(app, ["forecast", "A", "--db", "o.duckdb", "--as-of", "2022-04-18"]).exit_code == 0
    asked = ["--db", "o.duckdb", "--as-of", "2022-06-01"]
    done = run(app, ["sensitivity", "A", *asked])
    assert done.exit_code == 3
    assert "no order before 2022-06-01 (those of a product that was replaced" in done.stderr
    done = run(app, ["forecast", "A", "B", "--together", *asked])
    assert "1 product never ordered before, or replaced since, left out." in done.stdout
