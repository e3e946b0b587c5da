"""T-SQL, turned into what DuckDB runs; and DuckDB's errors, into SQL Server's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from tests.tds.tokens import SqlError, SqlErrors

_SETTING = re.compile(
    r"\s*(?:IF\s*\((?P<condition>SELECT\s.*)\)\s*=\s*1\s+)?"
    r"(?P<text>(?:SET\s+(?!@)|USE\s|PRINT\s|DECLARE\s).*)",
    re.IGNORECASE | re.DOTALL,
)
_NO_COUNT = re.compile(r"\bSET\s+NOCOUNT\s+(ON|OFF)\b", re.IGNORECASE)
_TRANSACTION = re.compile(
    r"\s*(?:IF\s+@@TRANCOUNT\s*>\s*0\s+)?(BEGIN|COMMIT|ROLLBACK)\s+TRAN(?:SACTION)?\b[\s;]*",
    re.IGNORECASE,
)
_NUMBERS: Mapping[type[duckdb.Error], tuple[int, int]] = {
    duckdb.CatalogException: (208, 16),
    duckdb.BinderException: (207, 16),
    duckdb.ConversionException: (241, 16),
    duckdb.ConstraintException: (2627, 14),
    duckdb.ParserException: (102, 15),
    duckdb.TransactionException: (3930, 16),
}
_OTHER = (50000, 16)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a batch sets; ``condition``: a query that has to answer 1."""

    text: str
    condition: str | None


def settings(sql: str) -> list[Setting]:
    """What a batch of settings sets, if their conditions hold."""
    found = [_SETTING.match(part) for part in sql.split(";")]
    return [Setting(one["text"].strip(), one["condition"]) for one in found if one]


def is_setting(sql: str) -> bool:
    """Whether a batch only sets what DuckDB has no counterpart of."""
    return all(_SETTING.match(part) for part in sql.split(";") if part.strip())


def counts_rows(sql: str, before: bool) -> bool:
    """Whether results say how many rows they have, after a batch of settings."""
    found: list[str] = _NO_COUNT.findall(sql)
    return found[-1].upper() == "OFF" if found else before


def transaction(sql: str) -> tuple[str, str] | None:
    """``BEGIN``, ``COMMIT`` or ``ROLLBACK`` at the start of a batch, and what follows."""
    found = _TRANSACTION.match(sql)
    return (found[1].upper(), sql[found.end() :]) if found else None


def to_duckdb(sql: str, facts: Mapping[str, str]) -> list[str]:
    """The statements of a batch in DuckDB's SQL; ``facts``: text that is replaced first.

    Raises ``SqlErrors`` (102) for what is no T-SQL.
    """
    for name, value in facts.items():
        sql = re.sub(re.escape(name), value, sql, flags=re.IGNORECASE)
    return list(_translated(sql))


@lru_cache(maxsize=128)
def _translated(sql: str) -> tuple[str, ...]:
    try:
        parsed = sqlglot.parse(sql, read="tsql")
    except ParseError as exc:
        near = exc.errors[0].get("highlight", "")
        raise SqlErrors(SqlError(102, f"Incorrect syntax near '{near}'.", 15)) from exc
    return tuple(
        statement.transform(_substituted).sql(dialect="duckdb")
        for statement in parsed
        if statement is not None
    )


def sql_errors(exc: SqlErrors | duckdb.Error) -> tuple[SqlError, ...]:
    """The errors with the numbers that SQL Server has for them."""
    if isinstance(exc, SqlErrors):
        return exc.errors
    number, severity = _NUMBERS.get(type(exc), _OTHER)
    return (SqlError(number, str(exc).splitlines()[0], severity),)


def _substituted(node: exp.Expression) -> exp.Expression:
    """What DuckDB lacks, and the system view that both have but fill differently."""
    if isinstance(node, exp.DataType):
        return _type(node)
    if isinstance(node, exp.Join) and isinstance(node.this, exp.Lateral):
        # OUTER APPLY is a join without a condition; DuckDB wants one.
        node.set("side", "LEFT" if node.this.args.get("cross_apply") is False else None)
        node.set("on", exp.true())
        node.this.set("cross_apply", None)
    if isinstance(node, exp.National):
        return exp.Literal.string(node.this)
    return _computed(node)


def _computed(node: exp.Expression) -> exp.Expression:
    """What is computed otherwise."""
    if isinstance(node, exp.Anonymous):
        return _function(node)
    if isinstance(node, exp.Collate):
        collated: exp.Expression = node.this.transform(_substituted)
        return collated
    if isinstance(node, exp.Div):  # of whole numbers, all that are divided
        return exp.IntDiv(this=node.this.transform(_substituted), expression=node.expression)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Substring):
        hashed, length = node.this.this, node.this.args["length"]
        if isinstance(hashed, exp.SHA2):
            text = hashed.this.transform(_substituted)
            return exp.Anonymous(this="first_bytes", expressions=[text, length])
    if isinstance(node, exp.Table) and node.db.lower() == "information_schema":
        return exp.to_table(f"sys.information_schema_{node.name.lower()}", alias=node.alias or None)
    return node


def _type(node: exp.DataType) -> exp.DataType:
    if node.this in (exp.DataType.Type.MONEY, exp.DataType.Type.SMALLMONEY):
        return exp.DataType.build("DECIMAL(19,4)")
    return exp.DataType.build("BOOLEAN") if node.this == exp.DataType.Type.BIT else node


def _function(node: exp.Anonymous) -> exp.Expression:
    """Instants as what clocks in UTC show, which is the one offset that is asked for."""
    name, utc = str(node.this).upper(), exp.Literal.string("UTC")
    if name == "SWITCHOFFSET":
        return exp.AtTimeZone(this=node.expressions[0], zone=utc)
    if name == "SYSUTCDATETIME":
        return exp.AtTimeZone(this=exp.Anonymous(this="now", expressions=[]), zone=utc)
    return node
