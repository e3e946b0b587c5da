"""Minutes: releases that follow each other under load, odd ids by the thousand, slow clients."""

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil
import pytest

from tests.bench.http_load import load
from tests.cache.conftest import until
from toolkit.cache.spec import number_of

pytestmark = pytest.mark.slow

FLIPS = 50
IDS = range(1, 9)
MORE_MB = 30


class Client:
    """Reads all the while; every answer is of one release, of one that was current meanwhile."""

    def __init__(self, service, server):
        self._service, self._server = service, server
        self.answers, self.wrong, self.marks, self.last = 0, [], {}, 0

    def current(self):
        return number_of(json.loads(self._server.client().get("forecast:current"))["release"])

    def read_until(self, over):
        with self._service.client() as http:
            while not over.is_set():
                before = self.current()
                if random.random() < 0.8:
                    answers = [http.get(f"/v1/forecasts/{random.choice(IDS)}")]
                    found = [answers[0].json()]
                else:
                    answers = [http.post("/v1/forecasts:batch", json={"products": list(IDS)})]
                    found = list(answers[0].json().get("forecasts", {}).values())
                    found = [{"release": one["release"], "forecast": one} for one in found]
                self.note(answers[0], found, before, self.current())

    def note(self, answer, found, before, after):
        self.answers += 1
        releases = {one.get("release") for one in found}
        if answer.status_code != 200 or len(releases) != 1:
            self.wrong.append((answer.status_code, answer.text[:100], releases))
            return
        (release,) = releases
        marks = {one["forecast"]["model_metadata"]["mark"] for one in found}
        if {self.marks.setdefault(release, next(iter(marks)))} != marks:
            self.wrong.append((release, marks))
        if not max(before, self.last) <= number_of(release) <= after:
            self.wrong.append((release, before, self.last, after))
        if "forecast-stale" in answer.headers:
            self.wrong.append("stale")
        self.last = number_of(release)


def test_releases_follow_each_other_under_load(server, service, publish):
    publish(IDS, mark="0")
    assert until(service.ready)
    clients, over = [Client(service, server) for _ in range(4)], threading.Event()
    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(client.read_until, over) for client in clients]
        for number in range(1, FLIPS + 1):
            publish(IDS, mark=str(number))
            goal = sum(client.answers for client in clients) + 20
            assert until(lambda goal=goal: sum(c.answers for c in clients) >= goal)
        over.set()
        for one in reading:
            one.result()
    assert [client.wrong for client in clients] == [[]] * 4
    assert len(set.union(*(set(client.marks) for client in clients))) > FLIPS / 2


def test_odd_ids_by_the_thousand_take_no_memory(service, publish_and_wait):
    publish_and_wait()
    process = psutil.Process(service.process.pid)
    odd = [f"/v1/forecasts/{random.randbytes(20).hex()}" for _ in range(5_000)]
    odd += [f"/v1/forecasts/{random.randrange(10**18)}" for _ in range(5_000)]
    load(service.url, odd, 3)  # what a busy service takes
    before = process.memory_info().rss
    counted = load(service.url, odd, 20)
    assert set(counted.statuses) == {404}
    assert sum(counted.statuses.values()) > 3_000
    assert process.memory_info().rss - before < MORE_MB * 1e6


def test_slow_clients_are_let_go_and_keep_nobody_waiting(service, http, publish_and_wait):
    publish_and_wait()
    place = urlsplit(service.url)
    silent, head, body, deaf = (
        socket.create_connection((place.hostname, place.port), timeout=60) for _ in range(4)
    )
    body.sendall(b"POST /v1/forecasts:batch HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(b"GET /v1/forecasts/1 HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
    started = time.monotonic()
    for letter in b"GET / HTTP/1.1\r\nx: y":
        with_head = bytes([letter])
        try:
            head.sendall(with_head)
        except ConnectionError:
            break
        asked = time.monotonic()
        assert http.get("/v1/forecasts/1").status_code == 200
        assert time.monotonic() - asked < 5
        time.sleep(0.7)
    for end in (silent, head, body):
        received = end.recv(4096)
        assert b" 408 " in received, received
        assert b"application/problem+json" in received
    assert time.monotonic() - started < 60
    for end in (silent, head, body, deaf):
        end.close()
