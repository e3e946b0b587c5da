"""Columns of ids that came as text: whether they hold codes, and blanks around them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb

from toolkit.data.ids import BLANKS

ID_TEXT_TYPES = ("VARCHAR", "UUID")
"""DuckDB types of ids that may be codes."""

_BLANK = r"[\s\x{b}\x{a0}]"  # one of BLANKS
_PADDED = f"^{_BLANK}|{_BLANK}$"
# A leading zero, a plus sign or an exponent would be lost in a number. Blank text tells nothing.
_WHOLE = r"((-?[1-9][0-9]{0,%s}|0)(\.0*)?)?"
_CERTAIN, _POSSIBLE = (f"{_BLANK}*{_WHOLE % digits}{_BLANK}*" for digits in (17, 18))
_FLOAT = rf"{_BLANK}*-?(0|[1-9][0-9]{{0,17}})[.]0{_BLANK}*"  # a whole number as floats are written
_PARTED = rf"{_BLANK}*[0-9]+[.]([0-9]*[1-9][0-9]*|0[0-9]+){_BLANK}*"  # where 1.0 stands beside 1.1
_INVISIBLE = r"[\x{ad}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2064}\x{feff}]"
_SEEN = "id_texts_seen"
MISSING = ("NULL", "null", "Null", "N/A", "n/a", "#N/A", "nan", "NaN", "None", "<NA>", "NaT")
"""What programs write where an id is missing."""


@dataclass(frozen=True, slots=True)
class IdTexts:
    """One column of ids that came as text: rows with blanks around, rows with codes, and a code.

    A code is text that is no whole number of 64 bits, or is written as none (``00042``).
    ``invisible`` are the codes with signs that nobody sees. ``floats`` counts whole numbers among
    codes that a program wrote as floats (``17850.0``), which it does where some are missing.
    ``plain``: all are whole numbers as they are written anywhere, or missing.
    """

    padded: int = 0
    codes: int = 0
    example: str | None = None
    invisible: tuple[str, ...] = ()
    floats: int = 0
    plain: bool = False


PLAIN = IdTexts(plain=True)


def read_id_texts(
    conn: duckdb.DuckDBPyConnection, relation: str, types: Mapping[str, str], columns: Iterable[str]
) -> dict[str, IdTexts]:
    """What those of the columns hold that came as text, by column."""
    asked = [column for column in columns if types.get(column) in ID_TEXT_TYPES]
    if not asked:
        return {}
    odd = ", ".join(
        f"count(*) FILTER (CAST(TRY_CAST({_text(c)} AS BIGINT) AS VARCHAR)"
        f" IS DISTINCT FROM {_text(c)})"
        for c in asked
    )
    counts = conn.execute(f"SELECT {odd} FROM {relation}").fetchall()[0]
    return {
        column: _texts_of(conn, relation, column) if rows else PLAIN
        for column, rows in zip(asked, counts, strict=True)
    }


def _text(column: str) -> str:
    return f'CAST("{column}" AS VARCHAR)'


def _texts_of(conn: duckdb.DuckDBPyConnection, relation: str, column: str) -> IdTexts:
    text = _text(column)
    conn.execute(
        f"CREATE OR REPLACE TEMP TABLE {_SEEN} AS"
        f" SELECT {text} AS text, count(*) AS n FROM {relation} GROUP BY ALL"
    )

    def rows(fitting: str) -> str:
        return f"CAST(coalesce(sum(n) FILTER ({fitting}), 0) AS BIGINT)"

    padded, codes, floats, parted = conn.execute(
        f"SELECT {rows(f"regexp_matches(text, '{_PADDED}')")}, {rows(_is_code('text'))},"
        f" {rows(f"regexp_full_match(text, '{_FLOAT}')")},"
        f" {rows(f"regexp_full_match(text, '{_PARTED}')")} FROM {_SEEN}"
    ).fetchall()[0]
    hidden = conn.execute(
        f"SELECT text FROM {_SEEN} WHERE regexp_matches(text, '{_INVISIBLE}') ORDER BY 1"
    ).fetchall()
    conn.execute(f"DROP TABLE {_SEEN}")
    if not codes:
        return IdTexts(padded)
    ((example,),) = conn.execute(
        f"SELECT {text} FROM {relation} WHERE {_is_code(text)} LIMIT 1"
    ).fetchall()
    invisible = tuple(code for (code,) in hidden)
    return IdTexts(padded, codes, example.strip(BLANKS), invisible, 0 if parted else floats)


def _is_code(text: str) -> str:
    """Nineteen digits may be too many for 64 bits; fewer need not be tried, which takes longer."""
    return (
        f"NOT regexp_full_match({text}, '{_CERTAIN}') AND NOT"
        f" (regexp_full_match({text}, '{_POSSIBLE}')"
        f" AND TRY_CAST({trimmed_sql(text)} AS BIGINT) IS NOT NULL)"
    )


def escaped(text: str) -> str:
    """A text whose signs that cannot be seen are written out.

    >>> escaped("A\u200b, B")
    'A\\\\u200b, B'
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def trimmed_sql(text: str) -> str:
    """Text without blanks around it."""
    return f"trim({text}, '{BLANKS}')"


def code_sql(text: str, padded: bool, floats: bool) -> str:
    """Text as a code, as ``plain_code`` makes it; NULL where it is blank.

    With ``floats``, whole numbers that are written as floats are codes without their ``.0``.
    """
    plain = trimmed_sql(text) if padded else text
    if floats:
        whole = f"regexp_full_match({text}, '{_FLOAT}')"
        plain = f"CASE WHEN {whole} THEN {without_zero(plain)} ELSE {plain} END"
    return f"nullif(nfc_normalize({plain}), '')"


def without_zero(text: str) -> str:
    """SQL for a text without the ``.0`` that floats end in."""
    return f"regexp_replace({text}, '[.]0$', '')"
