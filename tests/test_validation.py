"""Documents as typed objects: every mistake in one is told, from the types alone."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from toolkit.errors import ArgumentError, ModelError
from toolkit.validation import CLOSED, Rising, has_to_be, load, parse, plain, unknown, write


@dataclass(frozen=True, config=CLOSED)
class Leg:
    length: Annotated[float, Field(gt=0, le=9)]
    feet: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, config=CLOSED)
class Animal:
    name: str
    legs: tuple[Leg, ...] = ()
    kind: Literal["cat", "dog"] = "cat"
    born: date | None = None
    tame: bool = True
    weight: float = 1.0
    marks: Mapping[str, int | str | None] = Field(default_factory=dict)
    ages: Rising[int] = (1,)
    size: Annotated[tuple[float, ...], has_to_be("three numbers")] = ()


REX = Animal(
    "Rex",
    (Leg(2.0), Leg(3.0, 1)),
    weight=math.nan,
    born=date(2020, 1, 2),
    marks={"a": 1, "b": None},
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"legs": [{"length": 0}, {"length": 1, "feet": 0}]}, [
            "legs[1].length: has to be a number above 0, at most 9, got 0",
            "legs[2].feet: has to be a whole number of at least 1, got 0",
        ]),
        ({"legs": {"n": 1}}, ["legs: has to be a list of tables, [[legs]], got {'n': 1}"]),
        ({"legs": [1]}, ["legs[1]: has to be a table, got 1"]),
        ({"legs": [{}]}, ["legs[1].length: is missing"]),
        ({"legs": [{"length": 1, "foot": 1}]}, ["legs[1].foot: is unknown; did you mean 'feet'?"]),
        ({"zzz": 1}, [
            "zzz: is unknown; known are ages, born, kind, legs, marks, name, size, tame, weight"
        ]),
        ({"kind": "dgo"}, ["kind: has to be one of 'cat', 'dog', got 'dgo'; did you mean 'dog'?"]),
        ({"kind": 7}, ["kind: has to be one of 'cat', 'dog', got 7"]),
        ({"born": datetime(2020, 1, 2, 3)}, [
            "born: has to be a date as 2019-04-01, got '2020-01-02 03:00:00'"
        ]),
        ({"tame": 1, "name": 7}, [
            "name: has to be text in quotes, got 7", "tame: has to be true or false, got 1",
        ]),
        ({"marks": {"a": True}}, [
            "marks.a: has to be a whole number or text in quotes or nothing, got True"
        ]),
        ({"marks": []}, ["marks: has to be a table, got []"]),
        ({"ages": [2, 2]}, [
            "ages: has to be a list of ascending numbers, at least one, got [2, 2]"
        ]),
        ({"ages": ["x", 1]}, ["ages[1]: has to be a whole number, got 'x'"]),
        ({"size": ["x", "y"]}, ["size: has to be three numbers, got ['x', 'y']"]),
    ],
)  # fmt: skip
def test_each_mistake_is_a_sentence(changes, said):
    with pytest.raises(ArgumentError) as told:
        parse(Animal, {"name": "Rex"} | changes, "a.toml")
    count = "1 mistake" if len(said) == 1 else f"{len(said)} mistakes"
    assert str(told.value) == "\n".join([f"a.toml has {count}:", *(f"  - {one}" for one in said)])


def test_what_the_caller_found_is_told_too_and_keys_have_the_callers_names():
    with pytest.raises(ArgumentError) as told:
        parse(Animal, {}, "x", called={"name": "$NAME"}, more=unknown("tails", {"a": 1}, ["b"]))
    assert str(told.value) == (
        "x has 2 mistakes:\n  - tails.a: is unknown; known are b\n  - $NAME: is missing"
    )
    with pytest.raises(ArgumentError, match="x has 1 mistake:\n  - no"):
        parse(Animal, {"name": "Rex"}, "x", more=["no"])


def test_a_document_comes_back_as_it_was_written(tmp_path):
    file = tmp_path / "a.json"
    whole = replace(REX, weight=2.0)
    write(file, whole)
    assert load(Animal, file, "an animal") == whole
    assert parse(Animal, plain(whole), "a") == whole
    assert plain(REX)["weight"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"\xff", "Invalid JSON: expected value at line 1 column 1"),
        (b"[" * 9999, "Invalid JSON: recursion limit exceeded"),
        (b"[]", "has to be a table, got []"),
        (b'{"tame": "yes"}', "name: is missing; tame: has to be true or false, got 'yes'"),
        (None, "No such file or directory"),
    ],
)
def test_a_damaged_document_is_refused_in_one_sentence(tmp_path, content, why):
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelError) as told:
        load(Animal, file, "an animal", ModelError, remedy="breed it anew")
    assert str(told.value).startswith(f"{file} is not an animal: {why}")
    assert str(told.value).endswith("; breed it anew")
