"""Clients by the URL of their server."""

from contextlib import suppress

import redis

SCHEMES = ("redis://", "rediss://", "unix://")


def client_of(url: str) -> redis.Redis:
    """A client for the server at ``url``; nothing is sent before the first command.

    ``url`` starts with redis://, rediss:// or unix://; anything else is a ``ValueError``, which
    does not repeat it, as it may hold a password.
    """
    with suppress(ValueError, TypeError):
        if url.startswith(SCHEMES):
            client = redis.Redis.from_url(url)
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # says what it cannot use; no I/O
            return client
    raise ValueError(
        f"a cache URL starts with {', '.join(SCHEMES)} and has a valid host, port and options;"
        " the one received does not"
    )
