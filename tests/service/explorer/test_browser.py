"""The pages in a real browser: on a desk, on a phone, in the dark, and by keyboard."""

from urllib.parse import urlsplit

import pytest

from tests.browser import Opened
from tests.cache.conftest import until

pytestmark = pytest.mark.slow  # Chromium takes seconds to start

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
DRAWN = ("/products/1", "/products/2/why", "/products/2/what-if?demand=20")
PATHS = ("/", "/products", "/at-risk", "/releases", "/versions", "/search?q=art", *DRAWN)


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def open_page(browser, explorer, tmp_path):
    """Opens a page; what it complained of, and where it asked, is looked at afterwards."""
    contexts, opened = [], []

    def made(path, viewport=DESK, scheme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=scheme)
        contexts.append(context)
        found = Opened(context, explorer.url + path, drawn=path in DRAWN)
        opened.append(found)
        return found.page

    yield made
    for one in opened:
        assert one.complaints == []
        for url in one.requests:
            assert url.startswith((explorer.url + "/", "data:")), url
    for context in contexts:
        context.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_a_page_fits_and_complains_of_nothing(open_page, path, viewport, scheme):
    page = open_page(path, viewport, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate("window.hacked") is None
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    if path in DRAWN:
        ink = {"light": "#1c2026", "dark": "#e6e9ed"}[scheme]
        assert page.evaluate("document.querySelector('.plot').layout.font.color") == ink
        box = page.locator(".main-svg").first.bounding_box()
        assert box["height"] > 200
        assert box["x"] + box["width"] <= viewport["width"]


def test_a_figure_follows_when_it_gets_dark(open_page):
    page = open_page("/products/1")
    page.emulate_media(color_scheme="dark")
    color = "document.querySelector('.plot').layout.font.color"
    assert until(lambda: page.evaluate(color) == "#e6e9ed")  # a page that polls needs eval


def test_the_keyboard_reaches_everything_in_order(open_page):
    page = open_page("/products/1")
    seen = []
    for _ in range(13):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => { const e = document.activeElement, box = e.getBoundingClientRect();
                const style = getComputedStyle(e);
                return [e.textContent.trim() || e.id, style.outlineStyle !== "none",
                    box.width > 0 && box.top >= 0]; }"""
            )
        )
    names = [name for name, _, _ in seen]
    assert names[:8] == [
        *("Skip to content", "Forecasts", "q", "Search"),
        *("Products", "At risk", "Releases", "Versions"),
    ]
    assert names[9:12] == ["Forecast", "Why", "What if"]
    assert [name for name, outlined, _ in seen if not outlined] == []
    assert [name for name, _, visible in seen if not visible] == []

    page.goto(page.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_search_and_a_scenario_by_keyboard(open_page):
    page = open_page("/")
    page.locator("#q").focus()
    page.keyboard.type("article 2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=article+2")
    page.get_by_role("link", name="Article 2", exact=True).press("Enter")
    page.wait_for_url("**/products/2")
    page.get_by_role("link", name="What if").press("Enter")
    page.wait_for_url("**/products/2/what-if")
    slider = page.get_by_label("Demand", exact=True)
    for _ in range(4):
        slider.press("ArrowRight")
    assert page.locator("output[for=demand]").inner_text() == "+20 %"
    slider.press("Enter")
    page.wait_for_selector("html[data-drawn=yes] .main-svg", state="attached")
    assert urlsplit(page.url).query.startswith("demand=20&")
    names = page.evaluate("document.querySelector('.plot').data.map((trace) => trace.name)")
    assert names == ["baseline, 80 %", "scenario, 80 %", "baseline", "scenario"]


def test_without_scripts_the_tables_are_there(browser, explorer):
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    page.goto(f"{explorer.url}/products/2")
    assert page.locator("#weeks > .scroll tbody tr").count() == 12
    assert "The chart needs a script" in page.content()  # the emulation does not show it
    context.close()


def test_an_engine_takes_its_time_and_the_page_prints(open_page):
    page = open_page("/products/1")
    page.emulate_media(media="print")
    assert not page.locator(".site").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
