"""Pages that a release alone answers: what they show, and what they let nobody do."""

import gzip
import re

import httpx
import pytest
from plotly.offline import get_plotlyjs

from tests.cache.conftest import until
from tests.conftest import AS_OF
from tests.service.conftest import running
from tests.service.explorer.conftest import HOSTILE, Html, page
from toolkit.cache.releases.catalog import Releases
from toolkit.service.explorer.browse import PAGE
from toolkit.sources.generator import FIRST_CUSTOMER_ID

RELEASE = "1-2022-06-06"
CUSTOMER = f"/customers/{FIRST_CUSTOMER_ID}"
PATHS = (
    "/",
    "/search",
    "/search?q=1",
    "/products",
    "/products/1",
    "/products/99",
    "/products/1/why",
    "/products/1/what-if?demand=20",
    CUSTOMER,
    "/at-risk",
    "/releases",
    "/versions",
)
PROBLEMS = {
    "/products/12345": 404,
    "/products/": 404,
    "/products/1/": 404,
    "/products/1/nothing": 404,
    "/products/1/why/": 404,
    "/customers/": 404,
    "/customers/7": 404,
    "/assets/nothing.js": 404,
    "/assets/%2e%2e/page.css": 404,
    "/at-risk?offset=x": 422,
    "/products?offset=-1": 422,
    "/products?offset=99999999999": 422,
    "/search?" + "&".join(f"a{i}=1" for i in range(30)): 422,
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def test_a_product_is_drawn_and_told_in_a_table(http, forecasts):
    made, found = forecasts[1], page(http, "/products/1")
    weeks, summary = made["weekly_forecasts"], made["summary"]
    drawn = found.traces
    assert drawn["mean"]["y"] == [week["demand"]["expected_quantity"] for week in weeks]
    assert drawn["mean"]["x"] == [week["week_start_date"] for week in weeks]
    upper = [week["demand"]["quantity_quantiles"]["q95"] for week in weeks]
    lower = [week["demand"]["quantity_quantiles"]["q05"] for week in weeks]
    assert drawn["90 %"]["y"] == upper + lower[::-1]
    assert "ordered before" not in drawn
    assert f"{summary['expected_quantity']:,.0f}" in found.text["b"]
    for week in weeks:
        assert week["week_start_date"] in found.words
        assert f"{week['demand']['expected_quantity']:,.0f}" in found.text["td"]
    for customer in made["top_customers_by_volume"]:
        assert customer["customer_name"].removesuffix(HOSTILE) in found.words
    assert f"release {RELEASE}" in found.words
    assert "As of 2022-06-06" in found.words
    assert "pair_conjugate@" in found.words
    assert "What was ordered before: `toolkit serve --db FILE` shows it" in found.words
    described = next(one for one in found.all("div") if one.get("class") == "plot")
    assert any(one.get("id") == described["aria-describedby"] for _, one in found.elements)


def test_the_next_orders_stand_on_their_days(http, forecasts):
    found = page(http, "/products/1")
    days = [one["datetime"] for one in found.all("time")]
    assert days == sorted(days)
    assert days[0] == "2022-06-06"
    next_orders = {
        row["next_order_date"]
        for row in forecasts[1]["top_customers_by_volume"]
        if row["next_order_date"] is not None and row["next_order_date"] < "2022-08-29"
    }
    assert next_orders
    assert next_orders <= set(days)


def test_nothing_to_forecast_is_a_sentence(http):
    assert "by 2022-06-06 nobody had ordered it" in page(http, "/products/99").words


def test_names_are_text(http):
    for path in PATHS:
        text = http.get(path).text
        for part in ("<img", "<script>window", "onerror=window.hacked=1>"):
            assert part not in text, path
    assert page(http, "/products/1").text["h1"] == HOSTILE
    found = page(http, "/search", params={"q": HOSTILE})
    assert found.text["em"] == HOSTILE
    assert HOSTILE in [one.get("value") for one in found.all("input")]


@pytest.mark.parametrize("path", [*PATHS, *PROBLEMS])
def test_a_page_loads_and_runs_nothing_of_others(http, path):
    answer = http.get(path)
    assert answer.status_code == PROBLEMS.get(path, 200)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    found = Html(answer.text)
    places = [one.get("src", one.get("href", one.get("action"))) for _, one in found.elements]
    for place in filter(None, places):
        assert re.match(r"/(?!/)|#|data:,$", place), place
    for tag, one in found.elements:
        assert not {"style", "srcset"} & set(one), (tag, one)
        assert not [name for name in one if name.startswith("on")], (tag, one)
        if tag == "script" and "src" not in one:
            assert one == {"type": "application/json"}


@pytest.mark.parametrize("path", [*PATHS, *PROBLEMS])
def test_a_page_can_be_read_without_seeing_it(http, path):
    found = Html(http.get(path).text)
    assert found.all("html") == [{"lang": "en"}]
    assert found.text["title"].strip()
    assert len(found.all("h1")) == 1
    assert found.all("a")[0] == {"class": "skip", "href": "#main"}
    assert {"id": "main", "tabindex": "-1"} in found.all("main")
    labelled = {one["for"] for one in found.all("label")}
    for tag in ("input", "select"):
        assert {one["id"] for one in found.all(tag)} <= labelled
    for one in found.all("div"):
        if one.get("role") == "region":
            assert one["aria-label"]
    ids = [one["id"] for _, one in found.elements if "id" in one]
    assert len(ids) == len(set(ids))


def test_what_a_page_lacks_is_one_sentence(http):
    for path in ("/products/1/why", "/products/1/what-if", CUSTOMER):
        assert "`toolkit serve --db FILE` shows it" in page(http, path).words
    for path in ("/versions", "/releases"):
        assert "`toolkit serve --store ADDRESS` shows them" in page(http, path).words
    assert "Found by id or code only" in page(http, "/search?q=x").words


def test_products_are_listed_and_found(http, forecasts):
    found = page(http, "/products")
    links = [one["href"] for one in found.all("a") if one["href"].startswith("/products/")]
    assert links == [f"/products/{i}" for i in sorted([*forecasts, 99])]
    units = f"{forecasts[2]['summary']['expected_quantity']:,.0f}"
    assert units in found.text["td"]
    second = page(http, "/products?offset=12")
    assert "Rows 13 to 13 of 13" in second.words
    assert [one["href"] for one in second.all("a") if one.get("rel") == "prev"] == [
        "/products?offset=0"
    ]
    asked = page(http, "/search?q=%207%20")
    assert "/products/7" in [one["href"] for one in asked.all("a")]
    assert "Nothing is called like that" in page(http, "/search?q=12345").words


def test_customers_at_risk_come_with_their_product(http):
    said = http.get("/v1/at-risk", params={"limit": PAGE}).json()
    rows, total = said["customers"], said["total"]
    assert len(rows) > 5
    found = page(http, "/at-risk")
    assert f"Rows 1 to {len(rows)} of {total}" in found.words
    links = [one["href"] for one in found.all("a") if one["href"].startswith("/products/")]
    assert links == [f"/products/{row['product_id']}" for row in rows]
    for row in rows:
        assert row["risk_reason"] in found.words
    first = page(http, "/")
    assert f"All {total} customers at risk" in first.words
    assert page(http, "/at-risk?offset=9999").words.count("There is nothing to list here.") == 1


def test_a_customer_has_a_page(http):
    """What `/v1/customers` says of them, and the ways there."""
    said = http.get(f"/v1{CUSTOMER}").json()["forecast"]
    found = page(http, CUSTOMER)
    assert found.text["h1"] == said["summary"]["customer_name"]
    links = [one["href"] for one in found.all("a")]
    days = {one["datetime"] for one in found.all("time")}
    end = said["summary"]["forecast_end_date"]
    for product in said["products"]:
        assert f"/products/{product['product_id']}" in links
        assert f"{product['expected_quantity']:,.0f}" in found.text["td"]
        if product["overdue"]:
            assert product["risk_reason"] in found.words
        if product["next_order_date"] and product["next_order_date"] <= end:
            assert product["next_order_date"] in days
    assert not [link for link in links if "/why" in link]
    assert "knows no customer '7'" in page(http, "/customers/7", 404).words
    assert CUSTOMER in [one["href"] for one in page(http, "/at-risk").all("a")]
    asked = page(http, f"/search?q={FIRST_CUSTOMER_ID}")
    assert CUSTOMER in [one["href"] for one in asked.all("a")]


def test_a_customer_whose_products_were_taken_out(server, service, publish_to):
    """The release still knows them, and says so."""
    publish_to(server)
    with service.client() as http:
        assert until(service.ready)
        said = http.get(f"/v1{CUSTOMER}").json()["forecast"]
        Releases(server.client()).invalidate([one["product_id"] for one in said["products"]])
        found = page(http, CUSTOMER)
        assert f"All that customer {FIRST_CUSTOMER_ID} ordered was taken out" in found.words


@pytest.mark.slow
def test_what_changes_is_told_at_once(server, service, publish_to, publish):
    """Another release, an invalidated product, and records of another toolkit."""
    first = publish_to(server)
    with service.client() as http:
        assert until(lambda: f">{first.release_id}</a>" in http.get("/releases").text)
        Releases(server.client()).invalidate([1])
        assert "does not serve product '1'" in page(http, "/products/1", 404).words
        second = publish(as_of=AS_OF)
        assert until(lambda: f">{second.release_id}</a>" in http.get("/releases").text)
        found = page(http, "/releases")
        assert found.text["th"].endswith(f"{second.release_id}{first.release_id}")
        assert found.text["td"].count("current") == found.text["td"].count("kept") == 1
        said = page(http, "/products/1", 500).words
        assert "The record of product 1 is not one that this page can show" in said
        assert "/products/1" in [one["href"] for one in page(http, "/products").all("a")]
        assert "Nobody is at risk" in page(http, "/").words


@pytest.mark.slow
def test_pages_say_what_the_cache_does_not_tell(own_server, publish_to, forecasts):
    """Without a release, with one, and once the server is gone."""
    with running(own_server.url, "--patience", 0.5) as found, found.client() as http:
        for path in ("/", "/products", "/at-risk", "/releases", "/products/1"):
            said = page(http, path, 503).words
            assert "The cache holds no release: `toolkit export` makes one." in said
        publish_to(own_server)
        assert until(found.ready)
        for path in ("/products/1", "/"):
            assert "has not confirmed" not in page(http, path).words
        own_server.close()
        assert until(lambda: not found.ready())
        assert "the cache has not confirmed this" in page(http, "/products/1").words
        assert page(http, "/products/9", 503).text["h1"] == "Service Unavailable"
        assert page(http, "/at-risk", 503)
        assert "the cache has not confirmed this" in page(http, "/").words


def test_files_of_pages_are_our_own_and_stay(http):
    found = page(http, "/products/1")
    paths = [one["src"] for one in found.all("script") if "src" in one]
    paths += [one["href"] for one in found.all("link") if one.get("rel") == "stylesheet"]
    assert len(paths) == 5
    for path in paths:
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
    plotly = next(path for path in paths if "plotly" in path)
    plain = http.get(plotly, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == get_plotlyjs()


def test_pages_are_packed_and_only_read(site, http):
    with httpx.stream("GET", f"{site.url}/products/1", trust_env=False) as answer:
        packed = b"".join(answer.iter_raw())
    assert gzip.decompress(packed).startswith(b"<!doctype html>")
    assert len(packed) < 20_000
    assert http.head("/products/1").status_code == 200
    refused = http.post("/products/1")
    assert refused.status_code in {404, 405}
    assert refused.headers["content-type"] == "application/problem+json"
