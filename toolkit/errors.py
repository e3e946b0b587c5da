"""The errors this package raises on purpose.

ToolkitError
├── ArgumentError      an argument is out of range; a ``ValueError``, too
├── DataError          order data that breaks a rule; carries every failure found
├── SourceError        the database could not be read
├── ModelError         a model is unknown, or its saved parameters cannot be used
├── PredictionError    a forecast could not be computed
├── CacheError         the cache server did not start, or does not take a release
├── ClusterError       a cluster cannot be reached, or its workers cannot do what is asked
└── TrackingError      the tracking store is locked or unreachable, or does not hold what was asked
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ToolkitError(Exception):
    """Root of all errors of this package."""


class ArgumentError(ToolkitError, ValueError):
    """An argument is not what is allowed; says what was received and what is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: where, which, how many rows, and up to five of them."""

    table: str
    rule: str
    rows: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        """``order_lines: quantity is not a number (3 rows; e.g. line 7: nan)``.

        What is not about rows counts none of them: ``cancellations.csv: is not read``.
        """
        if not self.rows and not self.examples:
            return f"{self.table}: {self.rule}"
        shown = f"; e.g. {', '.join(self.examples)}" if self.examples else ""
        rows = f"{self.rows:,} row{'s' if self.rows != 1 else ''}"
        return f"{self.table}: {self.rule} ({rows}{shown})"


class DataError(ToolkitError):
    """Order data breaks rules; ``findings`` holds every one of them, ``remedy`` what may help."""

    def __init__(self, where: str, findings: Sequence[Finding], remedy: str = "") -> None:
        self.where = where
        self.findings = tuple(findings)
        self.remedy = remedy
        listed = [f"  - {finding}" for finding in self.findings]
        head = f"{where} breaks {len(self.findings)} rule(s):"
        super().__init__("\n".join([head, *listed, *([remedy] if remedy else [])]))


class SourceError(ToolkitError):
    """The database behind a source refused or broke a query.

    ``number`` is the database's own number of the error, None where it has none. ``transient``:
    the same call may succeed later.
    """

    def __init__(self, message: str, *, number: int | None = None, transient: bool = False) -> None:
        super().__init__(message)
        self.number = number
        self.transient = transient


class OrdersReplacedError(SourceError):
    """An import took the place of orders while they were read, over and over, by a task each."""


class ModelError(ToolkitError):
    """A model version is unknown, or its parameters cannot be used."""


class PredictionError(ToolkitError):
    """A model could not predict."""


class CacheError(ToolkitError):
    """The embedded cache server did not start, or a server does not do what a release needs."""


class ClusterError(ToolkitError):
    """A cluster's scheduler or workers could not be had, or differ from this process.

    ``unavailable``: they were away or full; the same call may succeed later.
    """

    def __init__(self, message: str, *, unavailable: bool = False) -> None:
        super().__init__(message)
        self.unavailable = unavailable


class TrackingError(ToolkitError):
    """The tracking store does not hold what was asked of it, or could not be used.

    ``unavailable``: it was locked or did not answer; the same call may succeed later.
    """

    def __init__(self, message: str, *, unavailable: bool = False) -> None:
        super().__init__(message)
        self.unavailable = unavailable
