"""What the server can be told to do wrong: a hook returns one of these for a login or a batch."""

from dataclasses import dataclass

from tests.tds.tokens import SqlError


@dataclass(frozen=True, slots=True)
class Fail:
    """An error of the server's; ``after_rows``: in the middle of the result."""

    number: int
    text: str
    severity: int = 16
    after_rows: int | None = None

    @property
    def error(self) -> SqlError:
        """As it is sent."""
        return SqlError(self.number, self.text, self.severity)


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends after so many bytes of the answer; with ``reset`` without a farewell."""

    after_bytes: int = 0
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence for so long, or until the client gives up; then the answer."""

    seconds: float
    after_rows: int | None = None


type Fault = Fail | Drop | Stall

DEADLOCK = Fail(
    1205,
    "Transaction (Process ID 51) was deadlocked on lock resources with another process and has"
    " been chosen as the deadlock victim. Rerun the transaction.",
    13,
)
DENIED = Fail(
    229,
    "The SELECT permission was denied on the object 'OrderItem', database 'Sales', schema 'dbo'.",
    14,
)
LOCK_TIMEOUT = Fail(1222, "Lock request time out period exceeded.")
