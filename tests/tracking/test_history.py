"""The history: entries that are added, and tell whoever changes one."""

import hashlib
import json
import signal
from dataclasses import replace

import pytest

from tests.tracking.conftest import finished
from tests.tracking.fits import rhythm_fit
from toolkit.errors import TrackingError
from toolkit.tracking.entries import CheckRecord, Event
from toolkit.tracking.history import (
    ENTRY_TAG,
    EXPERIMENT,
    HASH_TAG,
    HEAD_TAG,
    append,
    append_release,
    history,
)
from toolkit.tracking.promotion import set_alias
from toolkit.tracking.registration import register_fit
from toolkit.tracking.runs import search

PROMOTED = Event(
    "promote",
    1,
    "rhythm@2-0c24ce95",
    why="½ better",
    evidence="7b" * 16,
    checks=(CheckRecord("converged", "yes", "no warning", True),),
)


def release(number: int) -> Event:
    return Event("release", None, "pair_conjugate@1-98891a0e", release=f"{number}-2026-01-01")


def runs(store):
    experiment = store.client.get_experiment_by_name(EXPERIMENT).experiment_id
    found = list(search(store, experiment, ""))
    return {int(run.info.run_name.split()[0]): run for run in found}


@pytest.fixture
def four(store):
    """A store whose history has four entries."""
    for number in range(1, 5):
        append(store, release(number))
    return store


def test_there_is_none_where_nothing_happened(store):
    found = history(store)
    assert (found.entries, found.problems, found.champions) == ((), (), ())


def test_an_entry_says_who_when_what_and_why(store):
    register_fit(store, rhythm_fit())
    entry = append(store, PROMOTED)
    set_alias(store, "champion", "1")
    (found,) = history(store).entries
    assert history(store).problems == ()
    assert (found.sequence, found.previous, found.hash) == (1, "", entry.hash)
    assert (found.event.action, found.event.to_version, found.event.why) == (
        "promote",
        1,
        "½ better",
    )
    assert found.event.checks == PROMOTED.checks
    assert "@" in found.who
    assert found.when.endswith("+00:00")
    assert history(store).champions == (1,)
    tags = runs(store)[1].data.tags
    assert (tags["action"], tags["to"], tags["who"]) == (
        "promote",
        "1 rhythm@2-0c24ce95",
        entry.who,
    )
    assert "from" not in tags
    assert tags["mlflow.note.content"] == str(entry)  # what MLflow shows of the run


def test_a_reason_is_shown_in_a_line_and_kept_whole(store):
    reason = f"Eve\nand {'x' * 5000}"
    append(store, replace(PROMOTED, why=reason))
    found = history(store)
    (entry,) = found.entries
    for shown in (str(entry), found.to_card().text(), found.to_card().html()):
        assert "Eve\\nand" in shown
        assert 60 < shown.count("x") < 200
    assert entry.to_dict()["why"] == reason


def test_entries_follow_each_other(four):
    found = history(four)
    assert found.problems == ()
    assert [e.event.release for e in found.entries] == [f"{n}-2026-01-01" for n in range(1, 5)]
    assert [e.previous for e in found.entries] == ["", *(e.hash for e in found.entries[:-1])]


def test_long_entries_are_kept_whole(store):
    append(store, Event("release", 1, "rhythm@1", why="why " * 5_000))
    assert history(store).entries[0].event.why == "why " * 5_000


def rewrite(store, number: int, rehash: bool) -> None:
    """Let entry ``number`` say something else; with ``rehash`` as if it had been written so."""
    run = runs(store)[number]
    content = json.loads(run.data.tags[f"{ENTRY_TAG}.00"])
    content["who"] = "nobody@nowhere"
    text = json.dumps(content, sort_keys=True)
    store.client.set_tag(run.info.run_id, f"{ENTRY_TAG}.00", text)
    if rehash:
        store.client.set_tag(run.info.run_id, HASH_TAG, hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_changed_entry_is_named(four, number):
    rewrite(four, number, rehash=False)
    assert history(four).problems == (f"entry {number} was changed after it was written",)


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (2, "entry 3 was written after another entry 2"),
        (4, f"entry 4 is another one than {HEAD_TAG} of inter-order names"),
    ],
)
def test_an_entry_that_was_put_in_anothers_place_is_found(four, number, problem):
    rewrite(four, number, rehash=True)
    assert history(four).problems == (problem,)


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        ([1], "entry 1 is missing"),
        ([2, 3], "entries 2 to 3 are missing"),
        ([4], "entry 4 is missing"),
        ([1, 2, 3, 4], "entries 1 to 4 are missing"),
    ],
)
def test_a_deleted_entry_is_missed(four, gone, problem):
    for number in gone:
        four.client.delete_run(runs(four)[number].info.run_id)
    assert history(four).problems == (problem,)
    append(four, release(5))
    assert problem in history(four).problems  # a new entry covers nothing
    assert problem in history(four).entries[-1].noticed


def test_a_head_that_was_taken_back_or_off_is_found_and_remembered(four):
    four.client.delete_registered_model_tag("inter-order", HEAD_TAG)
    problem = f"entry 4 is the last, and {HEAD_TAG} of inter-order names none"
    assert history(four).problems == (problem,)
    four.client.set_registered_model_tag(
        "inter-order", HEAD_TAG, f"2 {history(four).entries[1].hash}"
    )
    (problem,) = history(four).problems
    assert problem.endswith("names entry 2")


def test_a_run_that_is_no_entry_is_named(four):
    experiment = four.client.get_experiment_by_name(EXPERIMENT).experiment_id
    run = four.client.create_run(experiment, run_name="9 promote")
    assert history(four).problems == (
        f"the run {run.info.run_id} (9 promote) is no entry that can be read",
    )


def test_a_champion_that_nobody_promoted_is_told(store, caplog):
    register_fit(store, rhythm_fit())
    set_alias(store, "champion", "1")
    problem = "version 1 is the champion, and no entry says how it became that"
    assert history(store).problems == (problem,)
    assert append(store, release(1)).noticed == (problem,)
    assert problem in caplog.text


def test_a_deleted_history_says_how_to_bring_it_back(four):
    experiment = four.client.get_experiment_by_name(EXPERIMENT).experiment_id
    four.client.delete_experiment(experiment)
    assert history(four).problems == ("entries 1 to 4 are missing",)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore -x {experiment}"):
        append(four, release(5))


def test_a_release_that_was_told_but_not_sealed_is_sealed_by_the_next_command(four):
    """As a kill between the two leaves it."""
    head = f"3 {history(four).entries[2].hash}"
    four.client.set_registered_model_tag("inter-order", HEAD_TAG, head)
    assert history(four).problems == (
        "entry 4 was written by somebody who was killed before it was sealed",
    )
    assert append_release(four, release(4)) is None
    assert (len(history(four).entries), history(four).problems) == (4, ())


WRITE = """
from tests.tracking.processes import at_once, killed
from tests.tracking.test_history import release
from toolkit.tracking.history import append
"""


def test_entries_written_at_once_are_all_there(store, script):
    append(store, release(0))
    text = "at_once(*[lambda store: append(store, release(1)).sequence] * 3, opened=True)"
    assert sorted(finished(script(WRITE + text)).split()) == ["2", "3", "4"]
    assert history(store).problems == ()


@pytest.mark.slow
def test_an_entry_is_there_or_not_whenever_its_writer_is_killed(store, script):
    append(store, release(0))
    text = "killed(list(range(1, 12)), lambda store: append(store, release(1)))"
    done = script(WRITE + text).ended(timeout=240)
    assert str(-signal.SIGKILL) in done.stdout.split(), done.stderr
    assert "killed before it was sealed" in done.stderr  # the next writer saw it, and went on
    found = history(store)
    assert len(found.entries) > 2
    assert {e.event for e in found.entries} == {release(0), release(1)}
    last = append(store, release(2))
    found = history(store)
    assert (found.problems, found.entries[-1]) == ((), last)
