"""``toolkit explain`` at the command line: what it shows, writes and refuses."""

import json
from pathlib import Path

import duckdb
import pytest

from tests.conftest import AS_OF
from tests.processes import run as run_command
from toolkit.cli.app import run
from toolkit.sources.generator import FIRST_CUSTOMER_ID, load_orders

FIT = ("fit", "rhythm", "--method", "laplace", "--pairs", "300")
ASKED = ("--db", "orders.duckdb", "--as-of", str(AS_OF))


@pytest.fixture(scope="module")
def place(orders, tmp_path_factory) -> Path:
    """A database, and a fit that knows a calendar; what was said of it, in ``said.txt``."""
    place = tmp_path_factory.mktemp("explain")
    with duckdb.connect(str(place / "orders.duckdb")) as conn:
        load_orders(orders, conn)
    (place / "events.csv").write_text("date,kind\n2021-05-03,fair\n")
    done = run_command(*FIT, *ASKED, "--country", "US", "--events", "events.csv", cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "said.txt").write_text(done.stdout)
    return place


@pytest.fixture
def ask(place, capsys, monkeypatch):
    """Exit code, stdout and stderr of the command."""
    monkeypatch.chdir(place)

    def asked(*arguments, model=("--model", "rhythm")):
        code = run(["explain", *map(str, arguments), *ASKED, *model])
        out, err = capsys.readouterr()
        return code, out, err

    return asked


def test_a_fit_with_a_calendar_says_so(place):
    assert "calendar: US; 1 event, " in " ".join((place / "said.txt").read_text().split())
    (card,) = place.glob("fits/rhythm/*/card.json")
    assert json.loads(card.read_text())["settings"]["calendar"].startswith("US; 1 event, ")


def test_a_customer_is_found_explained_and_drawn(ask, place, orders):
    lines = orders.order_lines
    of_product = lines[(lines["product_id"] == 1) & (lines["ordered_at"] < str(AS_OF))]
    customer = int(of_product["customer_id"].min())
    code, out, _ = ask("Article 1", "--customer", customer, "--plot", "bars.png")
    assert code == 0
    for part in ("What makes the difference", "typical customer of this product", "Least sure"):
        assert part in out
    assert (place / "bars.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = ask(1, "--customer", customer, "--against-all", "--json")
    said = json.loads(out)
    assert (code, said["customer_id"]) == (0, customer)
    total = sum((part["amount"] for part in said["parts"]), said["base"])
    assert total == pytest.approx(said["expected"], rel=1e-9)


def test_a_product_has_special_days_where_the_fit_has_a_calendar(ask):
    code, out, _ = ask(1)
    assert code == 0
    for part in ("special days", "the time of the year", "new customers", "units are expected"):
        assert part in out


def test_what_cannot_be_explained_is_one_sentence(ask):
    code, _, err = ask(1, model=())
    assert (code, "pair_conjugate does not say what its forecasts are made of" in err) == (2, True)
    code, _, err = ask(1, "--against-all")
    assert (code, "--against-all is of a --customer" in err) == (2, True)
    code, _, err = ask("Nonsense", "--customer", "Nobody", "--weeks", 0, model=("--model", "nope"))
    assert code == 2
    assert [*map(str.startswith, err.splitlines(), [
        "Error: forecast_weeks has to be a whole number from 1 to 104, got 0",
        "unknown model 'nope'", "there is no product 'Nonsense'", "there is no customer 'Nobody'",
    ])] == [True] * 4  # fmt: skip
    code, _, err = ask("Nonsense")
    assert (code, "there is no product 'Nonsense'" in err) == (2, True)
    code, _, err = ask(1, "--plot", "bars.nonsense")
    assert (code, "cannot draw to bars.nonsense" in err) == (2, True)
    code, _, err = ask(1, "--customer", FIRST_CUSTOMER_ID + 5_000)
    assert (code, "nothing to forecast for product 1 by customer" in err) == (3, True)
