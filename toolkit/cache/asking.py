"""A server that is asked from an event loop: its client, and how long an answer is waited for."""

import asyncio
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from toolkit.errors import CacheError


def async_client_of(url: str, patience_s: float, connections: int) -> redis.asyncio.Redis:
    """One client, with a bounded pool; a connection that broke is made anew once."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=patience_s,
        socket_connect_timeout=patience_s,
        socket_timeout=patience_s,
        retry=Retry(NoBackoff(), 1),
    )
    return redis.asyncio.Redis.from_pool(pool)


async def replies_of(pipeline: Pipeline, patience_s: float) -> list[Any]:
    """What the server answers to all of it; ``CacheError`` if it does not within ``patience_s``."""
    try:
        async with asyncio.timeout(patience_s):
            replies = await pipeline.execute()
    except TimeoutError as error:
        raise CacheError(f"the cache gave no answer within {1000 * patience_s:g} ms") from error
    except (redis.RedisError, OSError, UnicodeDecodeError) as error:
        raise CacheError(_for_anybody(error)) from error
    return list(replies)


def _for_anybody(error: Exception) -> str:
    """What failed, without the server's address or user: that is for the log."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return "the cache does not let this service read"
    if isinstance(error, redis.TimeoutError):
        return "the cache gave no answer in time"
    if isinstance(error, redis.ConnectionError | OSError):
        return "the cache cannot be reached"
    return f"the cache failed ({type(error).__name__})"
