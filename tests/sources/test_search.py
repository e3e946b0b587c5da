"""Finding products and customers by id, code or name."""

import pyarrow as pa
import pytest

from toolkit.data.ids import number_of
from toolkit.errors import ArgumentError
from toolkit.sources.codes import NO_CODES, Coded, Codes
from toolkit.sources.search import find, find_all

NAMES = {1: "Whole Milk 1 l", 2: "Skimmed Milk", 3: "Dark Rum", 4: "Rum & Raisin", 5: "Dark Rum"}


def codes_of(*texts):
    numbers = sorted(map(number_of, texts))
    by_number = {number_of(text): text for text in texts}
    coded = Coded(pa.array(numbers).to_numpy(), pa.array([by_number[n] for n in numbers]))
    return Codes({"product": coded})


def unasked():
    raise AssertionError("names are read only where an id does not do")


def test_an_id_or_code_is_what_it_says():
    assert find("product", " 770 ", NO_CODES, unasked) == 770
    assert find("product", "A-1", codes_of("A-1", "B-2"), unasked) == number_of("A-1")
    assert find("product", str(number_of("A-1")), codes_of("A-1"), unasked) == number_of("A-1")


@pytest.mark.parametrize("text", ["Skimmed Milk", "skimmed  MILK ", "skim", "med mi"])
def test_a_name_or_a_part_of_one_name(text):
    assert find("product", text, NO_CODES, lambda: NAMES) == 2


def test_a_whole_name_prevails_over_parts_of_others():
    names = {1: "Rum", 2: "Dark Rum"}
    assert find("product", "rum", NO_CODES, lambda: names) == 1


def test_several_that_are_meant_are_listed():
    with pytest.raises(ArgumentError) as told:
        find("product", "dark rum", NO_CODES, lambda: NAMES)
    expected = "'dark rum' may mean 2 products: 'Dark Rum' (3), 'Dark Rum' (5); give an id"
    assert str(told.value) == expected
    many = {i: f"Rum {i}" for i in range(30)}
    with pytest.raises(ArgumentError, match="may mean 30 products: .* and 20 more; give an id"):  # noqa: RUF043
        find("product", "rum", NO_CODES, lambda: many)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("wholle mlk", "'Whole Milk 1 l' (1), "), ("raisn", "'Rum & Raisin' (4), ")],
)
def test_an_unknown_name_is_told_with_the_nearest_three(text, nearest):
    with pytest.raises(ArgumentError) as told:
        find("product", text, NO_CODES, lambda: NAMES)
    said = str(told.value)
    assert said.startswith(f"there is no product {text!r}; the nearest names are {nearest}")
    assert said.count("(") == 3
    assert said.endswith("; ids in this database are numbers")


def test_a_name_that_several_have_is_suggested_once():
    names = {3: "Milk", 5: "Milk", 6: "Milk", 7: "Mild Ale"}
    with pytest.raises(
        ArgumentError, match=r"the nearest names are 'Milk' \(3\), 'Mild Ale' \(7\);"
    ):
        find("product", "Mulk", NO_CODES, lambda: names)


def test_an_unknown_code_is_told_with_codes_and_names():
    codes = codes_of("SKU-1", "SKU-2")
    names = {number_of("SKU-1"): "Milk", number_of("SKU-2"): "Rum"}
    with pytest.raises(ArgumentError) as told:
        find("product", "SKU-9", codes, lambda: names)
    assert "the nearest codes are SKU-1, SKU-2; the nearest names are " in str(told.value)
    assert "'Milk' (SKU-1)" in str(told.value)


def test_a_number_is_no_part_of_a_name():
    """Or a mistyped id would be another product."""
    codes = codes_of("SKU-1")
    with pytest.raises(ArgumentError, match="there is no product '47'"):
        find("product", "47", codes, lambda: {number_of("SKU-1"): "Item 4711"})


def test_where_nothing_has_a_name():
    with pytest.raises(ArgumentError, match="there is no customer 'Ann'; ids in this database are"):
        find("customer", "Ann", NO_CODES, dict)


def test_all_that_are_unknown_are_told_at_once_and_names_are_read_once():
    asked = []

    def names():
        asked.append(1)
        return NAMES

    assert find_all("product", ["skim", "raisin", "7"], NO_CODES, names) == [2, 4, 7]
    assert len(asked) == 1
    with pytest.raises(ArgumentError) as told:
        find_all("product", ["milq", "7", "ruhm"], NO_CODES, names)
    assert [line[:24] for line in str(told.value).splitlines()] == [
        "there is no product 'mil", "there is no product 'ruh",
    ]  # fmt: skip
