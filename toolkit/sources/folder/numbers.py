"""How the numbers of a table are written, as far as its texts leave no other reading.

As for dates (``values.py``), each way of writing is tried on the distinct texts. Files of one table
are read in one way, unless no way reads what each of them holds: then each is read in its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import duckdb

from toolkit.sources.folder.mapping import PER_FILE
from toolkit.sources.folder.questions import Answer, Question, choice_of_decimal
from toolkit.sources.folder.seen import (
    Seen,
    best_by_part,
    best_of,
    differing,
    only_read_by,
    unread,
)

_NUMBERS = [pair.split("|") for pair in (".|", ".|,", ",|.", ".|'", ",|'", ".| ", ",| ", ",|")]
"""Decimal signs, and what sets thousands apart."""


@dataclass(frozen=True, slots=True)
class NumberReading:
    """How numbers are read: their signs, SQL by column, and what has to be asked or told."""

    decimal: str = "."
    thousands: str = ""
    casts: Mapping[str, str] = field(default_factory=dict)
    question: Question | None = None
    notices: tuple[tuple[str, int], ...] = ()

    @property
    def said(self) -> str:
        """In words, if it is not the usual way."""
        if not self.casts:
            return ""
        if self.decimal == PER_FILE:
            return "decimal dot or comma, as each file has it"
        apart = f", thousands apart by {_NAMES[self.thousands]}" if self.thousands else ""
        return f"decimal {_NAMES[self.decimal]}{apart}"


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of a table: SQL for the index of the one that a row is of, and their names."""

    index: str = "0"
    names: tuple[str, ...] = ("",)


ONE = Parts()
_USUAL = {"": "TRY_CAST(text AS DOUBLE)"}
_NAMES = {".": "dot", ",": "comma", " ": "blank", "'": "apostrophe"}


def read_numbers(
    conn: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[str],
    decimal: str | None,
    thousands: str | None,
    parts: Parts = ONE,
) -> NumberReading:
    """How columns of texts write their numbers: all in one way, or each file in its own."""
    asked = decimal is not None or thousands is not None
    strange = sum(unread(conn, relation, c, f'TRY_CAST("{c}" AS DOUBLE)') for c in columns)
    dotted = _dotted(conn, relation, columns)
    if not columns or not (asked or strange or dotted):
        return NumberReading()
    several = len(parts.names) > 1
    with Seen(conn, relation, columns, parts.index if several else "0"):
        if decimal == PER_FILE or (several and not asked):
            casts = {**_USUAL, **{d + t: _number_cast(d, t) for d, t in _NUMBERS}}
            best = best_by_part(conn, casts)
            common = [way for way in casts if all(way in ways for ways in best.values())]
            if decimal == PER_FILE or not common:
                return _each_file(conn, columns, casts, best, parts, decimal == PER_FILE)
        ways = [(d, t) for d, t in _NUMBERS if decimal in (None, d) and thousands in (None, t)]
        reading = _all_files(conn, columns, ways, asked, dotted)
        if asked or not several or reading.question is not None:
            return reading
        return replace(reading, question=_question_of_a_file(conn, casts, best, common[0], parts))


def _all_files(
    conn: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    ways: Sequence[tuple[str, str]],
    asked: bool,
    dotted: Iterable[tuple[str, int, str]],
) -> NumberReading:
    casts = {d + t: _number_cast(d, t) for d, t in ways}
    if not casts:
        return NumberReading()
    if not asked:
        casts = {**_USUAL, **casts}
    best = best_of(conn, casts)
    question = None if asked else _number_question(conn, casts, best)
    chosen = best[0] if best else ""
    if not asked and question is None:
        question = _mixed_question(conn, casts, chosen)
    if not chosen:
        return NumberReading(question=question, notices=tuple(_told(dotted)))
    made = {column: casts[chosen].replace("text", f'"{column}"') for column in columns}
    return NumberReading(chosen[0], chosen[1:], made, question)


def _each_file(
    conn: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    casts: Mapping[str, str],
    best: Mapping[int, Sequence[str]],
    parts: Parts,
    asked: bool,
) -> NumberReading:
    """Each file in its own way; one that two ways fit is a question, unless that is ``asked``."""
    cases = " ".join(f"WHEN {part} THEN {casts[ways[0]]}" for part, ways in best.items())
    cast = f"CASE {parts.index} {cases} END" if cases else _USUAL[""]
    made = {column: cast.replace("text", f'"{column}"') for column in columns}
    open_ = {part: _two_readings(conn, casts, ways, part) for part, ways in best.items()}
    told = [f"numbers in {parts.names[part]} {said}" for part, said in open_.items() if said]
    if asked:
        notices = tuple((f"{said}: the first is taken", 0) for said in told)
        return NumberReading(PER_FILE, "", made, notices=notices)
    question = None
    if told:
        question = Question(
            f"{told[0]}, and the other files are written in both ways",
            f"write that file as one of them is, or give --decimal {PER_FILE} for the first",
            (Answer("the first", {"decimal": PER_FILE}),),
        )
    return NumberReading(PER_FILE, "", made, question)


def _two_readings(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], ways: Sequence[str], part: int
) -> str | None:
    for other in ways[1:]:
        found = differing(conn, casts[ways[0]], casts[other], part)
        if found is not None:
            text, one, another = found
            return f"may have a decimal {_sign(ways[0])} or {_sign(other)} " + (
                f"({text} is {one:.12g} or {another:.12g})"
            )
    return None


def _question_of_a_file(
    conn: duckdb.DuckDBPyConnection,
    casts: Mapping[str, str],
    best: Mapping[int, Sequence[str]],
    chosen: str,
    parts: Parts,
) -> Question | None:
    """Where a file by itself would be read otherwise than beside the others."""
    for part, ways in best.items():
        found = differing(conn, casts[chosen], casts[ways[0]], part)
        if found is not None:
            text, together, alone = found
            sign, name = (chosen or ".")[0], parts.names[part]
            return Question(
                f"numbers in {name} may have a decimal {_sign(chosen)} as other files do, or a "
                f"{_sign(ways[0])} ({text} is {together:.12g} or {alone:.12g})",
                f"give --decimal {sign} for all files, or --decimal {PER_FILE} to read each by "
                "itself",
                (
                    Answer(f"{_sign(chosen)}, {text} is {together:.12g}", {"decimal": sign}),
                    Answer(f"each file by itself, {text} is {alone:.12g}", {"decimal": PER_FILE}),
                ),
            )
    return None


def _sign(way: str) -> str:
    return _NAMES[(way or ".")[0]]


def _number_cast(decimal: str, thousands: str) -> str:
    """SQL for a number, NULL where it is written otherwise; the sign may come last."""
    point = "[.]" if decimal == "." else ","
    apart = {"": "", " ": r"[ \x{a0}\x{202f}]", "'": "['’]"}.get(thousands, f"[{thousands}]")
    apart = apart.replace("'", "''")
    whole = rf"([1-9][0-9]{{0,2}}({apart}[0-9]{{3}})+|[0-9]+)" if apart else "[0-9]+"
    pattern = rf"[+-]?({whole}({point}[0-9]*)?|{point}[0-9]+)-?"
    kept = f"regexp_replace(trim(text), '{apart}', '', 'g')" if apart else "trim(text)"
    number = f"replace({kept}, '{decimal}', '.')"
    turned = f"CASE WHEN {number} LIKE '%-' THEN '-' || rtrim({number}, '-') ELSE {number} END"
    fits = f"regexp_full_match(trim(text), '{pattern}')"
    return f"CASE WHEN {fits} THEN TRY_CAST({turned} AS DOUBLE) END"


def _number_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], best: Sequence[str]
) -> Question | None:
    for other in best[1:]:
        found = differing(conn, casts[best[0]], casts[other])
        if found is not None:
            text, one, another = found
            signs = [(way or ".")[0] for way in (best[0], other)]
            said = [
                f"decimal {_NAMES[sign]}: {text} is {value:.12g}"
                for sign, value in zip(signs, (one, another), strict=True)
            ]
            return choice_of_decimal(
                f"numbers may have a decimal {_NAMES[signs[0]]} or {_NAMES[signs[1]]} "
                f"({text} is {one:.12g} or {another:.12g})",
                dict(zip(signs, said, strict=True)),
            )
    return None


def _mixed_question(
    conn: duckdb.DuckDBPyConnection, casts: Mapping[str, str], chosen: str
) -> Question | None:
    """Where some numbers can only have a decimal dot, others only a comma, none is certain."""
    one = casts[chosen]
    if only_read_by(conn, "text", one)[0] is None:  # it reads all
        return None
    for other in (way for way in casts if _sign(way) != _sign(chosen)):
        either = differing(conn, one, casts[other])
        only_one, only_other = only_read_by(conn, one, casts[other])
        if either is None or only_one is None or only_other is None:
            continue
        text, this, that = either
        signs = {way: (way or ".")[0] for way in (chosen, other)}
        return choice_of_decimal(
            f"numbers are written both with a decimal {_sign(chosen)} ({only_one}) and with a "
            f"decimal {_sign(other)} ({only_other}), so that {text} may be either",
            {
                signs[chosen]: f"decimal {_sign(chosen)}: {text} is {this:.12g}",
                signs[other]: f"decimal {_sign(other)}: {text} is {that:.12g}",
            },
        )
    return None


def _dotted(
    conn: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]
) -> list[tuple[str, int, str]]:
    """Columns with texts like ``1.000``: how many, and whether all, or all with a dot, are so."""
    found = []
    for column in columns:
        shaped = f"regexp_full_match(\"{column}\", '-?[1-9][0-9]{{0,2}}([.][0-9]{{3}})+')"
        every, with_dot, those = conn.execute(
            f'SELECT count("{column}"), count(*) FILTER (WHERE "{column}" LIKE \'%.%\'),'
            f" count(*) FILTER (WHERE {shaped}) FROM {relation}"
        ).fetchall()[0]
        if those:
            how = {
                with_dot: "is written like 1.000 wherever it has a dot",
                every: "is always written like 1.000",
            }.get(those, "")
            found.append((column, those, how))
    return found


def _told(dotted: Iterable[tuple[str, int, str]]) -> Iterable[tuple[str, int]]:
    for column, rows, how in dotted:
        if how:
            yield (
                f"{column} {how}, which is read as 1; if its dots set thousands apart, write it "
                "without them",
                rows,
            )
