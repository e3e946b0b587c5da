"""A command that is forked, as most tests have it, is one that is started, without the imports."""

import pytest

from tests.processes import TOOLKIT, run, start


@pytest.mark.parametrize(
    "asked", [("forecast", "--help"), ("check", "--db", "none.duckdb"), ("history", "--nonsense")]
)
def test_a_forked_command_ends_as_one_that_is_started(asked, tmp_path):
    forked, started = (
        run(*asked, cwd=tmp_path, COLUMNS=70),
        start(TOOLKIT, *asked, cwd=tmp_path, COLUMNS=70),
    )
    assert forked.returncode == started.returncode
    assert (forked.stdout, forked.stderr) == (started.stdout, started.stderr)
    assert forked.args == started.args
