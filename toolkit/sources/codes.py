"""Ids that are text (``SKU-0042``): each code's number, and the codes of a database.

Inside, ids are whole numbers. A code's number depends on the code alone, so that it is the same
in every import, database and machine, and a fit stays valid. Codes are looked up at the edges
only; no forecast is computed from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from toolkit.data.ids import BITS, KINDS, WHOLE, Kind, number_of, plain_code
from toolkit.data.tables import Ints
from toolkit.errors import ArgumentError
from toolkit.sources.dialects import Connection, run_once

NEAREST = 3


def number_sql(code: str, bits: int = BITS) -> str:
    """``number_of`` as DuckDB computes it, for an SQL expression; 63 bits at most."""
    first = f"CAST(CAST(unhex(sha256({code})[:16]) AS BIT) AS UBIGINT)"
    return f"CAST({first} >> {64 - bits} AS BIGINT)"


@dataclass(frozen=True, slots=True)
class Coded:
    """Numbers [codes], ascending, and the code of each."""

    numbers: Ints
    codes: pa.StringArray

    def places(self, numbers: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Where the numbers stand, and whether they do, both [numbers]."""
        places = np.searchsorted(self.numbers, numbers).clip(max=len(self.numbers) - 1)
        return places, self.numbers[places] == numbers


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of a database's products and customers; none where ids are whole numbers.

    >>> codes = Codes()
    >>> codes.number("product", "770"), codes.code("product", 770)
    (770, None)
    """

    kinds: Mapping[Kind, Coded] = field(default_factory=dict)

    @classmethod
    def of(cls, conn: duckdb.DuckDBPyConnection | Connection) -> "Codes":
        """The codes behind a connection; only an embedded database has any.

        They are read whole, so that the connection may then be closed. Raises ``SourceError`` if
        they cannot be read.
        """
        if not isinstance(conn, duckdb.DuckDBPyConnection):
            return NO_CODES
        return run_once("codes", lambda: cls(_read(conn)))

    def has(self, kind: Kind) -> bool:
        """Whether the ids of a kind are codes."""
        return kind in self.kinds

    def number(self, kind: Kind, code: str) -> int:
        """The whole number that a code stands for; or the number itself, given as text.

        Raises ``ArgumentError`` for a code that is unknown, naming the nearest ones, and, where
        ids are whole numbers, for text that is none.
        """
        text = plain_code(code)
        whole = int(text) if WHOLE.fullmatch(text) else None
        if not self.has(kind):
            if whole is None:
                raise ArgumentError(
                    f"{kind}_id has to be a whole number, got {code!r}: ids in this database are "
                    "numbers, as they were in what was imported"
                )
            return whole
        if self.code(kind, number_of(text)) == text:
            return number_of(text)
        if whole is not None and self.code(kind, whole) is not None:
            return whole
        nearest = ", ".join(self.nearest(kind, text))
        raise ArgumentError(f"there is no {kind} {code!r}; the nearest codes are {nearest}")

    def code(self, kind: Kind, number: int) -> str | None:
        """The code of a number; None where it has none.

        >>> Codes().code("customer", 17) is None
        True
        """
        coded = self.kinds.get(kind)
        if coded is None or abs(number) >= 2**63:
            return None
        (place,), (found,) = coded.places(np.array([number]))
        return str(coded.codes[int(place)]) if found else None

    def column(self, kind: Kind, numbers: Ints) -> pa.StringArray:
        """The codes of numbers [rows]; null where one has none."""
        coded = self.kinds.get(kind)
        if coded is None:
            return pa.nulls(len(numbers), pa.string())
        places, found = coded.places(numbers)
        return coded.codes.take(pa.array(places, mask=~found))

    def holding(self, kind: Kind, text: str) -> list[int]:
        """The numbers of the codes that hold a text, whatever its case."""
        coded = self.kinds.get(kind)
        if coded is None:
            return []
        found = pc.match_substring(coded.codes, text, ignore_case=True)
        held = coded.numbers[found.to_numpy(zero_copy_only=False)]
        return [int(number) for number in held]

    def nearest(self, kind: Kind, text: str) -> list[str]:
        """The few codes most like a text, whatever its case: those that hold it come first."""
        if not self.has(kind):
            return []
        codes = pa.table({"code": self.kinds[kind].codes})
        with duckdb.connect() as conn:
            conn.register("codes", codes)
            found = conn.execute(
                "SELECT code FROM codes ORDER BY contains(lower(code), lower($text)) DESC,"
                " damerau_levenshtein(lower(code), lower($text)), code LIMIT $few",
                {"text": text, "few": NEAREST},
            ).fetchall()
        return [code for (code,) in found]


NO_CODES = Codes()


def _read(conn: duckdb.DuckDBPyConnection) -> dict[Kind, Coded]:
    with conn.cursor() as cursor:
        tables = cursor.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'dbo'"
            " AND table_name = 'Code' AND table_catalog = current_catalog()"
        ).fetchall()
        if not tables:
            return {}
        found = {
            kind: cursor.sql(
                "SELECT ID, Code FROM dbo.Code WHERE Kind = $kind ORDER BY ID",
                params={"kind": kind},
            ).to_arrow_table()
            for kind in KINDS
        }
    return {
        kind: Coded(table["ID"].to_numpy(), table["Code"].combine_chunks().cast(pa.string()))
        for kind, table in found.items()
        if len(table)
    }


def keep_coded(conn: duckdb.DuckDBPyConnection, kinds: Mapping[Kind, Coded]) -> None:
    """Write codes into ``dbo.Code``, in place of those that are there; none leave it as it is."""
    if not kinds:
        return
    conn.execute("CREATE OR REPLACE TABLE dbo.Code (Kind VARCHAR, ID BIGINT, Code VARCHAR)")
    for kind, coded in kinds.items():
        conn.register("coded", pa.table({"ID": coded.numbers, "Code": coded.codes}))
        conn.execute(f"INSERT INTO dbo.Code SELECT '{kind}', ID, Code FROM coded ORDER BY ID")
        conn.unregister("coded")
