"""What the README tells a new user to type does what it says, in a fresh clone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image as mpimg
import pytensor
import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The tracked files, as they stand, in a folder of their own."""
    target = tmp_path_factory.mktemp("clone") / "interorder-toolkit"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0")[:-1]:
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


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


def test_every_block_runs_in_order(clone, environment):
    """``make test`` is what runs this; the environment stands, the code is the clone's.

    The home folder is one without anything, but for code that PyTensor has compiled before.
    """
    settings = os.environ | {
        "PYTHONPATH": str(clone), "HOME": str(clone), "COLUMNS": "100",
        "PYTENSOR_FLAGS": f"base_compiledir={pytensor.config.base_compiledir}",
    }  # fmt: skip
    (clone / ".venv").symlink_to(environment)
    ran = []
    for language, block in BLOCKS:
        command = ["bash", "-euc", block] if language == "sh" else [sys.executable, "-c", block]
        if block.strip() == "make test":
            continue
        done = subprocess.run(
            command, cwd=clone, env=settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        ran.append(done.stdout)
    assert "× faster" in ran[0]
    assert "Imported into orders.duckdb" in ran[1]
    assert "is in fits/pooled_gamma/" in ran[2]
    assert "Top customers by volume" in ran[2]
    pictures = [
        clone / name for name in ("demo/weekly_demand.png", "milk.png", "docs/forecast.png")
    ]
    sizes = {mpimg.imread(picture).shape[:2] for picture in pictures}
    assert len(sizes) == 1
    assert "is better" in ran[3]
    assert "Production reads release 1-2018-01-01" in ran[0]
    assert "rhythm" in ran[4]
    assert "1-2018-01-01 {'success': 2, 'no_predictions': 0, 'error': 0}" in ran[5]
    assert "q50" in ran[6]
    assert (clone / "predictions" / "pairs.parquet").exists()
