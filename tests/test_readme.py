"""What the README and the guides tell a user to type does what they say, in a fresh clone."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.image as mpimg
import pytensor
import pytest

from toolkit import embedded_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CACHE_MB = 1024


@dataclass(frozen=True)
class Expected:
    """What the blocks of a document say together, and the files that they leave behind."""

    says: tuple[str, ...]
    leaves: tuple[str, ...] = ()


GUIDES = {
    "README.md": Expected(
        ("rhythm", "'q50'", "Household"),
        ("demo/orders/order_lines.*", "demo/weekly_demand.png", "runs/quick-*/report.html",
         "mlflow.db"),
    ),
    "docs/your_orders.md": Expected(
        ("Imported into orders.duckdb", "Top customers by volume", "'q50'", "What comes next",
         "2 products together", "product_name next_order_date", "<ProductForecast of product 770",
         "Imported into sales.duckdb: 180 order lines", "Would be imported: 180 order lines"),
        ("predictions/pairs.parquet", "predictions/product_weeks.parquet", "movers.csv",
         "broken.csv", "sales.toml"),
    ),
    "docs/backtests.md": Expected(
        ("is in fits/pooled_gamma/", "Top customers by volume", "is better"), ("milk.png",)
    ),
    "docs/what_to_order.md": Expected(
        ("What to order as of 2017-10-02", "Replay of what to order", "mean + z sd"), ("plan.csv",)
    ),
    "docs/what_if.md": Expected(
        ("3 scenarios: 2017-10-02", "dearer milk, a household gone: the weeks", "a fifth more",
         "What thresholds list of 2 products", "a typical customer of this product",
         "surprises to this product alone"),
        ("whatif.csv", "thresholds.csv", "thresholds.png", "why.png"),
    ),
    "docs/operations.md": Expected(
        ("is what readers get now", "that was worse",
         "1-2018-01-01 {'success': 2, 'no_predictions': 0, 'error': 0}"),
    ),
    "docs/service.md": Expected(
        ('{"product_id":770,"release":"',), ("keys", "serve.log")
    ),
}  # fmt: skip
"""In the order in which they run in one clone: each uses what those before it leave behind."""


@dataclass
class Clone:
    """The tracked files in a folder of their own, in which documents are followed."""

    folder: Path
    settings: dict[str, str]
    printed: dict[str, str] = field(default_factory=dict)
    broken: str | None = None

    def follow(self, document: str) -> str:
        """What the document's blocks print, after those of all documents before it."""
        for name in list(GUIDES)[: list(GUIDES).index(document) + 1]:
            if self.broken not in (None, name):
                pytest.fail(f"{self.broken}, which comes before {document}, has failed")
            if name not in self.printed:
                self.broken = name
                self.printed[name] = "".join(self._run(block) for block in blocks(name))
                self.broken = None
        return self.printed[document]

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def blocks(document: str) -> Iterator[list[str]]:
    """The blocks to run, as commands; ``make test`` is what runs this."""
    text = (ROOT / document).read_text()
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.M | re.S):
        if block.strip() != "make test":
            yield ["bash", "-euc", block] if language == "sh" else [sys.executable, "-c", block]


@pytest.fixture(scope="module")
def environment() -> Path:
    """The environment that runs this test, if ``make`` set it up and would not do so again."""
    found = Path(sys.executable).parents[1]
    ready = found / ".ready-interorder-toolkit"
    sources = [ROOT / "requirements.lock", ROOT / "pyproject.toml"]
    newest = max(path.stat().st_mtime for path in sources)
    if not ready.exists() or ready.stat().st_mtime < newest:
        pytest.fail("the environment is not what the Makefile makes: run `make setup` first")
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory, environment) -> Iterator[Clone]:
    """The environment stands, the code is the clone's, and a server is where the cache is to be.

    The home folder is one without anything, but for code that was compiled before, by PyTensor and
    by Numba: the latter's belongs to these very sources, wherever they lie.
    """
    target = tmp_path_factory.mktemp("clone") / "interorder-toolkit"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0")[:-1]:
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for compiled in ROOT.glob("models/parts/**/__pycache__/*.nb[ci]"):
        copy = target / compiled.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(compiled, copy)
    (target / ".venv").symlink_to(environment)
    with embedded_server(CACHE_MB) as server:
        settings = os.environ | {
            "PYTHONPATH": str(target), "HOME": str(target), "COLUMNS": "100",
            "PYTENSOR_FLAGS": f"base_compiledir={pytensor.config.base_compiledir}",
            "TOOLKIT_REDIS_URL": server.url,
        }  # fmt: skip
        yield Clone(target, settings)


@pytest.mark.parametrize("document", GUIDES)
def test_every_block_runs_in_order(clone, document):
    printed = clone.follow(document)
    expected = GUIDES[document]
    assert [text for text in expected.says if text not in printed] == [], printed
    assert [name for name in expected.leaves if not list(clone.folder.glob(name))] == []


def test_the_picture_in_the_readme_is_as_the_commands_draw_it(clone):
    clone.follow("docs/backtests.md")
    names = ("demo/weekly_demand.png", "milk.png", "docs/forecast.png")
    assert len({mpimg.imread(clone.folder / name).shape[:2] for name in names}) == 1
