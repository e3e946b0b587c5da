"""The cache hangs, is killed, comes back empty, and gets a release: under load all the while."""

import json
import threading
import time

import httpx
import pytest
import redis

from tests.cache.conftest import until
from tests.cache.servers import stopped, valkey_at
from tests.service.conftest import running
from toolkit.cache import envelope
from toolkit.data.ids import number_of

RECOVERED_S = 2.0
PATIENCE_S = 0.3


class Polling:
    """Asks for some products all the while; what came, since ``since``."""

    def __init__(self, url, ids):
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url, list(ids)))
        self.answers = []

    def _ask(self, url, ids):
        with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
            while not self._over.wait(0.01):  # others have work to do, too
                for i in ids:
                    asked = time.monotonic()
                    self.answers.append((asked, client.get(f"/v1/forecasts/{i}")))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()

    def since(self, moment):
        return [answer for asked, answer in list(self.answers) if asked >= moment]


def stale(answer):
    return "forecast-stale" in answer.headers


def test_memory_stands_in_and_the_cache_is_found_again(tmp_path, publish):
    path = tmp_path / "s"
    with valkey_at(path) as process, running(f"unix://{path}", patience_s=PATIENCE_S) as service:
        with redis.Redis(unix_socket_path=str(path)) as client:
            first = publish(ids=range(1, 4), client=client)
        assert until(service.ready, 10)
        with Polling(service.url, range(1, 4)) as polling:
            assert until(lambda: len(polling.answers) > 6)

            with stopped(process.pid):
                assert until(lambda: stale(polling.answers[-1][1]), 10)
                time.sleep(1.2)
                unready = httpx.get(f"{service.url}/readyz", trust_env=False)
                assert unready.status_code == 503
                assert unready.json()["detail"].startswith("Not ready: ")
                assert httpx.get(f"{service.url}/livez", trust_env=False).status_code == 200
                late = polling.answers[-1][1]
                assert int(late.headers["forecast-stale"]) >= 1
            assert until(lambda: service.ready() and not stale(polling.answers[-1][1]), RECOVERED_S)

            process.kill()
            process.wait()
            assert until(lambda: stale(polling.answers[-1][1]), 10)
            gone = httpx.get(f"{service.url}/readyz", trust_env=False).json()["detail"]
            assert gone == "Not ready: the cache cannot be reached."  # its address is in the log
            assert until(lambda: str(path) in "".join(service.log), 10)
            path.unlink(missing_ok=True)
            with valkey_at(path), redis.Redis(unix_socket_path=str(path)) as client:
                empty = lambda: httpx.get(f"{service.url}/readyz", trust_env=False).json()  # noqa: E731
                assert until(lambda: "holds no release" in empty().get("detail", ""), 10)
                assert stale(polling.answers[-1][1])
                second = publish(ids=range(1, 4), mark="again", client=client)
                came = time.monotonic()
                assert until(service.ready, RECOVERED_S)
                assert until(lambda: polling.since(came + RECOVERED_S), 10)
                for answer in polling.since(came + RECOVERED_S):
                    assert answer.json()["forecast"]["model_metadata"]["mark"] == "again"
                    assert not stale(answer)
    seen = [answer for _, answer in polling.answers]
    assert {answer.status_code for answer in seen} == {200}
    assert {answer.headers["forecast-release"] for answer in seen} == {
        first.release_id,
        second.release_id,
    }


def test_memory_stands_in_for_codes_and_batches(tmp_path, publish):
    """A number may be a code, too: of what else it may stand for memory has nothing."""
    path, code = tmp_path / "s", number_of("0042")
    with valkey_at(path) as process, running(f"unix://{path}", patience_s=PATIENCE_S) as service:
        with redis.Redis(unix_socket_path=str(path)) as client:
            publish(ids=[1, 2, 3, code], client=client)
        assert until(service.ready, 10)
        asked = {"products": [1, "2", "0042"]}
        with service.client() as http:
            assert http.post("/v1/forecasts:batch", json=asked).status_code == 200
            with stopped(process.pid):
                assert until(lambda: not service.ready(), 10)
                alone = http.get("/v1/forecasts/0042")
                assert (alone.status_code, stale(alone)) == (200, True)
                assert alone.json()["product_id"] == code
                together = http.post("/v1/forecasts:batch", json=asked)
                assert list(together.json()["forecasts"]) == ["1", "2", "0042"]
                assert stale(together)
                new = http.post("/v1/forecasts:batch", json={"products": [1, 3]})
                assert new.status_code == 503
                assert http.get("/v1/forecasts/3").status_code == 503


def test_a_pointer_that_is_damaged(server, service, http, publish_and_wait):
    publish_and_wait()
    client = server.client()
    whole = json.loads(client.get("forecast:current"))
    assert http.get("/v1/forecasts/1").status_code == 200
    client.set("forecast:current", json.dumps(whole | {"expires_at": "0"}))
    answer = http.get("/v1/forecasts/1")
    assert (answer.status_code, stale(answer)) == (200, True)
    client.set("forecast:current", json.dumps(whole))
    assert until(service.ready, RECOVERED_S)


def test_a_release_of_a_newer_format_is_not_served(service, http, publish, publish_and_wait):
    first = publish_and_wait(mark="known")
    assert http.get("/v1/forecasts/1").status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "FORMAT", 99)
        newer = publish(mark="newer")
    assert until(lambda: not service.ready(), 5)
    said = f"release {newer.release_id} has format 99, newer than the 2 that this"
    assert said in http.get("/readyz").json()["detail"]
    before = http.get("/v1/forecasts/1")
    assert (before.json()["release"], stale(before)) == (first.release_id, True)
    unseen = http.get("/v1/forecasts/3")
    assert unseen.status_code == 503
    assert said in unseen.json()["detail"].replace("Release", "release")


def test_a_release_that_is_too_old_is_served_and_not_ready(server, publish):
    with running(server.url, "--oldest", 1 / 3600) as service, service.client() as http:
        release = publish().release_id
        why = f"Not ready: release {release} is "
        assert until(lambda: http.get("/readyz").json().get("detail", "").startswith(why), 10)
        unready = http.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["detail"].endswith(" s old, more than 1.")
        assert http.get("/v1/forecasts/1").json()["release"] == release
