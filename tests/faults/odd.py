"""What may lie under a key in place of what belongs there: cut, forged, huge, of another type."""

import gzip
import json
import random
from collections.abc import Callable, Sequence

import redis

from tests.cache.conftest import DAY

DEEP = 100_000
PLAIN = (
    *(b"", b" ", b"0", b"-1", b"1.5", b"true", b"null", b"[]", b"{}", b'""', b'"x"', b"[[1]]"),
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":1', b'"\\ud800"', b"'", b"NaN", b"inf"),
)
HUGE = (b"9" * 5000, b"-" + b"9" * 400, b"1e999", b"-1e999", b"9" * 19, b"1" * 18)

type Odd = Callable[[random.Random, bytes], bytes]


def _truncated(chance: random.Random, old: bytes) -> bytes:
    return old[: chance.randrange(len(old) + 1)]


def _longer(chance: random.Random, old: bytes) -> bytes:
    return old + chance.randbytes(chance.randrange(1, 9))


def _bytes(chance: random.Random, old: bytes) -> bytes:
    return chance.randbytes(chance.randrange(1, 200))


def _another_byte(chance: random.Random, old: bytes) -> bytes:
    place = chance.randrange(len(old) + 1)
    return old[:place] + chance.randbytes(1) + old[place + 1 :]


def _another_digit(chance: random.Random, old: bytes) -> bytes:
    digit = b"%d" % chance.randrange(10)
    return old.replace(digit, b"%d" % chance.randrange(10), 1)


def _plain(chance: random.Random, old: bytes) -> bytes:
    return chance.choice(PLAIN)


def _huge(chance: random.Random, old: bytes) -> bytes:
    return chance.choice(HUGE)


def _deep(chance: random.Random, old: bytes) -> bytes:
    return chance.choice([b"[", b'{"a":', b'{"release":']) * DEEP


def _gzip(chance: random.Random, old: bytes) -> bytes:
    packed = gzip.compress(old)
    return chance.choice([packed, packed[: len(packed) // 2], packed[:-1] + b"x"])


def _utf16(chance: random.Random, old: bytes) -> bytes:
    return old.decode("latin-1").encode("utf-16")


def _another_release(chance: random.Random, old: bytes) -> bytes:
    text, there = old.decode("latin-1"), [f"{number}-{DAY}" for number in range(1, 9)]
    for name in there:
        text = text.replace(name, chance.choice([*there, "9-x", "", "x"]))
    return text.encode("latin-1")


ODD_NUMBERS = (
    None,
    [],
    {},
    "x",
    True,
    -1,
    0,
    1.5,
    10**400,
    "9" * 30,
    "\ud800",
    "NaN",
    float("nan"),
)
ODD_TEXTS = ('{"x":' * 9, "1e999", "-Infinity", "[" * DEEP)


def _another_field(chance: random.Random, old: bytes) -> bytes:
    """Of a JSON object, one is something else."""
    try:
        fields = json.loads(old)
    except ValueError:
        return _bytes(chance, old)
    if not isinstance(fields, dict) or not fields:
        return _plain(chance, old)
    name = chance.choice(list(fields))
    if chance.random() < 0.2:
        del fields[name]
        return json.dumps(fields).encode()
    if chance.random() < 0.2:
        marked = json.dumps(fields | {name: "HERE"})
        return marked.replace('"HERE"', chance.choice(ODD_TEXTS)).encode()
    return json.dumps(fields | {name: chance.choice(ODD_NUMBERS)}).encode()


ODD: Sequence[Odd] = (
    _truncated,
    _longer,
    _bytes,
    _another_byte,
    _another_digit,
    _plain,
    _huge,
    _deep,
    _gzip,
    _utf16,
    _another_release,
    _another_field,
    _another_field,
)

TYPES: Sequence[Callable[[redis.Redis, bytes], object]] = (
    lambda client, name: client.rpush(name, "x"),
    lambda client, name: client.sadd(name, "x", b"\xff"),
    lambda client, name: client.zadd(name, {"x": 1.5}),
    lambda client, name: client.hset(name, b"\xff", b"\xff"),
    lambda client, name: client.xadd(name, {"x": "y"}),
    lambda client, name: client.pfadd(name, "x"),
    lambda client, name: client.set(name, "x"),
    lambda client, name: 0,
)


def spoil(client: redis.Redis, chance: random.Random, name: bytes) -> str:
    """Put something else at a key, or into it; what, in words."""
    kind, odd = client.type(name).decode(), chance.choice(ODD)
    if kind == "none" or chance.random() < 0.15:
        client.delete(name)
        place = chance.randrange(len(TYPES))
        TYPES[place](client, name)
        return f"a key of type {client.type(name).decode()}"
    if kind == "string":
        client.set(name, odd(chance, client.get(name)), keepttl=True)
    elif kind == "hash":
        field = chance.choice(client.hkeys(name))
        if chance.random() < 0.3:
            client.hset(name, odd(chance, field), client.hget(name, field))
        if chance.random() < 0.3:
            client.hdel(name, field)
        else:
            client.hset(name, field, odd(chance, client.hget(name, field)))
    elif kind == "set":
        client.sadd(name, odd(chance, chance.choice([b"x", *client.smembers(name)])))
    else:
        client.zadd(name, {odd(chance, b"1-2025-11-11"): chance.choice([-1, 0, 1e300])})
    return odd.__name__.strip("_").replace("_", " ")
