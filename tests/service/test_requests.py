"""Batches, the current release, and requests as nobody should send them."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from toolkit.service.routes import document

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


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
