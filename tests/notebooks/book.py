"""Executing a notebook, and whether what it shows came out of the code it holds."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
LIMIT_S = 180
HASH = "code_sha256"
CLEAN = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""Of a notebook's metadata, what is the same on every machine."""

VARIABLES = ("MLFLOW_TRACKING_URI", "TOOLKIT_MODELS", "PYTEST_CURRENT_TEST")
"""What a user's kernel would not have from the tests."""


def read(path: Path) -> NotebookNode:
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)


def code_hash(book: NotebookNode) -> str:
    """What the outputs rest on: the code cells, in their order."""
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(cells).encode()).hexdigest()


def execute(book: NotebookNode) -> None:
    """Run all cells in a new kernel that works in an empty folder; outputs are replaced.

    Raises ``CellExecutionError`` for the first cell that does.
    """
    with tempfile.TemporaryDirectory() as scratch, _apart(scratch):
        folder = Path(scratch) / "work"
        folder.mkdir()
        NotebookClient(
            book,
            timeout=LIMIT_S,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        ).execute()


@contextmanager
def _apart(scratch: str) -> Iterator[None]:
    """Jupyter's own files lie in ``scratch``, and nobody's settings are read."""
    homes = {name: f"{scratch}/{name.lower()}" for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    before = dict(os.environ)
    os.environ.update(homes)
    for name in VARIABLES:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def write(path: Path) -> None:
    """Execute the notebook in a file and keep its outputs, without what differs by machine."""
    book = read(path)
    execute(book)
    book.metadata = nbformat.from_dict(CLEAN | {"toolkit": {HASH: code_hash(book)}})
    for cell in book.cells:
        cell.metadata = nbformat.from_dict({})
    nbformat.validate(book)
    nbformat.write(book, path)


def outputs(book: NotebookNode) -> Iterator[NotebookNode]:
    """All outputs of all cells."""
    for cell in book.cells:
        yield from cell.get("outputs", ())
