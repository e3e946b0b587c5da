"""`toolkit promote`, `toolkit history` and `toolkit rollback`: words, JSON and exit codes."""

import json
import shutil
import sys
from datetime import date

import pytest

from backtests.evidence.gate import Gate
from toolkit.cache.releases.catalog import Releases, ReleaseSpec
from toolkit.cache.server import embedded_server
from toolkit.cli.app import main
from toolkit.tracking.history import EXPERIMENT, history
from toolkit.tracking.promotion import promote, roll_back, set_alias
from toolkit.tracking.registry import aliases
from toolkit.tracking.store import open_store

FORCED = ("--force", "--reason", "the [old] one is late")


@pytest.fixture
def store(promotable, tmp_path):
    shutil.copytree(promotable, tmp_path, dirs_exist_ok=True)
    return open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def toolkit(store, monkeypatch, capsys, tmp_path):
    """The command line with the store in its folder; gives the exit code and what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["toolkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


def test_promoting_shows_the_checks_and_what_comes_next(toolkit, store):
    code, out, _ = toolkit("promote", "inter-order@1")
    assert code == 0
    assert "against pair_conjugate" in out
    assert out.count("passed") == 8
    assert out.endswith(
        "is the champion.\n"
        "Next: `toolkit export --as-of DATE` makes its forecasts what production reads.\n"
    )
    code, out, _ = toolkit("promote", "inter-order@1")
    assert code == 0
    assert out.endswith("is the champion already; nothing has changed.\n")
    assert aliases(store) == {"champion": 1}


def test_brief_leaves_out_tables_and_nothing_that_has_to_be_known(toolkit, store):
    code, out, _ = toolkit("promote", "1", "--brief")
    assert (code, out.splitlines()[0][:26]) == (0, "8 of 8 checks passed: conv")
    assert out.splitlines()[-1].startswith("Next: ")
    code, out, _ = toolkit("promote", "pair_conjugate", "--brief")
    lines = out.splitlines()
    assert code == 1
    assert [line.startswith("FAILED ") for line in lines] == [True] * 5 + [False]
    code, out, _ = toolkit("history", "--brief")
    first, last = out.splitlines()
    entry = history(store).entries[0]
    assert first.split()[:4] == ["1", entry.when[:10], entry.when[11:16], "promote"]
    assert entry.event.to_fit in first
    assert last == f"The last entry has the hash {entry.hash}."


def test_a_refusal_lists_each_failed_check_with_its_figures_and_a_remedy(toolkit, store):
    toolkit("promote", "1")
    code, out, err = toolkit("promote", "pair_conjugate")
    assert (code, err) == (1, "")
    failed = [line for line in out.splitlines() if line.startswith("FAILED ")]
    assert [line.split(":")[0] for line in failed] == [
        "FAILED thresholds",
        "FAILED weeks inside their 80 % interval",
        "FAILED PIT of weeks, distance from uniform",
        "FAILED no worse on title of log_loss",
        "FAILED no worse on title of weighted_quantile_loss",
    ]
    assert "toolkit thresholds RUN --attach pair_conjugate@" in failed[0]
    assert "is not promoted. Next: fix the failed checks, or `--force --reason TEXT`" in out
    assert aliases(store) == {"champion": 1}
    code, out, _ = toolkit("promote", "pair_conjugate", "--json")
    said = json.loads(out)
    assert (code, said["promoted"], said["passed"]) == (1, False, False)
    assert [c["name"] for c in said["checks"] if not c["passed"]] == [
        line.removeprefix("FAILED ").split(":")[0] for line in failed
    ]


def test_forcing_needs_a_reason_and_says_so_loudly(toolkit, store):
    assert toolkit("promote", "4", "--force")[0] == 2
    code, out, _ = toolkit("promote", "4", *FORCED)
    assert code == 0
    assert "FORCED against the gate: the [old] one is late\n" in out
    assert history(store).entries[0].event.why == "the [old] one is late"


def test_the_gate_takes_its_settings_from_a_file(toolkit, tmp_path):
    (tmp_path / "strict.toml").write_text("most_pit_ks = 0.01\n")
    code, out, _ = toolkit("promote", "1", "--gate", "strict.toml")
    assert code == 1
    assert "distance from uniform: 0.012 (allowed: at most 0.01)" in out
    (tmp_path / "strict.toml").write_text("pit_ks = 0.01\n")
    code, _, err = toolkit("promote", "1", "--gate", "strict.toml")
    assert (code, "did you mean 'most_pit_ks'?" in err) == (2, True)


def test_history_is_told_and_verified(toolkit, store):
    code, out, _ = toolkit("history")
    assert code == 0
    assert out.startswith("Nothing has been promoted or released in sqlite:///")
    promote(store, "1", Gate())
    promote(store, "4", Gate(), force=True, reason="the [old] one is late")
    code, out, err = toolkit("history")
    assert (code, err) == (0, "")
    assert "The last entry has the hash " in out
    assert "[old]" in out
    said = json.loads(toolkit("history", "--json")[1])
    assert [(e["action"], e["to_version"]) for e in said["entries"]] == [
        ("promote", 1),
        ("force", 4),
    ]
    assert said["problems"] == []
    assert "@" in said["entries"][0]["who"]


def test_what_does_not_fit_in_the_history_is_said_loudly(toolkit, store):
    promote(store, "1", Gate())
    promote(store, "2", Gate())
    experiment = store.client.get_experiment_by_name(EXPERIMENT).experiment_id
    runs = store.client.search_runs([experiment])
    store.client.delete_run(next(r.info.run_id for r in runs if r.info.run_name == "1 promote"))
    set_alias(store, "champion", "3")
    code, out, err = toolkit("history")
    assert code == 1
    assert "The last entry has the hash" in out
    assert err.splitlines() == [
        "DOES NOT FIT: entry 1 is missing",
        "DOES NOT FIT: version 3 is the champion, though entry 2 made version 2 that: the move was "
        "cut short, or the alias moved by other means",
    ]
    assert toolkit("history", "--json")[0] == 1


def test_rolling_back_is_one_command(toolkit, store):
    code, _, err = toolkit("rollback")
    assert (code, "there is nothing to roll back" in err) == (2, True)
    promote(store, "1", Gate())
    promote(store, "2", Gate())
    code, out, _ = toolkit("rollback", "--reason", "2 was late")
    assert code == 0
    assert "now `previous`.\nNext: `toolkit export" in out
    assert aliases(store) == {"champion": 1, "previous": 2}
    code, out, _ = toolkit("rollback", "--to", "1")
    assert (code, "already; nothing has changed" in out) == (0, True)
    said = json.loads(toolkit("rollback", "--to", "2", "--json")[1])
    assert (said["rolled_back"], said["version"]["number"], said["release"]) == (True, 2, None)
    code, _, err = toolkit("rollback", "--to", "3")
    assert (code, "never was the champion" in err) == (2, True)


@pytest.fixture(scope="module")
def server():
    with embedded_server() as server:
        yield server


@pytest.fixture
def releases(server):
    server.client().flushall()
    return Releases(server.client())


def release(releases: Releases, version: int, day: int) -> str:
    """Publish a release of a registered version; its id."""
    details = {"registered_version": version}
    spec = ReleaseSpec(date(2026, 1, day), {"model_version": version}, [1, 2], details=details)
    with releases.stage(spec) as staging:
        staging.put({1: None, 2: None})
        return staging.publish().release_id


def test_rolling_back_makes_the_newest_kept_release_current_too(toolkit, store, server, releases):
    promote(store, "1", Gate())
    made = [release(releases, 1, day) for day in (1, 2)]
    promote(store, "2", Gate())
    release(releases, 2, 3)
    code, out, err = toolkit("rollback", "--redis", server.url)
    assert (code, err) == (0, "")
    assert out.endswith(f"Production reads release {made[1]}, as of 2026-01-02.\n")
    assert (releases.current().release_id, aliases(store)["champion"]) == (made[1], 1)
    found = history(store)
    assert found.problems == ()
    event = found.entries[-1].event
    assert (event.action, event.to_version, event.release) == ("release", 1, made[1])


def test_a_release_that_is_current_already_stays(toolkit, store, server, releases):
    promote(store, "1", Gate())
    current = release(releases, 1, 1)
    promote(store, "2", Gate())  # and never exported
    code, out, _ = toolkit("rollback", "--redis", server.url, "--json")
    assert (code, json.loads(out)["release"]) == (0, current)
    event = history(store).entries[-1].event
    assert (event.action, event.release) == ("release", current)  # nobody had told of it


def test_a_rollback_that_was_killed_before_the_history_knew_the_release_is_completed(
    toolkit, store, server, releases
):
    promote(store, "1", Gate())
    first = release(releases, 1, 1)
    promote(store, "2", Gate())
    release(releases, 2, 2)
    roll_back(store)
    releases.activate(first)
    for _ in range(2):  # once is enough
        assert toolkit("rollback", "--to", "1", "--redis", server.url)[0] == 0
    found = history(store)
    assert found.problems == ()
    assert [entry.event.release for entry in found.entries][3:] == [first]
    assert aliases(store) == {"champion": 1, "previous": 2}


def test_where_no_release_is_kept_the_alias_has_moved_and_readers_keep_theirs(
    toolkit, store, server, releases
):
    promote(store, "1", Gate())
    promote(store, "2", Gate())
    release(releases, 2, 2)  # kept, and of the version that is rolled back from
    current = release(releases, 2, 3)
    code, out, err = toolkit("rollback", "--redis", server.url)
    assert (code, out) == (1, "")
    assert err.startswith("Error: inter-order version 1 (rhythm@")
    assert "is the champion; no release of it is kept: `toolkit export` makes one\n" in err
    assert (releases.current().release_id, aliases(store)["champion"]) == (current, 1)


def test_a_redis_that_does_not_answer_is_told_before_anything_moves(toolkit, store):
    promote(store, "1", Gate())
    promote(store, "2", Gate())
    code, _, err = toolkit("rollback", "--redis", "redis://127.0.0.1:9")
    assert (code, "cannot be reached" in err) == (1, True)
    code, _, err = toolkit("rollback", "--redis", "http://127.0.0.1")
    assert (code, "a cache URL starts with redis://" in err) == (2, True)
    assert aliases(store) == {"champion": 2, "previous": 1}
    assert len(history(store).entries) == 2
