"""Batches, customers at risk, the current release, and requests as nobody should send them."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cache.conftest import PATIENT_S, product, spec, until
from toolkit.cache.names import at_risk_key
from toolkit.cache.releases.catalog import Releases
from toolkit.service.routes import document

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def at_risk(customer_id, p_alive):
    return {
        "customer_id": customer_id,
        "customer_name": f"Café {customer_id}",
        "avg_confidence": 0.5,
        "p_alive": p_alive,
        "open_interval_days": 40.0,
        "expected_interval_days": 10.0,
        "risk_reason": "Probably lapsed",
    }


@pytest.fixture
def release_at_risk(server, service, forecast):
    """Product 1 with two customers at risk, product 2 with one, product 3 with none."""
    risks = {1: [at_risk(11, 0.4), at_risk(12, 0.1)], 2: [at_risk(21, 0.2)], 3: []}

    def made(mark, **more):
        asked = spec(mark, risks, **more)
        with Releases(server.client()).stage(asked, lock_s=PATIENT_S) as staging:
            staging.carry_over()
            for i in risks.keys() - staging.done.keys():
                fields = {
                    **product(forecast, i, asked.as_of_date, mark),
                    "at_risk_customers": risks[i],
                }
                staging.put({i: {**fields, "summary": {"product_name": f"Product {i}"}}})
            release = staging.publish()
        assert until(service.ready, 5)
        return release

    return made


def test_a_batch_is_of_one_release(http, publish_and_wait):
    release = publish_and_wait(range(1, 150))
    asked = [*range(1, 121), "7", "SKU-1", 9999]
    said = http.post("/v1/forecasts:batch", json={"products": asked}).json()
    assert said["release"] == release.release_id
    assert list(said["forecasts"]) == [str(i) for i in range(1, 121)]
    assert {one["release"] for one in said["forecasts"].values()} == {release.release_id}
    assert all(one["product_id"] == int(i) for i, one in said["forecasts"].items())
    assert said["unknown"] == ["SKU-1", "9999"]
    form = {"content-type": "application/x-www-form-urlencoded"}  # as curl says of any body
    for headers in (form, {}):
        some = http.post("/v1/forecasts:batch", content=b'{"products":[1]}', headers=headers)
        assert list(some.json()["forecasts"]) == ["1"]


def test_customers_at_risk_the_gravest_first(server, http, release_at_risk):
    first = release_at_risk("one")
    said = http.get("/v1/at-risk").json()
    assert (said["release"], said["total"]) == (first.release_id, 3)
    assert [(r["product_id"], r["customer_id"]) for r in said["customers"]] == [
        (1, 12),
        (2, 21),
        (1, 11),
    ]
    assert said["customers"][0] == {
        "product_id": 1,
        "product_name": "Product 1",
        **at_risk(12, 0.1),
    }
    page = http.get("/v1/at-risk", params={"offset": 1, "limit": 1}).json()
    assert [row["customer_id"] for row in page["customers"]] == [21]
    assert http.get("/v1/at-risk", params={"offset": 99}).json()["customers"] == []
    assert http.get("/v1/at-risk", params={"limit": 0}).status_code == 422

    second = release_at_risk("one", carried=[1, 2], base=first.release_id)
    assert until(lambda: http.get("/v1/at-risk").json().get("release") == second.release_id, 5)
    carried = http.get("/v1/at-risk").json()
    assert [row["customer_id"] for row in carried["customers"]] == [12, 21, 11]
    Releases(server.client()).invalidate([1])
    left = http.get("/v1/at-risk").json()
    assert [row["customer_id"] for row in left["customers"]] == [21]

    Releases(server.client()).clean(keep=0)
    assert not server.client().exists(at_risk_key(first.release_id))
    server.client().delete(at_risk_key(second.release_id))
    dropped = http.get("/v1/at-risk")
    assert dropped.status_code == 503
    assert "has no list of customers at risk" in dropped.json()["detail"]


def test_the_current_release(http, publish_and_wait):
    release = publish_and_wait(details={"model": "rhythm"})
    said = http.get("/v1/releases/current").json()
    assert said["release"] == release.release_id
    assert said["published_at"] == release.published_at
    assert (said["as_of_date"], said["products"]) == (release.as_of_date.isoformat(), 5)
    assert said["details"] == {"model": "rhythm"}
    assert said["computed_with"] == dict(release.computed_with)
    assert said["stale_s"] is None


def test_the_document_is_current_and_served(http):
    assert DOCUMENT.read_text() == document(), "python -m tests.service writes it"
    assert http.get("/openapi.json").json() == json.loads(DOCUMENT.read_text())


ODD_PATHS = {
    "//": 404,
    "/v1": 404,
    "/v1/forecasts": 404,
    "/v1/forecasts/": 404,
    "/v1/forecasts//": 404,
    "/v1/forecasts/1/": 404,
    "/v1/forecasts/%20": 404,
    "/v1/forecasts/../../etc/passwd": 404,
    "/v1/forecasts/..%2f..%2fetc%2fpasswd": 404,
    "/v1/forecasts/%00": 404,
    "/v1/forecasts/%ff%fe": 404,
    "/v1/forecasts/" + 300 * "9": 404,
    "/v1/forecasts/" + 19 * "9": 404,
    "/v1/forecasts/-1": 404,
    "/v1/forecasts/1e0": 404,
    "/v1/forecasts/forecast:current": 404,
    "/v1/at-risk?limit=x": 422,
    "/v1/at-risk?offset=-1": 422,
    "/docs": 404,
}


def test_odd_paths(service, publish_and_wait):
    publish_and_wait()
    for path, status in ODD_PATHS.items():
        head, body = raw(service, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} "), (path, head)
        said = json.loads(body)
        assert (said["status"], "Traceback" in said["detail"]) == (status, False)


def test_odd_requests(service, http, publish_and_wait):
    publish_and_wait()
    wrong = [b"", b"{", b"[]", b'{"products":[]}', b'{"products":[1.5]}', b'{"products":[[1]]}']
    wrong += [b'{"products":[""]}', b'{"products":[1],"more":1}', b"[" * 60_000, b"\xff\xfe"]
    wrong += [json.dumps({"products": list(range(201))}).encode()]
    for body in wrong:
        refused = http.post(
            "/v1/forecasts:batch", content=body, headers={"content-type": "application/json"}
        )
        assert refused.status_code in {400, 422}, body[:20]
        assert refused.headers["content-type"] == "application/problem+json"
        assert len(refused.content) < 1_000
    large = http.post("/v1/forecasts:batch", content=b"x" * 70_000)
    assert (large.status_code, large.json()["detail"]) == (413, "A body has at most 65,536 bytes.")
    pieces = http.post("/v1/forecasts:batch", content=iter([b"x" * 1000] * 70))
    assert pieces.status_code == 413
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused = http.request(method, "/v1/forecasts/1")
        assert refused.status_code == 405
        assert refused.json()["detail"] == f"{method} is not what this path takes."
    for path in ("/v1/forecasts/1", "/v1/at-risk?limit=x", "/v1/releases/current", "/readyz"):
        head, whole = http.head(path), http.get(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
    for line in ("OPTIONS *", "CONNECT a:443", "GET http://a/v1/forecasts/1", "GET //", "PRI *"):
        head, body = raw(service, f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert head.split()[1] in {"200", "400", "404", "405"}, (line, head)
        assert "Traceback" not in body
    assert (
        http.get("/v1/forecasts/1", headers={"if-none-match": '"x", W/"y", *'}).status_code == 200
    )

    head, _ = raw(service, "GET / HTTP/1.1\r\n" + "x: y\r\n" * 20_000)
    assert head.startswith("HTTP/1.1 431 ")
    assert raw(service, "no request\r\n\r\n")[0].startswith("HTTP/1.1 400 ")


def raw(service, request):
    """What comes back for bytes as they are, until the service closes."""
    place = urlsplit(service.url)
    received = b""
    with socket.create_connection((place.hostname, place.port), timeout=20) as end:
        with suppress(ConnectionError):
            end.sendall(request.encode("latin-1"))
        with suppress(ConnectionError):
            while more := end.recv(65_536):
                received += more
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode(), body.decode()
