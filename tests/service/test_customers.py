"""Customers: their view out of a release, and all who are at risk, against what the engine says."""

import json
from datetime import timedelta

import pytest

from tests.cache.conftest import until
from tests.conftest import AS_OF, add_line
from toolkit.cache.names import CUSTOMER_COUNT, at_risk_key, customers_key, meta_key, pairs_key
from toolkit.cache.releases.catalog import Releases
from toolkit.export.job import ExportSettings, export_release
from toolkit.sources.generator import FIRST_CUSTOMER_ID

LATER = AS_OF + timedelta(7)
CUSTOMER = FIRST_CUSTOMER_ID


@pytest.fixture
def export(engine, server, service):
    def made(as_of=AS_OF, **settings):
        report = export_release(engine, server.client(), ExportSettings(as_of, **settings))
        assert until(service.ready, 5)
        return report.release

    return made


def view(http, customer_id, **options):
    answer = http.get(f"/v1/customers/{customer_id}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def dated(products):
    """The products as the engine has them, and as of which date each is."""
    return [
        {name: value for name, value in one.items() if name != "as_of_date"} for one in products
    ], {one["product_id"]: one["as_of_date"] for one in products}


def test_a_customers_view_is_the_engines_to_the_last_bit(engine, http, export):
    release = export()
    for customer_id in range(CUSTOMER, CUSTOMER + 8):
        expected = engine.forecast_customer(customer_id, AS_OF)
        if expected is None:
            assert http.get(f"/v1/customers/{customer_id}").status_code == 404
            continue
        said = view(http, customer_id)
        assert (said["customer_id"], said["release"]) == (customer_id, release)
        products, dates = dated(said["forecast"]["products"])
        assert products == expected.to_dict()["products"]
        assert said["forecast"]["summary"] == expected.summary
        assert said["forecast"]["forecast_period_weeks"] == 12
        assert set(dates.values()) == {str(AS_OF)}


def test_everybody_at_risk_is_listed_the_gravest_first(engine, http, export):
    export()
    some = range(CUSTOMER, CUSTOMER + 12)
    found = [engine.forecast_customer(i, AS_OF) for i in some]
    expected = {
        (product["product_id"], one.customer_id): product["risk_reason"]
        for one in filter(None, found)
        for product in one.products
        if product["risk_reason"] is not None
    }
    said = http.get("/v1/at-risk", params={"limit": 1000}).json()
    rows = said["customers"]
    assert said["total"] == len(rows) > 50
    ours = [row for row in rows if row["customer_id"] in some]
    assert {(r["product_id"], r["customer_id"]): r["risk_reason"] for r in ours} == expected
    assert [r["p_alive"] for r in rows] == sorted(r["p_alive"] for r in rows)
    listed = engine.generate_forecast(rows[0]["product_id"], AS_OF).to_dict()["at_risk_customers"]
    own = [r for r in rows if r["product_id"] == rows[0]["product_id"]]
    name = engine.source.products(AS_OF, [rows[0]["product_id"]])[rows[0]["product_id"]].name
    for customer in listed:
        assert {**customer, "product_id": rows[0]["product_id"], "product_name": name} in own
    page = http.get("/v1/at-risk", params={"limit": 3, "offset": 2}).json()["customers"]
    assert page == rows[2:5]
    assert http.get("/v1/at-risk", params={"offset": 10**6}).json()["customers"] == []
    assert http.get("/v1/at-risk", params={"limit": 0}).status_code == 422


def test_what_was_carried_over_keeps_its_date_and_what_was_invalidated_is_left_out(
    engine, database, server, http, export
):
    export()
    ordered = engine.source.ordered_products(AS_OF, [CUSTOMER])
    some = range(CUSTOMER + 1, CUSTOMER + 60)
    theirs = {i: {*engine.source.ordered_products(AS_OF, [i])} & {*ordered} for i in some}
    other = next(i for i, shared in theirs.items() if 0 < len(shared) < len(ordered))
    second = export(LATER, customer_ids=[other])
    assert until(lambda: view(http, CUSTOMER)["release"] == second, 5)
    fresh = set(engine.source.ordered_products(LATER, [other]))
    _, dates = dated(view(http, CUSTOMER)["forecast"]["products"])
    assert set(dates) == set(ordered)
    assert dates == {i: str(LATER if i in fresh else AS_OF) for i in ordered}
    total = http.get("/v1/at-risk").json()["total"]
    assert total > 0

    assert Releases(server.client()).invalidate(ordered[:1]) == 1
    left = view(http, CUSTOMER)["forecast"]["products"]
    assert {one["product_id"] for one in left} == set(ordered[1:])
    rows = http.get("/v1/at-risk", params={"limit": 1000}).json()["customers"]
    assert ordered[0] not in {row["product_id"] for row in rows}
    assert Releases(server.client()).invalidate(customer_ids=[CUSTOMER]) == len(ordered) - 1
    assert view(http, CUSTOMER)["forecast"] is None
    assert http.get(f"/v1/forecasts/{ordered[1]}").status_code == 404
    assert Releases(server.client()).invalidate(customer_ids=[1]) == 0

    keys = [customers_key(second), at_risk_key(second), pairs_key(second, ordered[0])]
    export(LATER)
    Releases(server.client()).clean(keep=0)
    assert not server.client().exists(*keys)


def test_tags_encodings_and_codes(http, export, database):
    export()
    plain = http.get(f"/v1/customers/{CUSTOMER}", headers={"accept-encoding": "identity"})
    packed = http.get(f"/v1/customers/{CUSTOMER}", headers={"accept-encoding": "gzip"})
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", plain.content)
    assert packed.headers["etag"] != plain.headers["etag"]
    assert plain.headers["cache-control"] == "private, max-age=60, stale-if-error=86400"
    tag = {"if-none-match": plain.headers["etag"], "accept-encoding": "identity"}
    same = http.get(f"/v1/customers/{CUSTOMER}", headers=tag)
    assert (same.status_code, same.content) == (304, b"")
    assert http.head(f"/v1/customers/{CUSTOMER}").status_code == 200
    for path, status in (("5", 404), ("%20", 404), ("x/y", 404), ("%ff", 404), (19 * "9", 404)):
        assert http.get(f"/v1/customers/{path}").status_code == status
    assert http.post(f"/v1/customers/{CUSTOMER}").status_code == 405


def test_without_a_release_or_what_it_should_tell(server, http, export):
    assert http.get(f"/v1/customers/{CUSTOMER}").status_code == 503
    release = export()
    client = server.client()
    product_id = view(http, CUSTOMER)["forecast"]["products"][0]["product_id"]
    key, field = pairs_key(release, product_id), str(CUSTOMER)
    row = client.hget(key, field)
    for damaged in (b"x", b"", row[:-4], b"\xff"):
        client.hset(key, field, damaged)
        assert http.get(f"/v1/customers/{CUSTOMER}").status_code == 503
    client.delete(key)
    lost = http.get(f"/v1/customers/{CUSTOMER}")
    assert (lost.status_code, "does not tell what it should" in lost.text) == (503, True)
    client.delete(at_risk_key(release), customers_key(release))
    assert http.get("/v1/at-risk").status_code == 503
    assert http.get("/v1/customers/5").status_code == 503
    client.hdel(meta_key(release), CUSTOMER_COUNT)  # as an earlier version made it
    assert http.get(f"/v1/customers/{CUSTOMER}").status_code == 503


def test_orders_at_or_after_the_as_of_date_change_nothing_of_customers(
    engine, database, server, http, export
):
    first = export()
    client = server.client()

    def said(release):
        pairs = {i: client.hgetall(pairs_key(release, i)) for i in range(1, 13)}
        risk = client.lrange(at_risk_key(release), 0, -1)
        return pairs, client.hgetall(customers_key(release)), risk

    before = said(first)
    for day in (0, 3, 50):
        add_line(database, product_id=1, customer_id=CUSTOMER, day=day, price=99.0)
    assert said(export()) == before
    assert json.loads(before[1][str(CUSTOMER).encode()])["products"]
