"""The queries by themselves: what their SQL may hold so that both databases take it."""

import re

import pytest
import sqlglot

from toolkit.sources.queries import (
    CUSTOMER_DAYS,
    CUSTOMER_NAMES,
    ORDER_EVENTS,
    ORDER_EVENTS_OF_PRODUCTS,
    PRODUCTS,
)

QUERIES = [ORDER_EVENTS, ORDER_EVENTS_OF_PRODUCTS, CUSTOMER_DAYS, PRODUCTS, CUSTOMER_NAMES]


@pytest.fixture(params=QUERIES, ids=lambda query: query.subject)
def query(request):
    return request.param


def test_speaks_what_both_databases_understand(query):
    one_sided = r"\bTOP\b|\bLIMIT\b|\bFILTER\b|\bQUALIFY\b|\[|::|%|\bUSING\b|\bNULLS\b|\bDATE '"
    assert re.findall(one_sided, query.sql, re.IGNORECASE) == []


def test_the_table_order_is_quoted_everywhere(query):
    assert re.findall(r"dbo\.Order\b", query.sql) == []


def test_both_dates_are_cut_wherever_lines_are_read(query):
    lines = query.sql.count("FROM dbo.OrderItem")
    assert query.sql.count("o.Created < CAST(:as_of_date AS DATE)") == lines
    assert query.sql.count("oi.Created < CAST(:as_of_date AS DATE)") == lines


def test_lists_stand_only_where_dialects_look_for_them(query):
    listed = re.findall(r"(?<=IN \():(?:product|customer)_ids(?=\))", query.sql)
    assert len(listed) == len(re.findall(r":(?:product|customer)_ids", query.sql))


def test_columns_are_as_many_as_their_types(query):
    (parsed,) = sqlglot.parse(query.sql)
    assert len(parsed.selects) == len(query.dtypes)
