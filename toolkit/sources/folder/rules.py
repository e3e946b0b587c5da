"""Rules that rows of a relation must meet, counted all in one pass, and shown by example."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import duckdb

from toolkit.data.tables import MAX_AMOUNT
from toolkit.data.zones import EASTERNMOST, today_in
from toolkit.errors import Finding
from toolkit.sources.folder.files import EXAMPLES, ID, LAYOUT, MOMENT, Staged, shown

EARLIEST = "1990-01-01"
LATEST = "3000-01-01"
TURN_ROUND = (
    "has the year last, so that day and month cannot be told apart: write 2024-01-31, which "
    "pandas.to_datetime(…, dayfirst=True) makes of 31/01/2024"
)
EXCEL = (
    "is written like 1.23457E+12: a spreadsheet has cut its digits; show the column there as a "
    "number without decimals or as text, and export it again"
)
_CUT = "[0-9][.,][0-9]+E[+][0-9]{2,}"
_NO_YEAR = "1000-01-01"
_YEAR_LAST = r"^\s*\d{1,2}[./-]\d{1,2}[./-]\d{2}(\d{2})?\b"


@dataclass(frozen=True, slots=True)
class ImportRule:
    """Rows for which ``broken`` (SQL) holds break the rule; ``example`` (SQL) shows one."""

    text: str
    broken: str
    example: str
    needs: frozenset[str] = frozenset()


def beyond(column: str) -> str:
    """SQL for a finite number that is larger than any quantity or price, either way."""
    number = f"CAST({column} AS DOUBLE)"
    return f"isfinite({number}) AND abs({number}) > {MAX_AMOUNT}"


def findings(
    conn: duckdb.DuckDBPyConnection, table: str, relation: str, rules: Sequence[ImportRule]
) -> list[Finding]:
    """The rules that rows of ``relation`` break, in the order of the rules.

    ``table`` is what the relation is called in the findings.
    """
    if not rules:
        return []
    counted = ", ".join(f"count(*) FILTER (WHERE {rule.broken})" for rule in rules)
    counts = conn.execute(f"SELECT {counted} FROM {relation}").fetchone() or ()
    return [
        Finding(table, rule.text, rows, _examples(conn, relation, rule))
        for rule, rows in zip(rules, counts, strict=True)
        if rows
    ]


def _examples(conn: duckdb.DuckDBPyConnection, relation: str, rule: ImportRule) -> tuple[str, ...]:
    found = conn.execute(
        f"SELECT {rule.example} FROM {relation} WHERE {rule.broken} LIMIT {EXAMPLES}"
    ).fetchall()
    return shown(value for (value,) in found)


def folder_rules(staged: Staged, known: Sequence[str]) -> list[ImportRule]:
    """The rules for one table of a folder, as far as its columns are usable.

    ``known`` are the tables, among products and customers, whose ids can be looked up.
    """
    rules = [rule for column in LAYOUT[staged.table] for rule in _column_rules(staged, column)]
    if staged.table == "order_lines":
        rules += [
            *_value_rules(),
            *_moment_rules(staged.zone),
            *_unknown_id_rules(staged, known),
            _one_customer_per_order(),
        ]
    else:
        rules.append(_unique_id(staged.table))
    return [rule for rule in rules if rule.needs <= staged.columns]


def _column_rules(staged: Staged, column: str) -> Iterable[ImportRule]:
    kind = LAYOUT[staged.table][column]
    needs = frozenset({column})
    if column != "name" and column not in staged.unknown:
        yield ImportRule(f"{column} is null", f"raw_{column} IS NULL", "place", needs)
    unread = f"raw_{column} IS NOT NULL AND {column} IS NULL"
    example = f"place || ': ' || raw_{column}"
    if kind is ID:
        yield from _lost_digits(staged, column)
    said = staged.said.get(column)
    if kind is MOMENT and said is None:
        strange = f"({column} IS NULL OR {column} < DATE '{_NO_YEAR}')"  # 02-01-24 is in year 2
        turned = f"{strange} AND regexp_matches(CAST(raw_{column} AS VARCHAR), '{_YEAR_LAST}')"
        yield ImportRule(f"{column} {TURN_ROUND}", turned, example, needs)
        unread = f"{unread} AND NOT ({turned})"
    negation = "blank, or not" if column in staged.codes else "not"
    name = kind.name if said is None else f"{kind.name.partition(' (')[0]} ({said})"
    yield ImportRule(f"{column} is {negation} {name}", unread, example, needs)


def _lost_digits(staged: Staged, column: str) -> Iterable[ImportRule]:
    """Ids that may have been others before a program made floats of them."""
    example, needs = f"place || ': ' || raw_{column}", frozenset({column})
    if column in staged.codes:
        text = f"CAST(raw_{column} AS VARCHAR)"
        cut = f"{text} LIKE '%E+%' AND regexp_full_match({text}, '{_CUT}')"
        yield ImportRule(f"{column} {EXCEL}", cut, example, needs)
    if column in staged.inexact:
        limit = staged.inexact[column]
        yield ImportRule(
            f"{column} is a float, which may stand for another whole number from {limit} on: "
            "save the column as whole numbers (int64) or text",
            f"abs(raw_{column}) >= {limit}",
            f"place || ': ' || CAST(CAST(raw_{column} AS HUGEINT) AS VARCHAR)",
            needs,
        )


def _value_rules() -> Iterable[ImportRule]:
    def rule(text: str, broken: str, column: str) -> ImportRule:
        return ImportRule(text, broken, f"place || ': ' || raw_{column}", frozenset({column}))

    yield rule("quantity is not finite", "NOT isfinite(quantity)", "quantity")
    yield rule("quantity is 0", "quantity = 0", "quantity")
    yield rule(f"quantity is beyond {MAX_AMOUNT:g}", beyond("quantity"), "quantity")
    yield rule("unit_price is not finite", "NOT isfinite(unit_price)", "unit_price")
    not_above = "isfinite(unit_price) AND unit_price <= 0"
    yield rule("unit_price is not above 0", not_above, "unit_price")
    yield rule(f"unit_price is beyond {MAX_AMOUNT:g}", beyond("unit_price"), "unit_price")


def _moment_rules(zone: str | None) -> Iterable[ImportRule]:
    """Without a zone, today is the latest date that any place has."""
    example, needs = "place || ': ' || raw_ordered_at", frozenset({"ordered_at"})
    after = today_in(zone or EASTERNMOST) + timedelta(1)
    outside = f"ordered_at < DATE '{EARLIEST}' OR ordered_at >= DATE '{after}'"
    yield ImportRule(f"ordered_at lies outside {EARLIEST} … today", outside, example, needs)
    zoneless = (
        "ordered_at IS NOT NULL AND NOT has_zone"
        " AND (SELECT bool_or(has_zone) FROM staged_order_lines)"
    )
    told = "ordered_at has no time zone, where other rows have one"
    yield ImportRule(told, zoneless, example, needs)


def _unknown_id_rules(staged: Staged, known: Sequence[str]) -> Iterable[ImportRule]:
    for table, column in (("products", "product_id"), ("customers", "customer_id")):
        if table in known:
            code = staged.codes.get(column)
            how = "" if code is None else f" (compared as text, as {code} is)"
            yield ImportRule(
                f"{column} is not in {table}{how}",
                f"{column} NOT IN (SELECT {column} FROM staged_{table} WHERE {column} IS NOT NULL)",
                f"place || ': ' || {column}",
                frozenset({column}),
            )


def _one_customer_per_order() -> ImportRule:
    return ImportRule(
        "order_id belongs to more than one customer",
        "order_id IN (SELECT order_id FROM staged_order_lines GROUP BY order_id"
        " HAVING min(customer_id) <> max(customer_id))",
        "place || ': order ' || order_id || ', customer ' || customer_id",
        frozenset({"order_id", "customer_id"}),
    )


def several_categories(conn: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Products of the staged order lines that have several categories, with all of them."""
    relation = (
        "(SELECT product_id, string_agg(DISTINCT category, ', ' ORDER BY category) AS listed"
        " FROM staged_order_lines GROUP BY product_id HAVING count(DISTINCT category) > 1"
        " ORDER BY product_id)"
    )
    several = ImportRule("products with several categories", "TRUE", "product_id || ': ' || listed")
    return findings(conn, "order_lines", relation, [several])


def _unique_id(table: str) -> ImportRule:
    column = next(iter(LAYOUT[table]))
    return ImportRule(
        f"{column} is not unique",
        f"{column} IN (SELECT {column} FROM staged_{table} GROUP BY {column} HAVING count(*) > 1)",
        f"place || ': ' || {column}",
        frozenset({column}),
    )
