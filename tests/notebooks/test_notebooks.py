"""Every notebook runs, and shows what its code brings out, on whatever machine."""

import re

import pytest

from tests.notebooks.book import FOLDER, HASH, PATHS, code_hash, execute, outputs, read

LARGEST = 300 * 1024
NAMES = [
    "01_first_forecast",
    "02_bayesian_workflow",
    "03_compare_versions",
    "04_thresholds",
    "05_promote_and_serve",
    "06_your_own_model",
    "07_your_own_data",
    "08_plan_and_what_if",
]
FOLDERS = "home|root|tmp|Users|private|var|work|usr|opt|mnt"
A_PLACE = re.compile(rf"(?<![\w.:/])/(?:{FOLDERS})/|\b[A-Z]:\\")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_all_are_there_and_nothing_else():
    there = {path.name for path in FOLDER.iterdir() if path.name != ".ipynb_checkpoints"}
    assert there == {f"{name}.ipynb" for name in NAMES}


@pytest.mark.slow
def test_it_runs_from_a_clean_kernel(path):
    before = sorted(FOLDER.rglob("*"))
    book = read(path)
    execute(book)
    assert _stderr(book) == []
    assert sorted(FOLDER.rglob("*")) == before


def test_what_it_shows_is_of_its_code(path):
    book = read(path)
    remedy = f"`python -m tests.notebooks --write {path.stem[:2]}` executes it and keeps that"
    assert book.metadata.get("toolkit", {}).get(HASH) == code_hash(book), remedy
    counts = [cell.execution_count for cell in book.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), remedy


def test_its_outputs_are_small_and_of_no_machine(path):
    assert path.stat().st_size <= LARGEST
    book = read(path)
    assert _stderr(book) == []
    assert [text for text in _texts(book) if A_PLACE.search(text)] == []


def test_it_asks_shows_and_checks(path):
    cells = read(path).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    told = [cell.source for cell in cells if cell.cell_type == "markdown"]
    titles = [line for text in told for line in text.splitlines() if line.startswith("# ")]
    assert titles == [cells[0].source.splitlines()[0]]
    last_code = [cell.source for cell in cells if cell.cell_type == "code"][-1]
    assert "assert " in last_code
    figures = [out for out in outputs(read(path)) if "image/png" in out.get("data", {})]
    assert figures


def _stderr(book):
    return [out.text for out in outputs(book) if out.get("name") == "stderr"]


def _texts(book):
    """All that is text in the outputs, pictures left out."""
    for out in outputs(book):
        yield out.get("text", "")
        for kind, content in out.get("data", {}).items():
            if not kind.startswith("image/"):
                yield str(content)
