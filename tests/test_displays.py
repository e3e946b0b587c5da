"""What results show of themselves: in a notebook, in a terminal, as figures."""

import base64
import io
import subprocess
import sys
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure as Drawn
from matplotlib.text import Text
from nbclient import NotebookClient
from rich.console import Console

from backtests.compare.comparison import compare_versions
from backtests.thresholds.choice import ThresholdChoice, choose_thresholds
from models.parts.fitting.posterior_file import Fit
from tests.backtests.helpers import make_run
from tests.conftest import AS_OF
from tests.tracking.fits import APPROXIMATE, WARNING, rhythm_fit
from toolkit.card import Card, Figure, Grid, Span
from toolkit.errors import ArgumentError, ModelError
from toolkit.model import find_model
from toolkit.results.forecast import ProductForecast
from toolkit.results.pair import CustomerPrediction, CustomerProductPattern
from toolkit.sources.sql import as_source
from toolkit.tracking.registry import ModelVersionRef
from toolkit.validation import parse

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=hack()>[red]&\"'$x$"
OURS = {"div", "style", "h4", "h5", "p", "b", "span", "table", "thead", "tbody", "tr", "th",
        "td", "strong", "svg", "line", "rect"}  # fmt: skip
CHECK = {
    "statistic": HOSTILE, "observed": 0.5, "prior_90": [0.1, 0.9], "posterior_90": [0.4, 0.6],
    "tail_p": None,
}  # fmt: skip
SHORT = 300  # characters


class Page(HTMLParser):
    """The tags of a piece of HTML, and its text."""

    def __init__(self, html):
        super().__init__()
        self.opened, self.closed, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)

    def handle_endtag(self, tag):
        self.closed.append(tag)

    def handle_data(self, data):
        self.text += data


def page_of(shown) -> Page:
    """What a notebook shows of it: nothing but our own tags, all of them closed."""
    page = Page(shown._repr_html_())
    assert set(page.opened) <= OURS
    empty = {"line", "rect"}
    assert sorted(t for t in page.opened if t not in empty) == sorted(
        t for t in page.closed if t not in empty
    )
    return page


@pytest.fixture
def forecast(engine) -> ProductForecast:
    return engine.generate_forecast(1, AS_OF)


@pytest.fixture
def hostile(database, engine) -> ProductForecast:
    for table in ("Product", "Client"):
        database.execute(f"UPDATE dbo.{table} SET Name = ?", [HOSTILE])
    return engine.generate_forecast(1, AS_OF)


@pytest.mark.parametrize("name", ["x" * 2_000_000, "a\nb\tc " * 300_000, "\x1b[2J" * 300_000])
def test_a_name_of_two_million_characters_is_shown_in_a_line(database, engine, name):
    for table in ("Product", "Client"):
        database.execute(f"UPDATE dbo.{table} SET Name = ?", [name])
    forecast = engine.generate_forecast(1, AS_OF)
    card = forecast.to_card()
    for shown in (card.html(), card.text(), repr(forecast)):
        assert len(shown) < 30_000
        assert "\x1b" not in shown
    assert max(len(text.get_text()) for text in forecast.plot().findobj(Text)) < 1000
    first = card.title.split(" (product")[0]
    assert first.endswith("…")
    assert "\n" not in first
    assert forecast.summary["product_name"] == name  # whole, in what is saved


@pytest.fixture
def patterns(database, engine):
    source = as_source(database)
    return engine.pattern_analyzer.analyze(source.order_events(AS_OF, [1]))[0]


@pytest.fixture
def pattern(patterns) -> CustomerProductPattern:
    return CustomerProductPattern.from_patterns(patterns, 0)


@pytest.fixture
def prediction(engine, patterns) -> CustomerPrediction:
    predictions, _ = engine.predictor.predict(patterns)
    return CustomerPrediction.from_tables(patterns, predictions.pairs, 0)


@pytest.fixture(scope="module")
def run():
    small = {"pairs": 300, "customers": 60, "products": 12, "dates": 3}
    return make_run(np.random.default_rng(7), {"good": 0.2, HOSTILE: 0.9}, **small)


@pytest.fixture(scope="module")
def comparison(run):
    return compare_versions(run, scores=["log_loss", "wape_median"], resamples=50)


@pytest.fixture(scope="module")
def choice(run) -> ThresholdChoice:
    return choose_thresholds(run, HOSTILE)


@pytest.fixture(scope="module")
def fit() -> Fit:
    """``rhythm`` with draws from anywhere, warnings and a hostile check."""
    made, rng = rhythm_fit(warnings=(WARNING, HOSTILE)), np.random.default_rng(1)
    arrays = {
        name: rng.standard_normal((60, *array.shape[1:]), dtype=np.float32)
        for name, array in made.arrays.items()
    }
    return replace(made, card=replace(made.card, checks=[CHECK]), arrays=arrays)


@pytest.fixture
def reference() -> ModelVersionRef:
    tags = {"converged": "false", "warnings": f"{WARNING}\n{HOSTILE}"}
    return ModelVersionRef(3, "rhythm", "2-0123abcd", HOSTILE, ("champion",), tags)


def test_an_approximate_fit_is_named_that_and_not_as_chains_that_did_not_converge():
    tags = {"converged": "false", "warnings": APPROXIMATE}
    registered = ModelVersionRef(3, "rhythm", "2-0123abcd", "a", (), tags)
    for shown in (rhythm_fit(warnings=(APPROXIMATE,)).card, registered):
        assert shown.to_card().warnings == [
            "APPROXIMATE: by Laplace's method (k-hat 0.31): for a first look"
        ]


def rich_text(shown) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(shown)
    return console.export_text()


def test_a_forecast_shows_weeks_customers_and_risks(forecast):
    page = page_of(forecast)
    summary = forecast.summary
    interval = summary["quantity_quantiles"]
    for part in (
        "Article 1", f"{summary['expected_quantity']:,.0f}", f"{summary['expected_revenue']:,.0f}",
        f"80 %: {interval['q10']:,.0f} to {interval['q90']:,.0f}",
        *(week["week_start_date"] for week in forecast.weekly_forecasts),
        *(one["customer_name"] for one in forecast.top_customers_by_volume[:10]),
        *(one["risk_reason"] for one in forecast.at_risk_customers[:10]),
    ):  # fmt: skip
        assert part in page.text
    assert page.opened.count("svg") == 12


def test_names_are_text_whatever_they_hold(hostile, comparison, choice, fit, reference):
    for shown in (hostile, comparison, choice, fit, reference):
        assert HOSTILE in page_of(shown).text


def test_a_forecast_that_knows_the_future_says_so(forecast):
    metadata = forecast.model_metadata | {"knows_the_future": True, "failed_pairs": 2}
    page = page_of(replace(forecast, model_metadata=metadata))
    assert "do not score it" in page.text
    assert "2 pairs failed" in page.text
    assert "do not score" not in page_of(forecast).text


def test_a_forecast_without_quantiles_is_shown_without_drawings(forecast):
    weeks = [
        week | {"demand": week["demand"] | {"quantity_quantiles": None}}
        for week in forecast.weekly_forecasts
    ]
    bare = replace(
        forecast, weekly_forecasts=weeks, at_risk_customers=[],
        summary=forecast.summary | {"quantity_quantiles": None},
    )  # fmt: skip
    page = page_of(bare)
    assert "svg" not in page.opened
    assert "Customers at risk" not in page.text
    with pytest.raises(ArgumentError, match="product 1 has no quantiles"):
        bare.plot()


def test_a_pair_shows_its_orders_and_what_comes_next(pattern, prediction, patterns):
    text = page_of(pattern).text
    assert f"Customer {pattern.customer_id}, product 1" in text
    assert str(pattern.order_dates[-1]) in text
    assert str(prediction.next_order_date) in page_of(prediction).text
    text = page_of(patterns).text
    assert f"{len(patterns)} pairs" in text
    assert f"{patterns.customer_id[0]}" in text


def test_a_pair_with_one_order_is_shown(patterns):
    single = patterns.events.where(np.arange(len(patterns.events)) == 0)
    pattern = CustomerProductPattern.from_patterns(type(patterns).of(single), 0)
    assert "–" in page_of(pattern).text
    assert "1 order," in repr(pattern)
    assert isinstance(pattern.plot_timeline(), Drawn)


def test_a_terminal_gets_one_line(forecast, pattern, prediction, patterns, comparison, choice,
                                  fit, reference):  # fmt: skip
    for shown in (forecast, pattern, prediction, patterns, comparison, choice, fit, reference):
        assert len(repr(shown)) < SHORT
        assert "\n" not in repr(shown)
    assert "product 1 (Article 1)" in repr(forecast)
    assert WARNING in repr(fit)
    assert str(reference) == "inter-order version 3 (rhythm@2-0123abcd)"
    assert len(repr(find_model("rhythm"))) < SHORT
    assert len(repr(fit.card)) < 2 * SHORT


def test_rich_prints_the_tables_of_the_command_line(hostile, comparison, choice, reference):
    for part in ("Demand by week", "Top customers", "Customers at risk", HOSTILE):
        assert part in rich_text(hostile)
    assert f"{HOSTILE} − good" in rich_text(comparison).replace("\n", "")
    assert str(choice) in rich_text(choice).replace("\n", " ")
    assert WARNING in rich_text(reference)


def test_what_is_shown_changes_no_equality_and_no_data(forecast, pattern, choice):
    assert ProductForecast.from_dict(forecast.to_dict()) == forecast
    assert replace(pattern) == pattern != replace(pattern, total_orders=99)
    assert hash(replace(pattern)) == hash(pattern)
    assert parse(ThresholdChoice, choice.to_dict(), "choice") == choice


def test_every_figure_is_returned_and_none_is_left_open(forecast, pattern, prediction, fit):
    figures = [
        forecast.plot(),
        forecast.plot([3.0] * 12),
        pattern.plot_timeline(),
        pattern.plot_timeline(prediction),
        fit.plot_population(),
        fit.plot_population(["decline", "dip"]),
        fit.plot_checks(),
    ]
    for figure in figures:
        assert isinstance(figure, Drawn)
        figure.draw_without_rendering()
    assert plt.get_fignums() == []
    assert figures[0]._repr_png_().startswith(b"\x89PNG")
    drawn = {axes.get_title() for axes in figures[5].axes}
    assert {"decline", "dip[0]", "dip[3]"} <= drawn


def test_a_figure_draws_the_numbers_of_the_forecast(forecast, pattern, prediction):
    actual = [float(week) for week in range(12)]
    lines = {line.get_label(): line for line in forecast.plot(actual).axes[0].lines}
    medians = [w["demand"]["quantity_quantiles"]["q50"] for w in forecast.weekly_forecasts]
    assert lines["median"].get_ydata().tolist() == medians
    assert list(lines["ordered"].get_ydata()) == actual
    on_axis = forecast.plot().axes[0].yaxis.get_major_formatter()
    assert [on_axis(tick) for tick in (2500.0, 0.1 + 0.2)] == ["2,500", "0.3"]
    (orders, as_of, following) = pattern.plot_timeline(prediction).axes[0].lines
    days = [(day - date(1970, 1, 1)).days for day in pattern.order_dates]
    assert orders.get_xdata().tolist() == days
    assert as_of.get_xdata()[0] == (AS_OF - date(1970, 1, 1)).days
    assert following.get_xdata()[0] == (prediction.next_order_date - date(1970, 1, 1)).days


def test_what_cannot_be_drawn_is_told(forecast, pattern, prediction, fit):
    with pytest.raises(ArgumentError, match="one number for each of 12 weeks, got 3"):
        forecast.plot([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match=r"customer \d+, product 1 .*; got customer 7,"):
        pattern.plot_timeline(replace(prediction, customer_id=7))
    with pytest.raises(ArgumentError, match=r"among .*decline.*, got weight"):
        fit.plot_population(["decline", "weight"])
    with pytest.raises(ModelError, match="made no predictive checks"):
        replace(fit, card=replace(fit.card, checks=[])).plot_checks()
    many = {"effect": np.zeros((4, 99), dtype=np.float32)}
    with pytest.raises(ArgumentError, match="99 numbers, more than the 48"):
        replace(fit, arrays=many).plot_population(["effect"])


def test_a_card_without_anything_is_a_title():
    assert Page(Card("Nothing").html()).text.split()[-1] == "Nothing"
    drawn = Card("One", grids=[Grid("", ("a",), [(Span(0.0, 0.5, 1.0),)])]).html()
    assert 'x="64.0"' in drawn  # half of 130, less half of the mark


def test_a_date_or_a_short_name_stays_in_one_line_and_a_long_text_does_not():
    html = Card("One", grids=[Grid("", ("a", "b"), [("2017-07-23", "x" * 35)])]).html()
    assert '<td class="short">2017-07-23</td>' in html
    assert f"<td>{'x' * 35}</td>" in html


def test_a_terminal_is_told_nothing_but_text():
    """Control characters and turned text are written as escapes, everywhere in a card."""
    hostile = "Eve\x1b]0;PWNED\x07\x1b[2J\x9b31m\u202egnp"
    card = Card(
        hostile, hostile, [Figure(hostile, hostile, hostile)], [hostile],
        [Grid(hostile, (hostile,), [(hostile,)], note=hostile)], [hostile],
    )  # fmt: skip
    shown = card.text(400)
    assert shown.count(r"Eve\x1b]0;PWNED\x07\x1b[2J\x9b31m\u202egnp") == 11
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_a_row_that_does_not_fit_its_heads_is_refused():
    with pytest.raises(ValueError, match="2 heads, and a row of 1 cells"):
        Grid("", ("a", "b"), [("1",)])


LIGHT = """
import sys
from toolkit.results.forecast import ProductForecast
print(sorted({"matplotlib", "jinja2", "rich", "pandas", "plotly"} & set(sys.modules)))
"""


def test_types_start_without_what_shows_them():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


CELLS = """
import duckdb
import numpy as np
from datetime import date
from toolkit import ForecastEngine
from toolkit.sources.generator import Truth, generate_orders, load_orders
conn = duckdb.connect()
load_orders(generate_orders(Truth(customers=20, products=3, pairs=40, days=400), seed=5), conn)
forecast = ForecastEngine(conn).generate_forecast(1, "2022-01-03")
---
forecast
---
forecast.plot()
---
from toolkit.results.fit import FitCard
from models.parts.fitting.posterior_file import Fit
card = FitCard("rhythm", "2", "2-0123abcd", "2022-01-03", 9, 1, "", {}, {}, [])
draws = np.random.default_rng(1).standard_normal(60, dtype=np.float32)
Fit(card, {"decline": draws}).plot_population()
---
forecast.plot();
"""


@pytest.mark.slow  # a kernel of its own
def test_a_notebook_shows_each_of_them_once():
    cells = map(nbformat.v4.new_code_cell, CELLS.split("---\n"))
    book = nbformat.v4.new_notebook(cells=list(cells))
    NotebookClient(book, kernel_name="python3", timeout=120).execute()
    shown = [cell.outputs for cell in book.cells]
    assert [len(outputs) for outputs in shown] == [0, 1, 1, 1, 0]
    assert "Demand by week" in shown[1][0].data["text/html"]
    assert "units expected" in shown[1][0].data["text/plain"]
    for outputs in shown[2:4]:
        assert base64.b64decode(outputs[0].data["image/png"]).startswith(b"\x89PNG")
