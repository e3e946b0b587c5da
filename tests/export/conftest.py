"""A real server for each test of the export, emptied between them."""

import pytest

from tests.tracking.conftest import empty_store
from toolkit.cache.server import embedded_server

__all__ = ["empty_store"]


@pytest.fixture(scope="session")
def cache_server():
    with embedded_server() as server:
        yield server


@pytest.fixture
def client(cache_server):
    with cache_server.client() as client:
        client.flushall()
        yield client
