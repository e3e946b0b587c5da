"""A release of real forecasts, with names that hold markup, and what a page is made of."""

import json
from html.parser import HTMLParser

import duckdb
import pytest

from tests.browser import browser
from tests.cache.conftest import PATIENT_S, until
from tests.conftest import AS_OF, NOON, known_products
from tests.service.conftest import running
from toolkit.cache.releases.catalog import Releases, ReleaseSpec
from toolkit.cache.server import embedded_server
from toolkit.cli.app import run
from toolkit.engine import ForecastEngine
from toolkit.sources.generator import load_orders
from toolkit.stages.discovery import discover
from toolkit.views.forecasts import pairs_by_product

__all__ = ["browser"]

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'&"
"""The name of product 1, and the end of every customer's."""

VOID = {"input", "link", "meta", "br", "img", "hr"}


class Html(HTMLParser):
    """A page's elements, its links, its text, and the JSON in its scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text, self.data, self.said = [], [], {}, [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        tag = self.open[-1] if self.open else ""
        if tag == "script":
            self.data.append(json.loads(data))
        else:
            self.said.append(data)
        self.text[tag] = self.text.get(tag, "") + data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        """All that a person reads."""
        return " ".join("".join(self.said).split())

    @property
    def traces(self):
        """What the chart draws, by name."""
        return {trace.get("name", ""): trace for trace in self.data[0]["data"]}


def page(http, path, status=200, **more):
    answer = http.get(path, **more)
    assert answer.status_code == status, (path, answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Html(answer.text)


def name_hostile(conn):
    conn.execute("UPDATE dbo.Product SET Name = ? WHERE ID = 1", [HOSTILE])
    conn.execute("UPDATE dbo.Client SET Name = Name || ?", [HOSTILE])


@pytest.fixture(scope="session")
def predicted(orders):
    """Forecasts by product, and what is said of the pairs of each."""
    with duckdb.connect() as conn:
        load_orders(orders, conn)
        name_hostile(conn)
        engine = ForecastEngine(conn, clock=lambda: NOON)
        made = engine.generate_forecasts(known_products(conn), AS_OF)
        patterns, _ = engine.pattern_analyzer.analyze(discover(engine.source, AS_OF, list(made)))
        predictions, _ = engine.predictor.predict(patterns)
        chooser = engine.thresholds_at(AS_OF).chooser(None, None)
        pairs = pairs_by_product(predictions, chooser)
    assert all(made.values())
    return {i: forecast.to_dict() for i, forecast in made.items()}, pairs


@pytest.fixture(scope="session")
def forecasts(predicted):
    return predicted[0]


@pytest.fixture(scope="session")
def publish_to(predicted):
    """Make the release of all forecasts current; product 99 has nothing to forecast."""

    forecasts, pairs = predicted

    def made(server):
        metadata = forecasts[1]["model_metadata"]
        names = ("model_name", "model_version", "draws", "seed")
        computed_with = {"forecast_weeks": 12, **{name: metadata[name] for name in names}}
        details = {"model": f"{metadata['model_name']}@{metadata['model_version']}"}
        spec = ReleaseSpec(AS_OF, computed_with, [*forecasts, 99], details=details)
        with Releases(server.client()).stage(spec, lock_s=PATIENT_S) as staging:
            staging.put({**forecasts, 99: None}, pairs=pairs)
            return staging.publish()

    return made


@pytest.fixture(scope="session")
def site(publish_to):
    """A service before a server of its own, which holds that release for as long as tests run."""
    with embedded_server() as server:
        publish_to(server)
        with running(server.url) as found:
            assert until(found.ready)
            yield found


@pytest.fixture
def http(site):
    with site.client() as client:
        yield client


@pytest.fixture(scope="session")
def place(orders, tmp_path_factory):
    """Orders, a fit that explains, registered, and a release of it."""
    place = tmp_path_factory.mktemp("explorer")
    with duckdb.connect(str(place / "orders.duckdb")) as conn:
        load_orders(orders, conn)
        name_hostile(conn)
    return place


@pytest.fixture(scope="session")
def cache(place):
    asked = ("--db", "orders.duckdb", "--as-of", str(AS_OF))
    fit = ("fit", "rhythm", "--method", "laplace", "--pairs", "300", *asked)
    with embedded_server() as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
            assert run(fit) == 0
            assert run(["register", "rhythm"]) == 0
            assert run(["export", *asked, "--version", "rhythm", "--redis", server.url]) == 0
        yield server


@pytest.fixture(scope="session")
def explorer(cache, place):
    db, store = place / "orders.duckdb", f"sqlite:///{place}/mlflow.db"
    with running(cache.url, "--db", db, "--store", store) as found:
        assert until(found.ready)
        yield found
