"""The page in a real browser, opened as a file."""

import re

import pytest

from backtests.report.page import MOST_BYTES
from tests.backtests.report.conftest import ERROR, HOSTILE, HOSTILE_END, LABEL, WARNING
from tests.browser import Opened

pytestmark = pytest.mark.slow  # Chromium takes seconds to start


@pytest.fixture(scope="module")
def desktop(browser, written):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield Opened(context, written.path.as_uri())
    context.close()


@pytest.fixture
def page(desktop):
    return desktop.page


def test_it_opens_offline_without_a_complaint(desktop):
    assert not desktop.complaints
    assert [
        url for url in desktop.requests if not url.startswith(("file:", "data:", "blob:"))
    ] == []


def test_it_is_small_enough(written):
    assert written.path.stat().st_size == written.size <= MOST_BYTES


def test_every_figure_is_drawn(page):
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".plot")].map((plot) => ({
            name: plot.getAttribute("aria-label"),
            traces: plot.data ? plot.data.length : 0,
            shown: plot.querySelectorAll(".trace, .bars .point, .fills path").length,
            height: plot.querySelector(".main-svg")?.getBoundingClientRect().height || 0,
        }))"""
    )
    assert len(drawn) > 35
    assert [one for one in drawn if not (one["traces"] and one["shown"] and one["height"])] == []
    figures = page.locator("figure script[type='application/json']").count()
    assert figures + 1 == len(drawn)  # and the picker's


def test_names_do_nothing_but_stand_there(page):
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    heads = page.locator("#table-headline tbody th").all_inner_texts()
    assert LABEL in [head.strip() for head in heads]
    first = page.locator("#product option").first.inner_text()
    assert first.startswith(HOSTILE)
    assert first.endswith(HOSTILE_END)
    assert ERROR in page.locator("#failures").inner_text()
    assert WARNING in page.locator("#table-fits").inner_text()


def test_a_click_on_a_title_sorts_and_another_turns(page):
    table = page.locator("#table-work")
    button = table.locator("th button", has_text="Failed tasks")
    numbers = table.locator("tbody tr td:nth-child(3)")
    button.click()
    assert numbers.all_inner_texts() == ["0", "1"]
    button.click()
    assert numbers.all_inner_texts() == ["1", "0"]
    assert table.locator("th[aria-sort=descending]").inner_text().startswith("Failed tasks")


def test_words_sort_too_and_unknown_values_come_last(page):
    page.locator("section#result details summary").click()
    table = page.locator("#table-all-scores")
    table.locator("th button", has_text="Score").first.click()
    titles = table.locator("tbody th").evaluate_all("all => all.map((th) => th.dataset.sort)")
    assert titles == sorted(titles, key=str.lower)
    assert len(titles) > 20


def test_the_picker_draws_another_product_date_and_version(page):
    drawn = "() => JSON.stringify(document.querySelector('#product-plot').data.map((t) => t.y))"
    seen = {page.evaluate(drawn)}
    for box in ("#product", "#product-date", "#product-version"):
        choices = page.locator(f"{box} option").evaluate_all("all => all.map((o) => o.value)")
        now = page.locator(box).input_value()
        page.select_option(box, next(choice for choice in choices if choice != now))
        assert page.evaluate(drawn) not in seen
        seen.add(page.evaluate(drawn))
    title = page.locator("#product-title").inner_text()
    for box in ("#product-date", "#product-version"):
        assert page.locator(box).input_value() in title
    assert re.search(
        r"expected [\d,.]+, actual [\d,.]+ units", page.locator("#product-note").inner_text()
    )


def test_two_versions_are_compared_either_way(page):
    gap = "#table-pairs tbody tr td:nth-child(4)"
    forth = page.locator(gap).evaluate_all("all => all.map((td) => Number(td.dataset.sort))")
    one, other = (page.locator(f"#pair-{box}").input_value() for box in ("version", "against"))
    page.select_option("#pair-version", other)
    page.select_option("#pair-against", one)
    back = page.locator(gap).evaluate_all("all => all.map((td) => Number(td.dataset.sort))")
    assert forth == [-gap for gap in back]
    assert len(forth) >= 8


def test_a_version_can_be_left_out_of_all_figures(page):
    box = page.locator(f".chips input[value='{LABEL}']")
    traces = """(name) => [...document.querySelectorAll(".plot")].filter((p) => p.offsetParent)
        .flatMap((p) => p.data).filter((t) => t.meta === name && t.visible !== false).length"""
    before = page.evaluate(traces, LABEL)
    box.uncheck()
    try:
        assert before > 10
        assert page.evaluate(traces, LABEL) == 0
        hidden = page.locator(f"figure[data-version='{LABEL}']")
        assert hidden.count() > 2
        assert not any(figure.is_visible() for figure in hidden.all())
    finally:
        box.check()
    assert page.evaluate(traces, LABEL) == before


def test_a_phone_shows_it_without_scrolling_sideways(browser, written):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    try:
        opened = Opened(context, written.path.as_uri())
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
        right = "(all) => Math.max(...all.map((svg) => svg.getBoundingClientRect().right))"
        widest = opened.page.locator(".main-svg").evaluate_all(right)
        assert widest <= 390
        paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(20, 23, 27)"
        font = opened.page.evaluate("document.querySelector('.plot').layout.font.color")
        assert font == "#e6e9ed"
        assert not opened.complaints
    finally:
        context.close()


def test_it_prints_all_figures_in_black_on_white(page, tmp_path):
    page.emulate_media(media="print")
    try:
        page.wait_for_function("document.querySelector('.plot').layout.font.color === '#000'")
        assert not page.locator("nav").is_visible()
        printed = page.pdf(format="A4")
    finally:
        page.emulate_media(media="screen")
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000
