"""Reads of one forecast, from the first release on."""

import json

from tests.cache.conftest import DAY, PATIENT_S, spec, until
from toolkit import ProductForecast
from toolkit.cache.releases.catalog import Releases
from toolkit.data.ids import number_of


def test_from_no_release_to_one_and_the_next(server, service, http, publish):
    assert http.get("/livez").json() == {"status": "alive"}
    unready = http.get("/readyz")
    assert unready.status_code == 503
    assert unready.headers["content-type"] == "application/problem+json"
    assert "the cache holds no release" in unready.json()["detail"]
    early = http.get("/v1/forecasts/3")
    assert early.status_code == 503
    assert early.json() == {
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The cache holds no release: `toolkit export` makes one.",
    }

    first = publish(mark="one")
    assert until(service.ready, 3)
    answer = http.get("/v1/forecasts/3")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["product_id"], said["release"]) == (3, first.release_id)
    forecast = ProductForecast.from_dict(said["forecast"])
    assert forecast.model_metadata["mark"] == "one"
    assert answer.headers["forecast-release"] == first.release_id
    assert 0 <= int(answer.headers["forecast-age"]) < 60
    assert "forecast-stale" not in answer.headers
    assert answer.headers["cache-control"] == "private, max-age=60, stale-if-error=86400"

    stored = server.client().get(f"forecast:product:3:{DAY}")
    packed = http.get("/v1/forecasts/3", headers={"accept-encoding": "identity"})
    assert stored in packed.content

    again = http.get("/v1/forecasts/3", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert "content-length" not in again.headers

    second = publish(mark="two")
    changed = http.get("/v1/forecasts/3", headers={"if-none-match": answer.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["release"] == second.release_id
    assert changed.json()["forecast"]["model_metadata"]["mark"] == "two"


def test_what_is_not_served_and_what_has_nothing_to_forecast(server, service, http, forecast):
    code = number_of("SKU/0042 Ä")
    asked = spec("codes", [1, 2, code])
    with Releases(server.client()).stage(asked, lock_s=PATIENT_S) as staging:
        staging.put({2: None, 1: {**forecast, "product_id": 1}})
        staging.put({code: {**forecast, "product_id": code}})
        staging.publish()
    assert until(service.ready, 5)
    nothing = http.get("/v1/forecasts/2")
    assert nothing.status_code == 200
    assert nothing.json()["forecast"] is None
    assert http.get("/v1/forecasts/SKU%2F0042%20%C3%84").json()["product_id"] == code
    unknown = http.get("/v1/forecasts/4")
    assert unknown.status_code == 404
    assert unknown.json()["detail"].endswith("does not serve product '4'.")
    Releases(server.client()).invalidate([1])
    assert http.get("/v1/forecasts/1").status_code == 404


def test_each_encoding_has_a_tag_of_its_own(http, publish_and_wait):
    publish_and_wait()
    plain = http.get("/v1/forecasts/1", headers={"accept-encoding": "identity"})
    packed = http.get("/v1/forecasts/1", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    for without in ("identity, gzip;q=0", "gzip; q=0.0, br"):
        refused = http.get("/v1/forecasts/1", headers={"accept-encoding": without})
        assert "content-encoding" not in refused.headers
    assert json.loads(plain.content)["product_id"] == 1
