"""The page of the versions, before a store that holds some, and the history beside it."""

from datetime import date

import pytest

from backtests.evidence.gate import Gate
from tests.cache.conftest import until
from tests.service.conftest import running
from tests.service.explorer.conftest import page
from tests.tracking.fits import WARNING, rhythm_fit
from toolkit.cache.server import embedded_server
from toolkit.model import default_model
from toolkit.service.explorer.shelf import MOST_BACKTESTS
from toolkit.tracking.promotion import promote
from toolkit.tracking.registration import register_fit
from toolkit.tracking.runs import DESCRIPTION_TAG, TrackedBacktest, TrackedRun, log_backtest
from toolkit.tracking.store import open_store

pytestmark = pytest.mark.slow  # a store is filled, and a service started

DAY = date(2022, 6, 6)
SAID = "- **rhythm** is better on <log loss>, by 3 %\n- **pair_conjugate** is level on the rest"


def backtest(key: str, loss: float) -> TrackedBacktest:
    """Two versions at a date; one of them has a score more."""
    return TrackedBacktest(
        name=f"versions <{key}>",
        key=key,
        data={"sha256": "ab" * 32},
        code_version="c0de",
        metrics={
            "rhythm/pair/log_loss": loss,
            "pair_conjugate/pair/log_loss": 0.5,
            "rhythm/product_week/pit_ks": 0.0123,
        },
        tags={"complete": "true", DESCRIPTION_TAG: SAID if key == "7f" else ""},
        runs=tuple(TrackedRun(label, DAY) for label in ("rhythm", "pair_conjugate")),
    )


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('versions') / 'mlflow.db'}"
    store = open_store(uri)
    register_fit(store, default_model())
    register_fit(store, rhythm_fit(warnings=(WARNING,)))
    promote(store, "1", Gate(), force=True, reason="<for> a test")
    for number in range(MOST_BACKTESTS):
        log_backtest(store, backtest(f"{number}a", 0.4))
    log_backtest(store, backtest("7f", 0.3456))
    return uri


def test_versions_their_comparison_and_promotions_are_told(publish_to, uri):
    with embedded_server() as server, running(server.url, "--store", uri) as found:
        publish_to(server)
        assert until(found.ready)
        with found.client() as http:
            http.timeout = 120  # the store's library is loaded
            told, history = page(http, "/versions"), page(http, "/releases")
    rows = told.words
    newest = rows.index(f"2rhythm@{rhythm_fit().version}")  # number and fit, cells side by side
    assert newest < rows.index("1pair_conjugate@")
    assert "champion" in rows
    assert "needs no fit" in rows
    assert WARNING in rows
    assert rows.index("versions <7f> 7f") < rows.index("versions <4a> 4a")
    assert "versions <0a>" not in rows  # the five that began last
    assert "rhythm is better on <log loss>, by 3 %" in rows
    assert rows.count("No two versions were compared.") == MOST_BACKTESTS - 1
    assert "pair: log loss0.50.3456" in rows
    assert "product week: pit ks–0.0123" in rows
    assert "No backtest is logged." not in rows
    assert "<for> a test" in history.words
    assert f"pair_conjugate@{default_model().version}" in history.words
