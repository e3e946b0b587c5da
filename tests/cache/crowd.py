"""Many threads of many processes that ask for one forecast at once. For tests and measurements."""

import time
from concurrent.futures import ThreadPoolExecutor

import redis

from tests.processes import forks
from toolkit.cache.adhoc.forecasts import ForecastCache
from toolkit.cache.adhoc.single_flight import cached

COUNT = "test:computations"


def counting(client, forecast, seconds):
    """A computation that takes a while and is counted in the server."""

    def compute():
        client.incr(COUNT)
        time.sleep(seconds)
        return forecast

    return compute


def ask_at_once(path, key, forecast, threads, start, patience_s=20.0, seconds=0.3):
    """So many threads of this process ask for one key; what they got."""
    client = redis.Redis(unix_socket_path=path)
    client.ping()
    compute = counting(client, forecast, seconds)
    start.wait()
    with ThreadPoolExecutor(threads) as pool:
        asked = [
            pool.submit(cached, ForecastCache(client, patience_s=patience_s), key, compute)
            for _ in range(threads)
        ]
        return [found.result() for found in asked]


def _child(results, path, key, forecast, *rest):
    found = ask_at_once(path, key, forecast, *rest)
    results.put(sum(one == forecast for one in found))


def crowd(server, key, forecast, patience_s, processes=4, threads=25, seconds=0.3):
    """How many of the crowd got the forecast, and how often it was computed."""
    context = forks()
    start, results = context.Barrier(processes), context.Queue()
    arguments = (results, str(server.socket), key, forecast, threads, start, patience_s, seconds)
    children = [context.Process(target=_child, args=arguments) for _ in range(processes)]
    for child in children:
        child.start()
    right = sum(results.get(timeout=300) for _ in children)
    for child in children:
        child.join()
    return right, int(server.client().get(COUNT) or 0)
