"""Promotion and rollback: the aliases, the history, and what races and kills leave behind."""

import json
import shutil
import signal

import pytest

from backtests.evidence.gate import Gate
from tests.processes import Forked
from tests.tracking.conftest import finished
from tests.tracking.evidence import comparison, log
from tests.tracking.test_promotion_commands import toolkit as toolkit_fixture
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, ModelError, TrackingError
from toolkit.model import find_model
from toolkit.stages.prediction import CustomerPredictor
from toolkit.tracking.entries import CheckRecord
from toolkit.tracking.history import history
from toolkit.tracking.promotion import PromotionRefusedError, promote, roll_back, set_alias, settle
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import FIT_TAG, REGISTERED_MODEL, aliases
from toolkit.tracking.store import open_store

toolkit = toolkit_fixture


def copied(folder, target):
    """The store in ``folder``, in another one."""
    shutil.copytree(folder, target, dirs_exist_ok=True)
    return open_store(f"sqlite:///{target / 'mlflow.db'}")


@pytest.fixture
def store(promotable, tmp_path):
    return copied(promotable, tmp_path)


def test_the_first_promotion_makes_the_champion_and_is_written_down(store):
    done = promote(store, "inter-order@1", Gate())
    assert (done.version.number, done.version.aliases, done.before) == (1, ("champion",), None)
    assert aliases(store) == {"champion": 1}
    found = history(store)
    assert (found.problems, found.entries) == ((), (done.entry,))
    event = found.entries[0].event
    assert (event.action, event.from_version, event.to_version) == ("promote", None, 1)
    assert (event.why, event.to_fit) == ("passed the gate", done.version.fit)
    assert event.evidence == done.verdict.evidence.run_id
    assert len(event.checks) == 8
    assert event.checks[6] == CheckRecord(
        name="no worse on title of log_loss",
        found="0.34 against 0.38: -0.04 (95 %: -0.05 to -0.02)",
        allowed="95 % interval of the difference reaches 0 or below",
        passed=True,
    )


def test_the_old_champion_becomes_the_previous_one(store):
    promote(store, "1", Gate())
    done = promote(store, "2", Gate(), reason="fitted anew")
    assert aliases(store) == {"champion": 2, "previous": 1}
    assert (done.before.number, done.entry.event.why) == (1, "fitted anew")
    assert history(store).champions == (1, 2)


def test_the_champion_is_not_promoted_again(store):
    promote(store, "1", Gate())
    done = promote(store, "champion", Gate(), force=True, reason="once more")
    assert (done.entry, done.verdict, done.version.number) == (None, None, 1)
    assert len(history(store).entries) == 1


def test_what_the_gate_refuses_moves_nothing_unless_forced(store):
    promote(store, "1", Gate())
    with pytest.raises(PromotionRefusedError) as refused:
        promote(store, "pair_conjugate", Gate())
    said = str(refused.value)
    assert said.startswith("inter-order version 4 (pair_conjugate@")
    assert "thresholds: none attached (allowed: attached); weeks inside their 80 %" in said
    assert not refused.value.verdict.passed
    assert (aliases(store), len(history(store).entries)) == ({"champion": 1}, 1)
    done = promote(store, "pair_conjugate", Gate(), force=True, reason=" the model is broken ")
    assert aliases(store) == {"champion": 4, "previous": 1}
    event = history(store).entries[-1].event
    assert (event.action, event.why) == ("force", "the model is broken")
    assert [c.passed for c in event.checks] == [c.passed for c in done.verdict.checks]


def test_a_worse_version_is_refused_with_the_difference(store):
    set_alias(store, "champion", "pair_conjugate")
    log(store, "2bbdf4be", compared=comparison(log_loss=(0.01, 0.03)))
    with pytest.raises(PromotionRefusedError, match=r"log_loss: .*\+0\.01 to \+0\.03"):
        promote(store, "1", Gate())
    assert promote(store, "1", Gate(margin=0.1)).entry.event.action == "promote"


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_force_needs_a_reason(store, reason):
    with pytest.raises(ArgumentError, match="to force a promotion needs a reason"):
        promote(store, "1", Gate(), force=True, reason=reason)
    assert aliases(store) == {}


def test_a_promotion_that_passes_is_none_by_force(store):
    assert (
        promote(store, "1", Gate(), force=True, reason="to be sure").entry.event.action == "promote"
    )


def test_what_is_not_there_is_told(store):
    with pytest.raises(TrackingError, match="holds no version 'inter-order@9'"):
        promote(store, "inter-order@9", Gate())


def test_rolling_back_and_forth(store):
    promote(store, "1", Gate())
    promote(store, "2", Gate())
    done = roll_back(store, reason="2 was late", release="7-2026-01-05")
    assert aliases(store) == {"champion": 1, "previous": 2}
    event = history(store).entries[-1].event
    assert (event.action, event.from_version, event.to_version) == ("rollback", 2, 1)
    assert (event.why, event.release) == ("2 was late", "7-2026-01-05")
    assert (done.version.number, done.before.number, done.verdict) == (1, 2, None)
    roll_back(store)
    assert aliases(store) == {"champion": 2, "previous": 1}
    assert history(store).problems == ()


def test_rolling_back_to_an_earlier_champion(store):
    for number in ("1", "2", "3"):
        promote(store, number, Gate())
    assert roll_back(store, to="inter-order@1").version.number == 1
    assert aliases(store) == {"champion": 1, "previous": 3}
    assert roll_back(store, to="1").entry is None
    with pytest.raises(TrackingError, match=r"version 4 .* never was the champion.* 2, 3, 1 "):
        roll_back(store, to="4")


def test_nothing_to_roll_back_to(store):
    with pytest.raises(TrackingError, match="no version is the champion: there is nothing to"):
        roll_back(store)
    promote(store, "1", Gate())
    with pytest.raises(TrackingError, match=r"\) has no previous champion to roll back to$"):
        roll_back(store)
    assert aliases(store) == {"champion": 1}


PROMOTE = """
from backtests.evidence.gate import Gate
from tests.tracking.processes import at_once
from toolkit.errors import TrackingError
from toolkit.tracking.promotion import promote, roll_back

def tried(store, number):
    try:
        return promote(store, number, Gate()).version.number
    except TrackingError as exc:
        return f"{exc.unavailable} {exc}"
"""


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(store, script):
    promote(store, "1", Gate())
    text = "at_once(lambda store: tried(store, '2'), lambda store: tried(store, '3'), opened=True)"
    said = sorted(finished(script(PROMOTE + text)).splitlines())
    champion = aliases(store)["champion"]
    assert said == [
        str(champion),
        f"True inter-order@champion names version {champion} by now, not version 1: "
        "somebody else has moved it",
    ]
    found = history(store)
    assert (found.problems, found.champions) == ((), (1, champion))
    assert aliases(store)["previous"] == 1


KILL = """
import json, os, shutil
from pathlib import Path
from toolkit.cli.app import main
from toolkit.tracking.history import history
from toolkit.tracking.promotion import settle
from toolkit.tracking.registry import aliases
from tests.tracking.processes import killed_writing

WORK = {"promote": lambda store: promote(store, "2", Gate()), "rollback": roll_back}

def told(store):
    found = history(store)
    last = found.entries[-1].event
    said = aliases(store), last.action, last.to_version, found.problems
    print(json.dumps(["state", *said]), flush=True)

def after_kill(kind, number):
    folder = Path(f"{kind}-{number}")
    shutil.copytree(kind, folder)
    os.chdir(folder)
    ended = killed_writing(number, WORK[kind])
    killed_writing(0, told)
    resettled = killed_writing(1 + number % 4, settle)  # the repair is killed, too, mostly
    killed_writing(0, settle)
    killed_writing(0, told)
    print(json.dumps(["killed", ended, resettled]), flush=True)
    os.chdir("..")
    return ended

for kind in WORK:
    number = 1
    while after_kill(kind, number):
        number += 1
"""


@pytest.mark.slow
def test_a_move_that_was_killed_is_completed_by_the_next_command(promotable, tmp_path, script):
    """Before each of its writes, and the repair before each of its own."""
    for kind in ("promote", "rollback"):
        shutil.copytree(promotable, tmp_path / kind)
        store = open_store(f"sqlite:///{tmp_path / kind / 'mlflow.db'}")
        promote(store, "1", Gate())
        if kind == "rollback":
            promote(store, "2", Gate())
    done = script(PROMOTE + KILL).ended(timeout=500)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) % 3 == 0, done.stderr
    found = list(zip(said[::3], said[1::3], said[2::3], strict=True))
    codes = [ended for _, _, (_, ended, _) in found]
    assert codes.count(0) == 2
    assert set(codes) == {0, -signal.SIGKILL}
    print(f"{len(codes) - 2} kills")
    halfway = [before for (_, *before), _, _ in found if before[3]]
    assert len(halfway) >= 6  # what did not fit before the repair
    for _, (_, named, action, last, problems), _ in found:
        assert problems == []
        assert named["champion"] == last
        assert (
            named
            == {
                ("promote", 1): {"champion": 1},
                ("promote", 2): {"champion": 2, "previous": 1},
                ("rollback", 1): {"champion": 1, "previous": 2},
            }[action, last]
        )


@pytest.fixture(scope="module")
def killed(promotable, tmp_path_factory):
    """The folder of a store, to be copied, after a promotion of 2 that was killed half-way."""
    folder = tmp_path_factory.mktemp("killed")
    promote(copied(promotable, folder), "1", Gate())
    assert Forked(PROMOTE + CUT, cwd=folder).ended(timeout=240).returncode == -signal.SIGKILL
    return folder


@pytest.fixture
def cut_short(killed, tmp_path):
    """A promotion of 2 that was killed before ``champion`` moved, ``previous`` has by then."""
    store = copied(killed, tmp_path)
    assert aliases(store) == {"champion": 1, "previous": 1}
    assert history(store).entries[-1].event.to_version == 2
    return store


CUT = """
import os, signal
from toolkit.tracking import registry
from toolkit.tracking.store import open_store
store = open_store()
moved = store.client.set_registered_model_alias

def deadly(name, alias, number):
    if alias == "champion":
        os.kill(os.getpid(), signal.SIGKILL)
    moved(name, alias, number)

store.client.set_registered_model_alias = deadly
promote(store, "2", Gate())
"""


@pytest.mark.parametrize(
    ("command", "champion"),
    [
        (("history",), 2),
        (("rollback",), 1),
        *(
            pytest.param(command, champion, marks=pytest.mark.slow)
            for command, champion in (
                (("promote", "2"), 2),
                (("promote", "3"), 3),
                (("register", "pair_conjugate", "--alias", "challenger"), 2),
            )
        ),
    ],
)
def test_each_command_repairs_what_a_kill_left(toolkit, cut_short, command, champion):
    code, _, err = toolkit(*command)
    assert code == 0, err
    assert aliases(cut_short)["champion"] == champion
    assert history(cut_short).problems == ()


def test_a_champion_moved_by_other_means_since_stays(cut_short, caplog):
    cut_short.client.set_registered_model_alias("inter-order", "champion", "3")
    assert settle(cut_short) is None
    assert aliases(cut_short)["champion"] == 3
    assert "version 3 is the champion, though entry 2" in history(cut_short).problems[0]
    cut_short.client.set_registered_model_alias("inter-order", "champion", "1")
    assert settle(cut_short) is None  # it was announced once
    assert aliases(cut_short)["champion"] == 1


def test_after_a_kill_the_champion_is_not_its_own_predecessor(store):
    promote(store, "1", Gate())
    set_alias(store, "previous", "1")  # as a kill between both moves leaves it
    with pytest.raises(TrackingError, match="has no previous champion"):
        roll_back(store)


def test_a_model_that_predicts_pairs_or_products_alone_is_refused_everywhere(store, database):
    sentence = "tsb predicts no pairs: a forecast needs both pairs and products"
    model = find_model("tsb")
    with pytest.raises(ModelError, match=sentence):
        ForecastEngine(database, model=model)
    with pytest.raises(ModelError, match=sentence):
        CustomerPredictor(model)  # as `toolkit predict` does
    with pytest.raises(ModelError, match=sentence):
        register_fit(store, model)
    store.client.set_model_version_tag(REGISTERED_MODEL, "1", FIT_TAG, "tsb@1-0")  # it once could
    with pytest.raises(ModelError, match=sentence):
        promote(store, "1", Gate(), force=True, reason="to see")
    assert aliases(store) == {}
