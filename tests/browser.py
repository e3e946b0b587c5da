"""A real Chromium, and what a page asked for and complained of in it."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120_000  # milliseconds: the machine may be busy
DRAWN = "html[data-drawn=yes]"


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser():
    """One at a time: Playwright's loop runs in this thread until it is closed."""
    path = find_chromium()
    if path is None:
        reason = f"no Chromium on the path ({', '.join(NAMES)}): `apt-get install chromium`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


class Opened:
    """A page, and what it asked for and complained of; ``drawn``: whether it draws figures."""

    def __init__(self, context, url, drawn=True):
        self.requests, self.complaints = [], []
        context.set_default_timeout(PATIENCE)
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(url)
        if drawn:
            self.page.wait_for_selector(DRAWN, state="attached")

    def _hear(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)
