"""The T-SQL that is sent, kept in files: it is T-SQL, of 2016 and before, and reads only."""

import re

import pytest
import sqlglot
from sqlglot import exp

from tests.sources.golden import FOLDER, statements

FILES = sorted(FOLDER.glob("*.sql"))
QUERIES = [path for path in FILES if not path.stem.startswith("connect")]

# Each known to SQL Server 2016, and most since 2005.
FUNCTIONS = (
    exp.Abs, exp.And, exp.Case, exp.Cast, exp.Coalesce, exp.Count, exp.CurrentTimestamp, exp.Day,
    exp.Exists, exp.Floor, exp.If, exp.Max, exp.Month, exp.Or, exp.Round, exp.RowNumber, exp.Sum,
    exp.TsOrDsToDate, exp.Year,
)  # fmt: skip
NAMED = {"SERVERPROPERTY", "DB_NAME"}
FOREIGN = (
    exp.Offset, exp.Qualify, exp.Filter, exp.Array, exp.Interval, exp.Lambda, exp.ILike,
    exp.TryCast, exp.Boolean,
)  # fmt: skip
TYPES = {"BIGINT", "DATE", "DATETIME2", "DECIMAL", "DOUBLE", "INT", "NVARCHAR"}
SETTINGS = (
    r"SET (ANSI_NULLS|ANSI_PADDING|ANSI_WARNINGS|ARITHABORT|CONCAT_NULL_YIELDS_NULL"
    r"|QUOTED_IDENTIFIER) ON|SET TEXTSIZE \d+|SET DATEFORMAT ymd|SET LOCK_TIMEOUT \d+"
    r"|(IF \(SELECT [\w., =()]+\) = 1 )?SET TRANSACTION ISOLATION LEVEL (READ COMMITTED|SNAPSHOT)"
    r"|SET DEADLOCK_PRIORITY LOW|USE \[\w+\]"
)


def test_what_is_sent_is_what_the_files_hold():
    """After a change on purpose: ``python -m tests.sources.golden``, and look at the difference."""
    sent = statements()
    assert {path.stem: path.read_text(encoding="utf-8") for path in FILES} == sent
    assert len(sent) > 25


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_each_is_one_query_in_transact_sql(path):
    (parsed,) = sqlglot.parse(path.read_text(encoding="utf-8"), read="tsql")
    assert isinstance(parsed, exp.Select)
    for node in parsed.walk():
        assert not isinstance(node, FOREIGN), node.sql("tsql")
        if isinstance(node, exp.Anonymous):
            assert node.name.upper() in NAMED
        elif isinstance(node, exp.Func):
            assert isinstance(node, FUNCTIONS), type(node)
        elif isinstance(node, exp.DataType):
            assert node.this.name in TYPES
        elif isinstance(node, exp.Order):
            # A subquery may not be ordered by itself.
            top = node.parent.args.get("limit")
            assert isinstance(node.parent, exp.Window) or node.parent is parsed or top


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_the_server_sorts_only_what_has_to_be_sorted(path):
    text = path.read_text(encoding="utf-8")
    (parsed,) = sqlglot.parse(text, read="tsql")
    assert "LIMIT" not in text
    needed = path.stem.startswith(("all_order_events", "order_events", "customer_days"))
    assert bool(parsed.args.get("order")) == needed
    for limit in parsed.find_all(exp.Limit):
        assert limit.parent.args.get("order")


def test_the_latest_prices_are_looked_up_product_by_product():
    """Instead of numbering every line of each product."""
    for name in ("products_plain_01", "products_renamed_01"):
        text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        assert "OUTER APPLY (\n    SELECT TOP (25) CAST(oi.Created AS DATE) AS OrderDay" in text
        assert "ROW_NUMBER" not in text


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_what_is_computed_has_a_name(path):
    (parsed,) = sqlglot.parse(path.read_text(encoding="utf-8"), read="tsql")
    for select in parsed.find_all(exp.Select):
        assert all(column.alias_or_name for column in select.expressions)


def test_a_session_is_set_up_by_settings_only():
    batches = [path.read_text(encoding="utf-8") for path in FILES if path not in QUERIES]
    assert batches
    for batch in batches:
        for setting in filter(None, map(str.strip, re.split(r"[;\n]", batch))):
            assert re.fullmatch(SETTINGS, setting, re.IGNORECASE), setting
