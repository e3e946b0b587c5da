"""A load on an HTTP server over kept connections: raw sockets in threads of processes of their own.

A client that parses answers costs more than the service; this one reads a head, then as many bytes
as it announces.
"""

import multiprocessing
import selectors
import socket
import time
from collections import Counter, deque
from dataclasses import dataclass
from urllib.parse import urlsplit

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Load:
    """What came of it: answers by status, seconds of each, and seconds of all."""

    statuses: Counter
    times: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    def quantile(self, q: float) -> float:
        return sorted(self.times)[min(len(self.times) - 1, int(q * len(self.times)))]


def load(url, paths, seconds, connections=32, headers=(), rate=None) -> Load:
    """Ask for the paths in turn; with ``rate``, so many a second over all connections.

    At a rate, a time counts from when the request was to go out, so that waiting counts as well.
    """
    results = SPAWN.Queue()
    arguments = (results, url, list(paths), seconds, connections, dict(headers), rate)
    child = SPAWN.Process(target=_child, args=arguments)
    child.start()
    found = results.get(timeout=seconds + 60)
    child.join()
    return found


def _child(results, url, paths, seconds, connections, headers, rate) -> None:
    place = urlsplit(url)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    requests = [f"GET {p} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode() for p in paths]
    selector = selectors.DefaultSelector()
    idle, statuses, times = deque(), Counter(), []
    for _ in range(connections):
        end = socket.create_connection((place.hostname, place.port))
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
        selector.register(end, selectors.EVENT_READ, [0.0, b"", 0])
        idle.append(end)
    started = time.perf_counter()
    sent = 0
    while (now := time.perf_counter()) < started + seconds:
        while idle and (rate is None or sent < (now - started) * rate):
            end = idle.popleft()  # all in turn: one that says nothing for long is let go
            state = selector.get_key(end).data
            state[0] = now if rate is None else started + sent / rate
            state[1], state[2] = b"", 0
            end.sendall(requests[sent % len(requests)])
            sent += 1
        for key, _ in selector.select(0.0005 if rate else 0.01):
            state = key.data
            received = key.fileobj.recv(262_144)
            if not received:
                raise ConnectionError("the service closed a connection")
            if not state[2]:
                state[1] += received
                head, gap, body = state[1].partition(b"\r\n\r\n")
                if not gap:
                    continue
                lower = head.lower()
                at = lower.find(b"content-length: ")
                length = int(lower[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                statuses[int(head[9:12])] += 1
                state[2] = length - len(body) or -1
            else:
                state[2] -= len(received)
            if state[2] <= 0:
                state[2] = 0
                times.append(time.perf_counter() - state[0])
                idle.append(key.fileobj)
    results.put(Load(statuses, times, time.perf_counter() - started))
