"""A Redis database for writing releases: checked once, every failure one sentence."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from toolkit.errors import CacheError

type Argument = str | bytes | int

_SECRET = re.compile(r"(?<=:)[^:@/\s]+(?=@)")


@dataclass(frozen=True, slots=True)
class Room:
    """The memory that a server may use, what is left of it, in bytes, and what it does then."""

    limit: int
    left: int
    policy: str


class Database:
    """The commands that releases need, through the caller's client, which stays the caller's.

    Raises ``CacheError`` from every method where the server does not do what it was told; its
    message names the server, without any password.
    """

    def __init__(self, client: redis.Redis, to_write: bool = True) -> None:
        self.client = client
        self.where = _address(client)
        with self.translated():
            client.ping()
        if to_write:
            self._check_role()

    def _check_role(self) -> None:
        """A replica refuses to be written to, a cluster to rename over many keys at once."""
        try:
            replication, cluster = self.client.info("replication"), self.client.info("cluster")
        except redis.ResponseError:  # the user may not ask; writing will show
            return
        except redis.RedisError as error:
            raise self.failure(error) from error
        assert isinstance(replication, dict)
        assert isinstance(cluster, dict)
        if replication.get("role") == "slave":
            raise CacheError(f"{self.where} is a read-only replica: releases go to its primary")
        if cluster.get("cluster_enabled"):
            raise CacheError(
                f"{self.where} runs in cluster mode, where no release can be made current in one"
                " step: a single server is needed, with or without replicas"
            )

    def room(self) -> Room | None:
        """What is left of the memory that the server may use; None if it has no limit, or does not
        say.
        """
        try:
            found = self.client.info("memory")
        except redis.ResponseError:  # the user may not ask; writing will show
            return None
        except redis.RedisError as error:
            raise self.failure(error) from error
        assert isinstance(found, dict)
        limit = int(found.get("maxmemory", 0))
        if not limit:
            return None
        used = int(found["used_memory"]) - int(found.get("mem_not_counted_for_evict", 0))
        return Room(limit, limit - used, str(found.get("maxmemory_policy", "")))

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> object:
        """What ``script`` returns."""
        with self.translated():
            return self.client.register_script(script)(keys, arguments)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What redis-py raises within becomes a ``CacheError``."""
        try:
            yield
        except (redis.RedisError, OSError, UnicodeDecodeError) as error:
            raise self.failure(error) from error

    def failure(self, error: Exception) -> CacheError:
        """The sentence for ``error``."""
        said = _SECRET.sub("***", str(error)).strip().rstrip(".") or type(error).__name__
        for kind, sentence in _SENTENCES:
            if isinstance(error, kind):
                return CacheError(sentence.format(where=self.where, said=said))
        return CacheError(f"{self.where} failed: {said}")


_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (redis.AuthenticationError, "{where} refused the user or password of the cache URL: {said}"),
    (
        redis.exceptions.OutOfMemoryError,
        "{where} has no memory left (maxmemory): raise it, or clean old releases; what was"
        " current still is: {said}",
    ),
    (redis.ReadOnlyError, "{where} is a read-only replica: releases go to its primary: {said}"),
    (
        redis.exceptions.NoPermissionError,
        "{where} does not allow this user what a release needs: {said}",
    ),
    (redis.TimeoutError, "{where} did not answer in time: {said}"),
    (
        redis.InvalidResponse,
        "{where} does not speak the Redis protocol; is it the right port? ({said})",
    ),
    (redis.ConnectionError, "{where} cannot be reached: {said}"),
    (UnicodeDecodeError, "{where} holds a value that is no text: {said}"),
)


def _address(client: redis.Redis) -> str:
    """Which server, for messages: no user, no password."""
    settings = client.connection_pool.connection_kwargs
    if "path" in settings:
        return f"the cache at {settings['path']}"
    host, port = settings.get("host", "localhost"), settings.get("port", 6379)
    return f"the cache at {host}:{port}/{settings.get('db') or 0}"


def text(value: object) -> str:
    """A reply as text, whether the client decodes replies or not.

    Bytes that are no text, which nobody here wrote, become text that is like nothing of ours.
    """
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def parsed[J](value: object, kind: type[J]) -> J:
    """A reply as JSON of a kind; ``ValueError`` if it is something else."""
    try:
        found = json.loads(text(value))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(found, kind):
        raise ValueError(f"it is a JSON {type(found).__name__}")
    return found


def pairs(reply: object) -> dict[str, str]:
    """A hash as text."""
    assert isinstance(reply, dict)
    return {text(name): text(value) for name, value in reply.items()}
