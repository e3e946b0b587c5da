"""Tasks that are done, raise, or kill the process that does them."""

import os
import signal
from pathlib import Path


def squared(number: int) -> int:
    """The number's square."""
    return number * number


def odd_ones_raise(number: int) -> int:
    """Even numbers."""
    if number % 2:
        raise ValueError(f"planted: {number}")
    return number


def the_third_kills(number: int) -> int:
    """All numbers but 3, which takes its process with it."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def variable(name: str) -> str:
    """What a variable is to the process that does this."""
    return os.environ.get(name, "")


def size_of(path: Path) -> int:
    """Of a file."""
    return path.stat().st_size


def second_time(path: Path) -> int:
    """Raises the first time."""
    if not path.exists():
        path.touch()
        raise OSError("planted")
    return 2
