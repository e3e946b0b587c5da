"""Every way a SQL Server fails, played over real sockets, and what becomes of it."""

import logging
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.sources.helpers import assert_same_events
from tests.sources.sales import QUICK, strikes
from tests.tds.faults import DEADLOCK, DENIED, LOCK_TIMEOUT, Drop, Fail, Stall
from tests.tds.server import PASSWORD
from toolkit.errors import SourceError
from toolkit.sources.generator import Truth
from toolkit.sources.sql import as_source, sqlserver_source
from toolkit.sources.sqlserver.dialect import connect
from toolkit.sources.sqlserver.faults import PATIENCE, Patience

AS_OF = Truth().start_date.replace(month=9)
AT_ONCE, TWICE = Patience((), ()), Patience((0.01,), (0.01,))
MANY = Drop(after_bytes=1500)


def events(sales, connection, patience=QUICK):
    return sqlserver_source(connection, patience=patience).order_events(AS_OF)


@pytest.fixture
def expected(sales):
    return as_source(sales.duck).order_events(AS_OF)


@pytest.fixture(params=["steady", "pool"])
def renewed(request, sales):
    """Connections that somebody replaces when they are dead."""
    if request.param == "steady":
        with closing(sales.steady()) as connection:
            yield connection
        return
    pool = sales.pool(1)
    with closing(pool.connection()) as connection:
        yield connection
    pool.close()


@pytest.fixture
def limited(sales):
    """A query may take a second; afterwards as long as it likes."""
    yield {"query_timeout_seconds": 1}
    sales.forget_time_limit()


PASSING = {
    "deadlock victim": DEADLOCK,
    "deadlock victim in the middle": Fail(1205, "victim", 13, after_rows=50),
    "lock time-out": LOCK_TIMEOUT,
    "dropped before the answer": Drop(),
    "dropped without a farewell": Drop(reset=True),
    "dropped in the middle": MANY,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_tried_again(sales, renewed, expected, fault, caplog):
    sales.server.on_batch = strikes(fault, times=3)
    with caplog.at_level(logging.WARNING, logger="toolkit.sources.sqlserver.faults"):
        assert_same_events(events(sales, renewed), expected)
    assert len(caplog.messages) == 3
    assert caplog.messages[0].startswith("order events: ")
    assert len(sales.server.seen.queries) == 4


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_but_not_for_ever(sales, renewed, fault):
    sales.server.on_batch = strikes(fault, times=4)
    with pytest.raises(SourceError, match=r"order events could not be read: .*, 4 times") as caught:
        events(sales, renewed)
    assert caught.value.transient
    assert caught.value.number == getattr(fault, "number", 20017) or caught.value.number == 20047
    assert len(sales.server.seen.queries) == 4


def test_a_session_that_the_server_ended_is_opened_again(sales, renewed, expected):
    sales.server.on_batch = strikes(Fail(596, "the session is being killed", 21))
    assert_same_events(events(sales, renewed), expected)
    assert len(sales.server.seen.logins) == 2


@pytest.mark.parametrize(
    ("fault", "pauses"), [(DEADLOCK, ["0.1", "0.2"]), (Drop(), ["0.3", "0.4", "0.5"])]
)
def test_what_is_dead_takes_other_pauses(sales, fault, pauses, caplog):
    """A deadlock is over at once; a server that starts again takes a while."""
    sales.server.on_batch = lambda sql: fault
    patience = Patience((0.1, 0.2), (0.3, 0.4, 0.5))
    with closing(sales.steady()) as connection, pytest.raises(SourceError):
        events(sales, connection, patience)
    assert [said.rpartition("trying again in ")[2] for said in caplog.messages] == [
        f"{pause} s" for pause in pauses
    ]


def test_the_pauses_are_those_of_the_guide():
    guide = (Path(__file__).parents[2] / "docs" / "sql_server.md").read_text()
    said = " ".join(guide.split())
    for pauses, dead in ((PATIENCE.pauses_seconds, False), (PATIENCE.dead_pauses_seconds, True)):
        *first, last = [f"{pause:g}" for pause in pauses]
        assert f"after {', '.join(first)} and {last} s" in said
        waited = [PATIENCE.pause(attempt, 0, dead) for attempt in range(1, len(pauses) + 2)]
        assert waited == [*pauses, None]
    assert f"within {PATIENCE.total_seconds:g} s" in said
    assert PATIENCE.pause(1, PATIENCE.total_seconds, dead=True) is None


def test_nor_longer_than_the_limit(sales):
    sales.server.on_batch = lambda sql: DEADLOCK
    limited = Patience(tuple(0.05 * 2**i for i in range(100)), total_seconds=2)
    begun = time.monotonic()
    with closing(sales.connect()) as connection, pytest.raises(SourceError, match="1205"):
        events(sales, connection, limited)
    assert time.monotonic() - begun < 60
    assert 1 < len(sales.server.seen.queries) < 10  # pauses of 50, 100, 200, … ms


LASTING = {
    229: DENIED,
    208: Fail(208, "Invalid object name 'dbo.OrderItem'."),
    207: Fail(207, "Invalid column name 'Qty'."),
    8623: Fail(8623, "The query processor ran out of internal resources."),
}


@pytest.mark.parametrize(("number", "fault"), LASTING.items(), ids=map(str, LASTING))
def test_what_lasts_fails_at_once(sales, renewed, number, fault):
    sales.server.on_batch = lambda sql: fault
    with pytest.raises(SourceError) as caught:
        events(sales, renewed)
    assert caught.value.number == number
    assert not caught.value.transient
    text = str(caught.value)
    assert text.startswith("order events could not be read: ")
    assert text.endswith(f"({number})")
    assert "DB-Lib" not in text
    assert "\n" not in text
    assert len(sales.server.seen.queries) == 1


@pytest.mark.parametrize("number", [20047, 22001, 40544, 50001])
def test_the_servers_own_errors_keep_number_and_words(sales, renewed, number):
    """Whatever their number: the driver's own ones begin at 20000, too."""
    sales.server.on_batch = lambda sql: Fail(number, "Orders are closed for stocktaking.")
    with pytest.raises(SourceError) as caught:
        events(sales, renewed)
    assert str(caught.value).endswith(f": Orders are closed for stocktaking ({number})")
    assert caught.value.number == number
    assert not caught.value.transient
    assert len(sales.server.seen.queries) == 1


def test_what_is_missing_or_denied_is_named(sales):
    with closing(sales.steady()) as connection:
        for statement, named in (
            ("ALTER TABLE dbo.OrderItem DROP Qty", "a column is missing.*Qty"),
            ("DROP TABLE dbo.OrderItem", "a table is missing.*OrderItem"),
        ):
            sales.duck.execute(statement)
            with pytest.raises(SourceError, match=named):
                events(sales, connection)
        sales.server.on_batch = lambda sql: DENIED
        with pytest.raises(SourceError, match=r"permission to read is denied.*'OrderItem'"):
            events(sales, connection)


def test_a_connection_without_a_pool_is_not_replaced(sales, expected):
    with closing(sales.connect()) as connection:
        assert_same_events(events(sales, connection), expected)
        sales.server.on_batch = strikes(MANY)
        with pytest.raises(SourceError, match=r"the connection broke \(20017\)$") as caught:
            events(sales, connection)
        assert caught.value.transient
        with pytest.raises(SourceError, match=r"the connection is closed$"):
            events(sales, connection)
    assert len(sales.server.seen.logins) == 1
    assert len(sales.server.seen.queries) == 2


def test_a_deadlock_needs_no_other_connection(sales, expected):
    sales.server.on_batch = strikes(DEADLOCK, times=2)
    with closing(sales.connect()) as connection:
        assert_same_events(events(sales, connection), expected)
    assert len(sales.server.seen.logins) == 1


def test_a_pool_as_it_comes_tries_again_by_itself(sales, expected):
    """Without ``failures`` it repeats whatever fails, what lasts included; nothing is lost."""
    pool = sales.pool(1, failures=None)
    with closing(pool.connection()) as connection:
        for fault in (DEADLOCK, MANY, Drop()):
            sales.server.on_batch = strikes(fault)
            assert_same_events(events(sales, connection), expected)
        sales.server.on_batch = lambda sql: DENIED
        with pytest.raises(SourceError, match="229"):
            events(sales, connection)
    pool.close()


@pytest.mark.parametrize("rows", [None, 50])
def test_a_slow_query_ends_at_its_limit_and_is_tried_again(sales, expected, limited, rows):
    sales.server.on_batch = strikes(Stall(60, after_rows=rows))
    begun = time.monotonic()
    with closing(sales.steady(**limited)) as connection:
        assert_same_events(events(sales, connection), expected)
        sales.server.on_batch = lambda sql: Stall(60, after_rows=rows)
        with pytest.raises(SourceError, match=r"did not answer in time \(20003\)$"):
            events(sales, connection, AT_ONCE)
    assert time.monotonic() - begun < 40


def test_a_result_that_breaks_off_is_never_taken_for_a_whole_one(sales):
    """The connection ends after every so many bytes of the answer."""
    ids = [i for (i,) in sales.duck.execute("SELECT ID FROM dbo.Client LIMIT 3").fetchall()]
    whole = as_source(sales.duck).customer_names(ids)
    broken = complete = 0
    for length in range(1, 400, 9):
        sales.server.on_batch = strikes(Drop(after_bytes=length))
        with closing(sales.connect()) as connection:
            try:
                found = sqlserver_source(connection, patience=AT_ONCE).customer_names(ids)
            except SourceError:
                broken += 1
            else:
                assert found == whole
                complete += 1
    assert broken > 10
    assert complete > 10


CONNECTING = {
    "refused": ({"port": 1}, (20009,), "no server answers at this address"),
    "no such host": ({"host": "no.such.host.invalid"}, (20009,), "there is no such host"),
    "bad password": ({"password": "wr0ng"}, (18456,), "user or password are not accepted"),
    "unknown user": ({"user": "nobody"}, (18456,), "user or password are not accepted"),
    # The first failure of a process does not show that the login itself would have done.
    "unknown database": ({"database": "Other"}, (4060, 18456), "there is no such database"),
    "no encryption there": ({"encryption": "require"}, (20002,), "not with this encryption"),
}


@pytest.mark.parametrize("first", CONNECTING)
def test_a_failed_connect_says_what_it_was_whatever_failed_before(sales, first):
    """The driver repeats the number of an earlier failure, and drops the server's words."""
    begin = list(CONNECTING).index(first)
    names = [*CONNECTING][begin:] + [*CONNECTING][:begin]
    for name in names:
        changed, numbers, meaning = CONNECTING[name]
        settings = sales.settings(**changed)
        with pytest.raises(SourceError, match=meaning) as caught, connect(settings, TWICE):
            pass
        assert caught.value.number in numbers, name
        assert str(settings) in str(caught.value)
        assert settings.password not in str(caught.value)
        assert "DB-Lib" not in str(caught.value)
        with connect(sales.settings()):
            pass


def test_a_refused_login_is_not_tried_again(sales):
    with (
        pytest.raises(SourceError, match="18456"),
        connect(sales.settings(password="wr0ng"), QUICK),
    ):
        pass
    assert len(sales.server.seen.logins) == 1


REFUSALS = {
    "a password": Fail(18456, "Login failed for user 'reader'.", 14),
    "a database": Fail(4060, 'Cannot open database "Sales" requested by the login.', 11),
    "a start": Fail(17187, "SQL Server is not ready to accept new client connections.", 16),
}


@pytest.mark.parametrize("fault", REFUSALS.values(), ids=REFUSALS)
def test_a_login_that_was_accepted_before_may_pass(sales, renewed, expected, fault):
    """A database that recovers, or fails over, refuses logins."""
    assert_same_events(events(sales, renewed), expected)
    sales.server.on_batch, sales.server.on_login = strikes(Drop()), strikes(fault, times=2)
    assert_same_events(events(sales, renewed), expected)
    assert len(sales.server.seen.logins) == 4
    sales.server.on_batch, sales.server.on_login = strikes(Drop()), lambda login: fault
    with pytest.raises(SourceError, match=", 4 times") as caught:
        events(sales, renewed)
    assert caught.value.transient


AWAY = Fail(40613, "Database 'Sales' is not currently available.", 17)


@pytest.mark.parametrize("fault", [REFUSALS["a start"], AWAY], ids=["start", "away"])
def test_a_server_that_starts_is_waited_for(sales, fault):
    for _ in range(2):  # the second time, the driver leaves out the server's words
        sales.server.on_login = strikes(fault, times=2)
        with connect(sales.settings(), QUICK) as connection:
            assert len(events(sales, connection)) > 0


UNKNOWN_HOST = """
from toolkit.errors import SourceError
from toolkit.sources.sqlserver.dialect import connect
from toolkit.sources.sqlserver.faults import Patience
from toolkit.sources.sqlserver.settings import SqlServerSettings

try:
    with connect(SqlServerSettings("no.such.host.invalid", "r", "S", "p"), Patience((), (0.01,))):
        pass
except SourceError as exc:
    print(exc.number, exc.transient, exc)
"""


def test_an_unknown_host_is_named_even_where_nothing_failed_before():
    """The driver says nothing then; so this is a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN_HOST], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(
        "20009 True cannot connect to mssql://r:***@no.such.host.invalid:1433/S: "
        "there is no such host (20009), 2 times"
    )


def test_a_server_that_comes_up_late_is_waited_for(sales):
    sales.server.on_login = strikes(Drop(), times=2)
    with connect(sales.settings(), QUICK) as connection:
        assert len(events(sales, connection)) > 0
    assert len(sales.server.seen.logins) == 3


def test_a_silent_server_is_given_up_at_the_limit(sales):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = sales.settings(port=silent.getsockname()[1], login_timeout_seconds=1)
        begun = time.monotonic()
        with (
            pytest.raises(SourceError, match=r"did not answer in time \(20003\)") as caught,
            connect(settings, AT_ONCE),
        ):
            pass
    assert time.monotonic() - begun < 10
    assert caught.value.transient


def test_a_server_that_falls_silent_in_the_login_is_given_up_too(sales):
    sales.server.on_login = lambda login: Stall(60)
    with (
        pytest.raises(SourceError, match="20003"),
        connect(sales.settings(login_timeout_seconds=1), AT_ONCE),
    ):
        pass


def test_nothing_shows_the_password(sales, caplog, capfd):
    sales.server.on_batch = strikes(DEADLOCK, times=2)
    with caplog.at_level(logging.DEBUG), connect(sales.settings(), QUICK) as connection:
        events(sales, connection)
        shown = f"{connection.settings} {connection.settings!r} {connection!r}"
    out, err = capfd.readouterr()
    assert PASSWORD not in shown + caplog.text + out + err
