"""The API reference is built from docstrings without a warning, a page for each module."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUIET = ("-W", "error", "-W", "ignore:Importing:DeprecationWarning")  # as `make docs` says


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, *QUIET, ROOT / "docs" / "build.py", target],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return target


def test_the_makefile_builds_it_the_same_way():
    shown = subprocess.run(
        ["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f'-W error -W "{QUIET[-1]}" docs/build.py' in shown.stdout


@pytest.mark.slow
def test_the_engine_has_its_page(site):
    page = (site / "toolkit" / "engine.html").read_text()
    assert 'id="ForecastEngine.generate_forecast"' in page
    assert "Forecasts products from a database of orders." in page


@pytest.mark.slow
def test_every_module_has_a_page(site):
    left_out = {"toolkit/__main__", "toolkit/tracking/pyfunc", "toolkit/tracking/served_model"}
    modules = {
        str(path.parent if path.name == "__init__.py" else path.with_suffix(""))
        for package in ("toolkit", "models", "backtests")
        for path in (file.relative_to(ROOT) for file in (ROOT / package).rglob("*.py"))
    }
    pages = {str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html")}
    assert pages == (modules - left_out) | {"index"}


@pytest.mark.slow
def test_the_first_page_leads_on(site):
    page = (site / "index.html").read_text()
    assert '<a href="toolkit/engine.html#ForecastEngine">' in page


@pytest.mark.slow
def test_model_cards_have_headings_and_the_errors_their_tree(site):
    assert "<strong>What it assumes</strong>" in (site / "models" / "rhythm.html").read_text()
    tree = (site / "toolkit" / "errors.html").read_text()
    assert "<pre" in tree.split("an argument is out of range")[0]
