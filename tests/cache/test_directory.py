"""What a server tells of its releases beside their values."""

import asyncio

import pytest

from tests.cache.conftest import DAY
from toolkit.cache.current import META, release_of
from toolkit.cache.directory import Directory
from toolkit.cache.names import POINTER, index_key, meta_key
from toolkit.cache.pointer import pointer_of
from toolkit.cache.releases.catalog import Releases
from toolkit.errors import CacheError


def asked(server, question):
    async def ask():
        directory = Directory(server.url)
        try:
            return await question(directory)
        finally:
            await directory.aclose()

    return asyncio.run(ask())


def current(client):
    pointer = pointer_of(client.get(POINTER))
    said = client.hmget(meta_key(pointer.release), META)
    return release_of(pointer, dict(zip(META, said, strict=True)))


def test_releases_are_listed_the_current_one_first(server, publish):
    assert asked(server, Directory.releases) == []
    first = publish(details={"model": "rhythm@1"})
    second = publish(range(1, 8), mark="b")
    found = asked(server, Directory.releases)
    assert [one.release for one in found] == [second.release_id, first.release_id]
    assert [one.products for one in found] == [7, 5]
    assert found[0].replaced == first.release_id
    assert found[1].details == {"model": "rhythm@1"}
    assert {one.as_of_date for one in found} == {DAY.isoformat()}
    Releases(server.client()).activate(first.release_id)
    assert asked(server, Directory.releases)[0].release == first.release_id
    server.client().hset(meta_key(second.release_id), "details", "{")
    with pytest.raises(CacheError, match="what is said of release 2-2025-11-11 is not whole"):
        asked(server, Directory.releases)


def test_products_are_listed_in_order_and_asked_for_once(server, publish):
    publish([7, -3, 20])
    release = current(server.client())

    async def twice(directory):
        listed = await directory.product_ids(release)
        server.client().delete(index_key(release.pointer.release))
        return listed, await directory.product_ids(release)

    assert asked(server, twice) == ((-3, 7, 20), (-3, 7, 20))
    assert asked(server, lambda directory: directory.product_ids(release)) == ()


def test_a_server_that_is_away_is_one_sentence(own_server):
    own_server.close()
    with pytest.raises(CacheError):
        asked(own_server, Directory.releases)
