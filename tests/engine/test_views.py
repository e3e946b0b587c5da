"""Views of a customer and of many products: identities with the products' own forecasts."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tests.conftest import AS_OF, NOON, add_line, known_products
from tests.sources.helpers import PyformatConnection
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, PredictionError
from toolkit.model import find_model
from toolkit.results.customer_fields import CUSTOMER_PRODUCTS, CUSTOMER_WEEKS
from toolkit.results.forecast import AT_RISK, PRODUCT_WEEKS, TOP_CUSTOMERS
from toolkit.results.portfolio import PORTFOLIO_AT_RISK, PORTFOLIO_PRODUCTS, PORTFOLIO_WEEKS
from toolkit.results.risk import LOW_P_ALIVE, OVERDUE_PROBABILITY
from toolkit.sources.generator import FIRST_CUSTOMER_ID
from toolkit.stages import prediction
from toolkit.stages.listing import ProductThresholds, Thresholds
from toolkit.views.portfolio import portfolio_of
from toolkit.views.portfolio_parts import YEAR_DAYS

CUSTOMERS = [FIRST_CUSTOMER_ID + i for i in range(60)]


@pytest.fixture(params=["pair_conjugate", "rhythm"])
def engine(request, database) -> ForecastEngine:
    model = (
        request.getfixturevalue("rhythm")
        if request.param == "rhythm"
        else find_model(request.param)
    )
    return ForecastEngine(database, model=model, draws=60, clock=lambda: NOON)


def all_predictions(engine):
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF))
    predictions, failed = engine.predictor.predict(patterns)
    assert failed == ()
    return predictions


def test_a_customers_rows_are_those_of_the_products_bit_for_bit(engine):
    predictions = all_predictions(engine)
    known, pairs = predictions.patterns, predictions.pairs
    seen = np.zeros(len(known), dtype=bool)
    for customer_id in CUSTOMERS:
        view = engine.forecast_customer(customer_id, AS_OF)
        rows = np.flatnonzero(known.customer_id == customer_id)
        assert (view is None) == (len(rows) == 0)
        products = {} if view is None else {row["product_id"]: row for row in view.products}
        assert sorted(products) == known.product_id[rows].tolist()
        for row in rows:
            seen[row] = True
            found = products[int(known.product_id[row])]
            assert found["order_count"] == known.order_count[row]
            assert found["expected_orders"] == sum(pairs.expected_orders[row].tolist())
            assert found["expected_quantity"] == sum(pairs.expected_quantity[row].tolist())
            assert found["p_alive"] == pairs.p_alive[row]
            assert found["confidence"] == pairs.confidence[row]
            assert found["p_order"] == pairs.p_order_by_week[row, -1]
    assert seen.all()


def test_customer_views_sum_to_what_products_expect_of_known_customers(engine):
    views = [engine.forecast_customer(customer_id, AS_OF) for customer_id in CUSTOMERS]
    units = pd.concat([view.to_frame() for view in views if view is not None])
    by_product = units.groupby("product_id")["expected_quantity"].sum()
    weeks = pd.concat([view.to_frame("weeks") for view in views if view is not None])
    by_week = weeks.groupby("week_number")["expected_quantity"].sum()
    portfolio = engine.forecast_portfolio(None, AS_OF)
    forecasts = engine.generate_forecasts(known_products(engine.conn), AS_OF, 1, 0.0)
    for product_id, forecast in forecasts.items():
        known = sum(w["demand"]["known_expected_quantity"] for w in forecast.weekly_forecasts)
        assert by_product[product_id] == pytest.approx(known, rel=1e-12)
    for week in portfolio.weekly_forecasts:
        expected = week["known_expected_quantity"]
        assert by_week[week["week_number"]] == pytest.approx(expected, rel=1e-12)


def test_a_customer_view_says_what_products_say_of_the_customer(engine):
    views = {customer_id: engine.forecast_customer(customer_id, AS_OF) for customer_id in CUSTOMERS}

    def row(customer_id, product_id):
        found = views[customer_id].products
        return next(product for product in found if product["product_id"] == product_id)

    compared = 0
    for product_id, forecast in engine.generate_forecasts(
        known_products(engine.conn), AS_OF
    ).items():
        for listed in forecast.top_customers_by_volume:
            found = row(listed["customer_id"], product_id)
            assert found["next_order_date"] == listed["next_order_date"]
            assert found["expected_quantity"] == listed["total_quantity"]
            assert views[listed["customer_id"]].summary["customer_name"] == listed["customer_name"]
        for at_risk in forecast.at_risk_customers:
            found = row(at_risk["customer_id"], product_id)
            assert found["risk_reason"] == at_risk["risk_reason"]
            assert found["overdue"] != found["risk_reason"].startswith("Hard to date")
            assert found["open_interval_days"] == at_risk["open_interval_days"]
            compared += 1
    assert compared > 20


def test_a_customers_totals_are_the_sums_of_rows(engine):
    view = engine.forecast_customer(CUSTOMERS[0], AS_OF)
    for name in ("expected_orders", "expected_quantity", "expected_revenue"):
        total = view.summary[name]
        assert sum(product[name] for product in view.products) == pytest.approx(total)
        assert sum(week[name] for week in view.weekly_forecasts) == pytest.approx(total)
    dates = [product["next_order_date"] for product in view.products]
    assert dates == sorted(dates, key=lambda day: (day is None, day))
    assert view.summary["next_order_date"] == dates[0]
    assert view.summary["overdue_count"] == len(view.overdue)
    json.dumps(view.to_dict(), allow_nan=False)


def test_thresholds_say_who_is_at_risk_and_never_leave_a_product_out(database):
    strict = ProductThresholds(Thresholds(1000, 1.0))
    engine = ForecastEngine(database, thresholds=strict, clock=lambda: NOON)
    view = engine.forecast_customer(CUSTOMERS[0], AS_OF)
    plain = ForecastEngine(database, clock=lambda: NOON).forecast_customer(CUSTOMERS[0], AS_OF)
    assert {product["risk_reason"] for product in view.products} == {None}
    assert len(view.products) == len(plain.products)
    assert view.summary["expected_quantity"] == plain.summary["expected_quantity"]
    assert view.model_metadata["min_orders_threshold"] == 1000


def test_a_customer_who_ordered_nothing_before_the_date(database, engine):
    assert engine.forecast_customer(4711, AS_OF) is None
    add_line(database, product_id=1, customer_id=4711, day=0)
    assert engine.forecast_customer(4711, AS_OF) is None
    with pytest.raises(ArgumentError, match="customer_id has to be a whole number, got 'Shop 1'"):
        engine.forecast_customer("Shop 1", AS_OF)


def test_a_customer_all_of_whose_pairs_fail_is_an_error(database):
    engine = ForecastEngine(database, clock=lambda: NOON)
    database.execute("INSERT INTO dbo.Client VALUES (4711, 'Odd')")
    database.execute("INSERT INTO dbo.ClientAgreement VALUES (4711, 4711)")
    add_line(database, product_id=1, customer_id=4711, day=-1, quantity=None)
    with pytest.raises(PredictionError, match=r"no pair of customer 4711 .* quantity is nan"):
        engine.forecast_customer(4711, AS_OF)


def test_failed_pairs_are_counted_where_they_belong(database):
    engine = ForecastEngine(database, clock=lambda: NOON)
    first, other = CUSTOMERS[:2]
    before = engine.forecast_customer(first, AS_OF)
    product_id = before.products[0]["product_id"]
    add_line(database, product_id=product_id, customer_id=first, day=-1, quantity=None)
    view = engine.forecast_customer(first, AS_OF)
    assert view.summary["product_count"] == before.summary["product_count"] - 1
    assert view.model_metadata["failed_pairs"] == 1
    assert "1 pair failed, left out." in view.to_card().text()
    for customer_id in (other, CUSTOMERS[-1]):
        assert engine.forecast_customer(customer_id, AS_OF).model_metadata["failed_pairs"] == 0
    assert engine.forecast_portfolio(None, AS_OF).model_metadata["failed_pairs"] == 1
    assert engine.draws(None, AS_OF).attrs["failed_pairs"] == 1


@pytest.mark.parametrize(("reads_days", "queries"), [(False, 4), (True, 5)])
def test_a_view_takes_few_queries_whatever_it_holds(database, rhythm, reads_days, queries):
    counted = PyformatConnection(database)
    model = rhythm if reads_days else None
    engine = ForecastEngine(counted, model=model, draws=20)
    assert engine.forecast_customer(CUSTOMERS[0], AS_OF) is not None
    assert len(counted.queries) == queries
    assert engine.forecast_portfolio(None, AS_OF) is not None
    assert len(counted.queries) == 2 * queries  # whether there are categories, too
    assert counted.open_cursors == 0


def test_draws_of_products_sum_to_the_portfolio_draw_by_draw(engine):
    draws = engine.draws(None, AS_OF)
    assert dict(draws.sizes) == {"product": 12, "week": 12, "draw": 60}
    analyzer, predictor = engine.pattern_analyzer, engine.predictor
    found = portfolio_of(analyzer, predictor, None, AS_OF, ProductThresholds().of)
    for name in ("orders", "quantity"):
        summed = np.zeros((12, 60))
        for product in draws.product:
            summed += draws[name].sel(product=product).to_numpy()
        assert np.array_equal(summed, getattr(found.draws, name))
    prices = engine.forecast_portfolio(None, AS_OF).to_frame("products")
    price = prices.set_index("product_id")["unit_price"].loc[draws.product.to_numpy()].to_numpy()
    revenue = (draws.quantity.to_numpy() * price[:, None, None]).sum(axis=0)
    assert np.allclose(revenue, found.draws.revenue)


def test_quantiles_of_totals_are_those_of_summed_draws(engine):
    portfolio = engine.forecast_portfolio(None, AS_OF)
    total = engine.draws(None, AS_OF).quantity.sum("product")
    levels = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
    for name, level in levels.items():
        weekly = total.quantile(level, "draw", method="weibull").to_numpy()
        found = [week["quantity_quantiles"][name] for week in portfolio.weekly_forecasts]
        assert found == pytest.approx(weekly)
        horizon = float(total.sum("week").quantile(level, "draw", method="weibull"))
        assert portfolio.summary["quantity_quantiles"][name] == pytest.approx(horizon)
    apart = [f.summary["quantity_quantiles"]["q95"] for f in engine.generate_forecasts(
        known_products(engine.conn), AS_OF, 1, 0.0).values()]  # fmt: skip
    assert portfolio.summary["quantity_quantiles"]["q95"] < sum(apart)


def test_draws_are_those_of_the_products_forecast(engine):
    draws = engine.draws([3], AS_OF).quantity.sel(product=3)
    for week in engine.generate_forecast(3, AS_OF, 1, 0.0).weekly_forecasts:
        known = draws.sel(week=week["week_number"]).quantile(0.9, method="weibull")
        assert week["demand"]["quantity_quantiles"]["q90"] == pytest.approx(float(known))


def test_draws_carry_names_dates_and_how_they_were_made(engine):
    draws = engine.draws([5, 2, 4711], str(AS_OF))
    assert draws.product.to_numpy().tolist() == [2, 5]
    assert draws.product_name.to_numpy().tolist() == ["Article 2", "Article 5"]
    assert draws.week_start_date.to_numpy()[1] == np.datetime64(AS_OF + timedelta(7))
    assert draws.attrs["as_of_date"] == str(AS_OF)
    assert draws.attrs["model_name"] == engine.predictor.model.name
    assert draws.attrs["failed_pairs"] == 0
    assert draws.quantity.dtype == np.float64


def test_draws_of_nothing_are_empty(engine):
    draws = engine.draws([4711], AS_OF)
    assert dict(draws.sizes) == {"product": 0, "week": 12, "draw": 60}


def test_the_cut_into_chunks_changes_no_bit(engine, monkeypatch):
    whole = engine.forecast_portfolio(None, AS_OF)
    view, draws = engine.forecast_customer(CUSTOMERS[0], AS_OF), engine.draws(None, AS_OF)
    monkeypatch.setattr(prediction, "NUMBERS_PER_CHUNK", 1)
    patterns, _ = engine.pattern_analyzer.analyze(engine.source.order_events(AS_OF))
    assert len(list(prediction.in_chunks(engine.predictor, patterns))) == 12
    assert engine.forecast_portfolio(None, AS_OF) == whole
    assert engine.forecast_customer(CUSTOMERS[0], AS_OF) == view
    assert engine.draws(None, AS_OF).identical(draws)


def test_a_portfolios_products_are_their_forecasts(engine):
    portfolio = engine.forecast_portfolio([7, 2, 7, 4711], AS_OF)
    assert portfolio.summary["product_count"] == 2
    assert portfolio.summary["never_ordered"] == [4711]
    forecasts = engine.generate_forecasts([2, 7], AS_OF, 1, 0.0)
    for row in portfolio.products:
        demand = forecasts[row["product_id"]].summary
        assert row["expected_quantity"] == pytest.approx(demand["expected_quantity"])
        assert row["quantity_quantiles"] == pytest.approx(demand["quantity_quantiles"])
    total = sum(row["expected_quantity"] for row in portfolio.products)
    assert portfolio.summary["expected_quantity"] == pytest.approx(total)
    assert engine.forecast_portfolio([4711], AS_OF) is None
    assert engine.forecast_portfolio([], AS_OF) is None
    json.dumps(portfolio.to_dict(), allow_nan=False)


def test_movers_compare_with_as_long_a_span_before_the_date(engine, orders):
    portfolio = engine.forecast_portfolio(None, AS_OF)
    lines = orders.order_lines
    day = (lines["ordered_at"] - pd.Timestamp(AS_OF)).dt.days
    before = lines[(day < 0) & (day >= -84)].groupby("product_id")["quantity"].sum()
    differences = [abs(row["difference"]) for row in portfolio.products]
    assert differences == sorted(differences, reverse=True)
    for row in portfolio.products:
        assert row["previous_quantity"] == pytest.approx(before.get(row["product_id"], 0.0))
        expected = row["expected_quantity"] - row["previous_quantity"]
        assert row["difference"] == pytest.approx(expected)
    assert portfolio.summary["previous_quantity"] == pytest.approx(before.sum())


def test_customers_at_risk_are_ranked_by_what_is_lost(engine):
    """Against a slow twin, pair by pair."""
    predictions = all_predictions(engine)
    known, pairs, events = predictions.patterns, predictions.pairs, predictions.patterns.events
    portfolio = engine.forecast_portfolio(None, AS_OF)
    prices = {row["product_id"]: row["unit_price"] for row in portfolio.products}
    lost: dict[int, list[tuple[float, float]]] = {}
    for i in range(len(known)):
        lapsed = pairs.p_alive[i] < LOW_P_ALIVE
        overdue = known.order_count[i] > 1 and pairs.open_interval_p[i] < OVERDUE_PROBABILITY
        if known.order_count[i] < 2 or not (lapsed or overdue):
            continue
        own = slice(*known.event_offset[i : i + 2])
        days, sizes = events.day[own], events.quantity[own]
        observed = max(84, min(YEAR_DAYS, -days[0]))
        units = sizes[days >= -YEAR_DAYS].sum() / observed * 84 - pairs.expected_quantity[i].sum()
        if units > 0:
            revenue = units * prices[int(known.product_id[i])]
            lost.setdefault(int(known.customer_id[i]), []).append((revenue, units))
    assert len(lost) > 3
    expected = {
        c: (sum(r for r, _ in of), sum(u for _, u in of), len(of)) for c, of in lost.items()
    }
    found = {
        c["customer_id"]: (c["revenue_lost"], c["quantity_lost"], c["products_at_risk"])
        for c in portfolio.at_risk_customers
    }
    assert found.keys() == expected.keys()
    for customer_id, amounts in expected.items():
        assert found[customer_id] == pytest.approx(amounts)
    revenues = [customer["revenue_lost"] for customer in portfolio.at_risk_customers]
    assert revenues == sorted(revenues, reverse=True)
    assert portfolio.summary["revenue_lost"] == pytest.approx(sum(revenues))
    assert portfolio.summary["customers_at_risk"] == len(lost)
    for customer in portfolio.at_risk_customers:
        assert customer["risk_reason"].startswith(("Probably lapsed", "Overdue"))


def test_without_prices_units_rank_and_revenue_is_unknown(database):
    database.execute("UPDATE dbo.OrderItem SET PricePerItem = NULL")
    engine = ForecastEngine(database, clock=lambda: NOON)
    portfolio = engine.forecast_portfolio(None, AS_OF)
    summary = portfolio.summary
    assert (summary["expected_revenue"], summary["revenue_quantiles"]) == (None, None)
    assert (summary["unpriced_products"], summary["revenue_lost"]) == (12, None)
    units = [customer["quantity_lost"] for customer in portfolio.at_risk_customers]
    assert len(units) > 3
    assert units == sorted(units, reverse=True)
    assert "revenue –" in portfolio.to_card().text()
    view = engine.forecast_customer(CUSTOMERS[0], AS_OF)
    assert view.summary["expected_revenue"] is None
    assert view.to_frame()["expected_revenue"].isna().all()


DTYPES = {"date": "datetime64[s]", "string": "string"}


def assert_tidy(frame, schema, rows):
    assert list(frame.columns) == list(schema)
    assert [str(d) for d in frame.dtypes] == [DTYPES.get(kind, kind) for kind in schema.values()]
    assert len(frame) == rows


def test_tables_have_their_columns_and_types_whatever_is_in_them(engine):
    forecast = engine.generate_forecast(1, AS_OF, 1, 0.0)
    view, portfolio = engine.forecast_customer(CUSTOMERS[0], AS_OF), engine.forecast_portfolio(
        None, AS_OF
    )  # fmt: skip
    assert_tidy(forecast.to_frame(), PRODUCT_WEEKS, 12)
    top = len(forecast.top_customers_by_volume)
    assert_tidy(forecast.to_frame("top_customers"), TOP_CUSTOMERS, top)
    assert_tidy(forecast.to_frame("at_risk"), AT_RISK, len(forecast.at_risk_customers))
    assert_tidy(view.to_frame(), CUSTOMER_PRODUCTS, len(view.products))
    assert_tidy(view.to_frame("weeks"), CUSTOMER_WEEKS, 12)
    assert_tidy(portfolio.to_frame(), PORTFOLIO_WEEKS, 12)
    assert_tidy(portfolio.to_frame("products"), PORTFOLIO_PRODUCTS, 12)
    at_risk = len(portfolio.at_risk_customers)
    assert_tidy(portfolio.to_frame("at_risk"), PORTFOLIO_AT_RISK, at_risk)
    nobody = engine.generate_forecast(1, AS_OF, 1, 0.0)
    nobody.at_risk_customers.clear()
    assert_tidy(nobody.to_frame("at_risk"), AT_RISK, 0)
    with pytest.raises(
        ArgumentError, match="one of 'weeks', 'products', 'at_risk', 'categories', got 'week'"
    ):
        portfolio.to_frame("week")


def test_tables_hold_what_the_records_say(engine):
    forecast = engine.generate_forecast(1, AS_OF)
    week, said = forecast.to_frame().iloc[2], forecast.weekly_forecasts[2]
    assert week["week_start_date"] == pd.Timestamp(said["week_start_date"])
    assert week["quantity_q90"] == said["demand"]["quantity_quantiles"]["q90"]
    assert week["expected_quantity"] == said["demand"]["expected_quantity"]
    view = engine.forecast_customer(CUSTOMERS[0], AS_OF)
    for row, product in zip(view.to_frame().itertuples(), view.products, strict=True):
        assert (row.product_id, row.p_alive) == (product["product_id"], product["p_alive"])
        due = product["next_order_quantiles"]["q90"]
        assert pd.isna(row.next_order_q90) if due is None else str(row.next_order_q90)[:10] == due
        assert pd.isna(row.risk_reason) == (product["risk_reason"] is None)
    whole = engine.forecast_portfolio(None, AS_OF)
    assert whole.to_frame()["revenue_q50"].iloc[0] == pytest.approx(
        whole.weekly_forecasts[0]["revenue_quantiles"]["q50"]
    )


def test_other_libraries_take_the_tables(engine):
    """By the dataframe interchange, as Polars does, and by Arrow."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow.interchange import from_dataframe  # noqa: PLC0415

    for frame in engine.forecast_portfolio(None, AS_OF).tables().values():
        assert from_dataframe(frame).num_rows == len(frame)
        assert pa.Table.from_pandas(frame).column_names == list(frame.columns)


def test_views_show_themselves(engine):
    view = engine.forecast_customer(CUSTOMERS[0], AS_OF)
    shown = view.to_card(top=2).text()
    assert shown.startswith(
        f"{view.summary['customer_name']} (customer {CUSTOMERS[0]}): 2022-06-06"
    )
    for part in ("What comes next", "and", "By week, all products"):
        assert part in shown
    assert repr(view).startswith(f"<CustomerForecast of customer {CUSTOMERS[0]} (Shop ")
    portfolio = engine.forecast_portfolio([1, 2, 4711], AS_OF)
    shown = portfolio.to_card().text()
    assert shown.startswith("2 products together: 2022-06-06 to 2022-08-28")
    for part in (
        "1 product never ordered before",
        "Top movers: units in 12 weeks before",
        "Demand by week",
    ):
        assert part in shown
    assert repr(portfolio).startswith("<PortfolioForecast of 2 products, 2022-06-06 to 2022-08-28")
    assert portfolio.plot().axes[0].get_title(loc="left").startswith("2 products: weekly demand")


def test_what_is_overdue_is_marked_in_what_comes_next(database):
    """And the earliest of the products' dates is the customer's."""
    engine = ForecastEngine(database, draws=20)
    views = [engine.forecast_customer(customer_id, AS_OF) for customer_id in CUSTOMERS[:6]]
    marks = []
    for view in views:
        rows = view.to_card(None).grids[0].rows
        overdue = [product["overdue"] for product in view.products]
        assert [row[-1] for row in rows] == ["overdue" if late else "" for late in overdue]
        assert view.summary["next_order_date"] == view.products[0]["next_order_date"]
        marks += overdue
    assert {*marks} == {True, False}


def test_products_of_one_name_are_told_apart(database):
    database.execute("UPDATE dbo.Product SET Name = 'Article'")
    engine = ForecastEngine(database)
    portfolio = engine.forecast_portfolio([7, 12], AS_OF).to_card().grids[1]
    assert portfolio.heads[:2] == ("id", "product")
    assert {tuple(row[:2]) for row in portfolio.rows} == {("7", "Article"), ("12", "Article")}
    next_orders = engine.forecast_customer(CUSTOMERS[0], AS_OF).to_card().grids[0]
    ids = [row[0] for row in next_orders.rows]
    assert len(set(ids)) == len(ids) > 1


@pytest.mark.parametrize("ask", ["generate_forecasts", "forecast_portfolio", "draws"])
def test_one_number_is_no_list_of_products(engine, ask):
    with pytest.raises(ArgumentError, match="several product_ids have to be given as a list, got"):
        getattr(engine, ask)(7, AS_OF)


def test_rare_orders_by_week_are_not_shown_as_none(database):
    portfolio = ForecastEngine(database).forecast_portfolio([12], AS_OF)
    shown = [row[2] for row in portfolio.to_card().grids[0].rows]
    assert shown == [f"{week['expected_orders']:,.1f}" for week in portfolio.weekly_forecasts]


def test_names_are_shown_as_they_are(database):
    hostile = "<script>x</script>[red]\n" + "n" * 200
    for table in ("Client", "Product"):
        database.execute(f"UPDATE dbo.{table} SET Name = ?", [hostile])
    engine = ForecastEngine(database, clock=lambda: NOON)
    for result in (
        engine.forecast_customer(CUSTOMERS[0], AS_OF), engine.forecast_portfolio(None, AS_OF),
    ):  # fmt: skip
        card = result.to_card()
        assert "<script>" not in card.html()
        assert "[red]" in card.text()
        assert "n" * 200 not in card.text(width=1000)
        assert "\n" not in repr(result)
