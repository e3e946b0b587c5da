"""What ``toolkit import`` asks a person, and how its answers are kept."""

import pytest

from tests.processes import TOOLKIT, run
from tests.sources.odd_files import HEADER, lines_of, written
from tests.terminals import Typed
from toolkit.sources.folder.mapping import OrderMapping

CTRL_C, CTRL_D = "\x03", "\x04"
AMBIGUOUS = ("1,7,8,1,01/02/2024,1,1", "2,7,9,1,05/02/2024,1,1")
TWO_CUSTOMERS = HEADER.replace("customer_id", "Customer No,Client ID")
ASKED = ("import", "a.csv", "--db", "o.duckdb", "--save-mapping", "a.toml")


@pytest.fixture
def place(tmp_path):
    written(tmp_path / "a.csv", *AMBIGUOUS, header=TWO_CUSTOMERS)
    return tmp_path


def names(place):
    return {path.name for path in place.iterdir()}


def test_answers_are_imported_by_and_saved(place):
    with Typed([*TOOLKIT, *ASKED], place) as person:
        asked = person.until("Which one? [1/2]: ")
        assert "customer_id may be Customer No or Client ID." in asked
        assert "  2  Client ID" in asked
        person.type("2\r")
        asked = person.until("Which one? [1/2]: ")
        assert "ordered_at may be written day first or month first (01/02/2024 is" in asked
        assert "  2  month first: 01/02/2024 is 2024-01-02" in asked
        person.type("3\r")
        person.until("Which one? [1/2]: ")
        person.type("2\r")
        assert person.ended() == 0, person.shown
        assert "Imported into o.duckdb: 2 order lines" in person.shown
    assert [(line[0], line[2].isoformat()[:10]) for line in lines_of(place / "o.duckdb")] == [
        (8, "2024-01-02"), (9, "2024-05-02"),
    ]  # fmt: skip
    saved = OrderMapping.read(place / "a.toml")
    assert (saved.columns["customer_id"], saved.date_format) == ("Client ID", "month-first")
    again = run("import", "a.csv", "--mapping", "a.toml", "--dry-run", cwd=place)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_D, 2)])
def test_who_does_not_answer_finds_all_as_it_was(place, key, code):
    before = names(place)
    with Typed([*TOOLKIT, *ASKED], place) as person:
        person.until("Which one? [1/2]: ")
        person.type("1\r")
        person.until("Which one? [1/2]: ")
        person.type(key)
        assert person.ended(pressing=key) == code, person.shown
        assert "Traceback" not in person.shown
        assert ("nothing was imported" in person.shown) == (key == CTRL_D)
    assert names(place) == before


def test_a_zone_is_typed_and_one_that_is_unknown_typed_again(tmp_path):
    written(tmp_path / "a.csv", "1,7,8,2024-04-06T22:30:00Z,1,1")
    with Typed([*TOOLKIT, *ASKED], tmp_path) as person:
        asked = person.until("Timezone: ")
        assert "ordered_at has an offset from UTC (2024-04-06T22:30:00Z)" in asked
        person.type("Europe/Berln\r")
        assert "the nearest names are Europe/Berlin" in person.until("Timezone: ")
        person.type("\r")
        person.until("Timezone: ")
        person.type("Europe/Berlin\r")
        assert person.ended() == 0, person.shown
    assert [str(line[2]) for line in lines_of(tmp_path / "o.duckdb")] == ["2024-04-07 00:30:00"]
    assert OrderMapping.read(tmp_path / "a.toml").timezone == "Europe/Berlin"
    again = run("import", "a.csv", "--mapping", "a.toml", "--dry-run", cwd=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_D, 2)])
def test_who_names_no_zone_finds_all_as_it_was(tmp_path, key, code):
    written(tmp_path / "a.csv", "1,7,8,2024-04-06T22:30:00Z,1,1")
    with Typed([*TOOLKIT, *ASKED], tmp_path) as person:
        person.until("Timezone: ")
        person.type("nowhere\r")
        person.until("Timezone: ")
        person.type(key)
        assert person.ended(pressing=key) == code, person.shown
        assert "Traceback" not in person.shown
    assert names(tmp_path) == {"a.csv"}


def test_a_script_gets_an_error_that_names_the_options(place):
    before = names(place)
    done = run(*ASKED, cwd=place)
    assert done.returncode == 2
    assert 'choose one with --map customer_id="Customer No"' in done.stderr
    assert "give --date-format day-first or --date-format month-first" in done.stderr
    assert names(place) == before


def test_json_is_for_scripts_at_a_terminal_too(place):
    with Typed([*TOOLKIT, *ASKED, "--json"], place) as person:
        assert person.ended() == 2
        assert "Which one?" not in person.shown
