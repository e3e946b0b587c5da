"""What pages are made of, without a service: forms, calendars, questions, the search."""

import asyncio
import threading
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from toolkit.errors import ArgumentError, SourceError
from toolkit.service.explorer import questions as questions_module
from toolkit.service.explorer.cells import Calendar, Expected, Labels, Link, Pager, product_path
from toolkit.service.explorer.forms import Asked, asked_by
from toolkit.service.explorer.questions import Questions
from toolkit.service.replies import ProblemError
from toolkit.sources.codes import NO_CODES, Coded, Codes
from toolkit.sources.search import matching

FRIDAY = date(2021, 1, 1)


def test_an_address_is_a_scenario():
    asked = asked_by({"demand": "20", "price": "-10", "elasticity": "-1.5", "lost": " 7 "})
    assert asked.lost == "7"
    demand, price, lost = asked.scenario(3, 50.0, 7).changes
    assert (demand.kind, demand.percent, demand.products) == ("demand", 20, (3,))
    assert (price.kind, price.price, price.elasticity) == ("price", 45, -1.5)
    assert (lost.kind, lost.customers) == ("customer_lost", (7,))
    assert not asked_by({}).changes_anything
    assert not asked_by({"elasticity": "2", "demand": ""}).changes_anything
    assert asked_by({"lost": "7"}).changes_anything


@pytest.mark.parametrize("text", ["x", "nan", "inf", "-101", "201", "1e9", "<script>"])
def test_no_slider_stands_there(text):
    with pytest.raises(ArgumentError, match="demand has to be a number from -100 to 200, got"):
        asked_by({"demand": text})
    with pytest.raises(ArgumentError, match=r"demand .*; price "):
        asked_by({"demand": text, "price": "x"})


def test_a_price_that_nobody_knows_cannot_change():
    with pytest.raises(ArgumentError, match="the product has no price that could change"):
        Asked({"price": 5.0}).scenario(1, None, None)


def test_a_calendar_has_the_weeks_up_to_the_last_order():
    days = (FRIDAY, date(2021, 1, 9), date(2021, 1, 9), date(2021, 3, 26))
    expected = [Expected(day, f"{i}", "") for i, day in enumerate(days)]
    made = Calendar.of("", FRIDAY, 12, expected)
    assert made.weekdays == ("Fri", "Sat", "Sun", "Mon", "Tue", "Wed", "Thu")
    assert len(made.weeks) == 2
    assert [len(day.expected) for week in made.weeks for day in week] == [
        *(1, 0, 0, 0, 0, 0, 0),
        *(0, 2, 0, 0, 0, 0, 0),
    ]
    assert made.later == (expected[3],)
    assert Calendar.of("", FRIDAY, 12, []).weeks == ()


def test_codes_lead_where_ids_would():
    labels = Labels({7: "A/1"}, {8: ""})
    assert labels.product(7, "a\nb") == Link("a\\nb", "/products/A%2F1")
    assert labels.customer(8, "c") == Link("c", "/customers/8")
    assert Labels().customer(8, "c") == Link("c", "/customers/8")
    assert product_path("?#%", "why", customer="Ä&b") == (
        "/products/%3F%23%25/why?customer=%C3%84%26b"
    )


def test_lists_go_on_and_back():
    pager = Pager.of("/x", 50, 50, 50, 120)
    assert (pager.first, pager.last, pager.before, pager.after) == (
        *(51, 100),
        *("/x?offset=0", "/x?offset=100"),
    )
    assert Pager.of("/x", 0, 50, 50, 50).after is None


NAMES = {1: "Blue pen", 2: "blue paint", 3: "Red paint", 4: "Paint blue 5"}


def test_names_are_found_by_what_they_hold():
    def found(text, **more):
        return matching("product", text, NO_CODES, NAMES, **more)

    assert found("BLUE").ids == (1, 2, 4)
    assert found("blue", most=1).total == 3
    assert found("blue", among={2, 3}).ids == (2,)
    assert found("3").ids == (3,)
    assert found("5").ids == (4,)
    assert found(" ").ids == ()
    alike = found("bleu pen")
    assert (alike.ids[0], alike.alike) == (1, True)


def test_codes_are_found_by_what_they_hold():
    codes = Codes({"product": Coded(np.array([1, 2, 3]), pa.array(["AB-1", "xab.2", "C"]))})
    assert codes.holding("product", "ab") == [1, 2]
    assert codes.holding("product", "B.2") == [2]
    assert codes.holding("customer", "ab") == []
    assert matching("product", "ab", codes, NAMES).ids == (1, 2)


def test_a_question_is_asked_once_in_a_thread_and_its_answer_kept():
    begun, go, calls = threading.Event(), threading.Event(), []

    def answer():
        calls.append(threading.current_thread().name)
        begun.set()
        assert go.wait(20)
        return 7

    async def ask():
        questions = Questions()
        both = asyncio.gather(questions.ask("q", answer), questions.ask("q", answer))
        await asyncio.to_thread(begun.wait, 20)  # the loop goes on meanwhile
        go.set()
        assert await both == [7, 7]
        assert await questions.ask("q", answer) == 7
        questions.close()

    asyncio.run(ask())
    assert calls == ["explorer_0"]


def test_an_error_is_a_sentence_and_not_kept():
    errors = [SourceError("the file is away"), ArgumentError("no such customer")]

    def fail():
        raise errors.pop()

    async def ask():
        questions = Questions()
        for status, said in ((404, "No such customer."), (503, "The file is away.")):
            with pytest.raises(ProblemError) as problem:
                await questions.ask("q", fail)
            assert (problem.value.status, problem.value.detail) == (status, said)
        assert await questions.ask("q", lambda: 7) == 7
        questions.close()

    asyncio.run(ask())


def test_whoever_waits_too_long_finds_the_answer_later(monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(questions_module, "MOST_WAITING", 2)

    async def ask():
        questions = Questions(patience_s=0.01)
        for key in ("slow", "next"):
            with pytest.raises(ProblemError, match="still at work"):
                await questions.ask(key, lambda: go.wait(20))
        with pytest.raises(ProblemError, match="busy"):
            await questions.ask("third", lambda: go.wait(20))
        go.set()
        while questions._asked:
            await asyncio.sleep(0.01)
        assert await questions.ask("slow", lambda: None) is True
        questions.close()

    asyncio.run(ask())
