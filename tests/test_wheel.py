"""The wheel, in an environment of its own, far from the checkout."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.cache.conftest import until
from tests.processes import start
from toolkit.installed import HOME, own_version

PACKAGES = ("toolkit", "models", "backtests")
DATA = {".css", ".jinja", ".js", ".pyi", ".typed"}
SAY = f"""
import importlib, importlib.metadata as m, json
own = m.distribution("interorder-toolkit")
for point in own.entry_points:
    point.load()
print(json.dumps({{
    "places": [importlib.import_module(name).__file__ for name in {PACKAGES}],
    "points": len(own.entry_points),
    "extras": own.metadata.get_all("Provides-Extra"),
    "license": own.metadata["License-Expression"],
}}))
"""


def did(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder))
    did(start(pip, "--no-deps", "--no-build-isolation", "--no-index", HOME, cwd=folder))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel; all else that is installed here it sees, but not us."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place / "env", with_pip=False, symlinks=True)
    python = place / "env" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": place / "env"}))
    seen = place / "seen"
    seen.mkdir()
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        if "interorder" not in found.name and found.name not in PACKAGES:
            (seen / found.name).symlink_to(found)
    (site / "seen.pth").write_text(f"{seen}\n")
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    did(run(python, *install, place=place))
    return place


def run(program, *arguments, place):
    """In an empty folder, of somebody whose home is empty."""
    for name in ("home", "work"):
        (place / name).mkdir(exist_ok=True)
    return start((str(program),), *arguments, cwd=place / "work", **of_a_user(place))


def of_a_user(place):
    return {"HOME": str(place / "home"), "PYTHONPATH": "", "PYTENSOR_FLAGS": ""}


def test_it_holds_what_the_packages_need(wheel):
    held = set(ZipFile(wheel).namelist())
    data = {
        file.relative_to(HOME).as_posix()
        for package in PACKAGES
        for file in (HOME / package).rglob("*")
        if file.suffix in DATA | {".py"} and "__pycache__" not in file.parts
    }
    assert {Path(name).suffix for name in data} == DATA | {".py"}
    experiments = (HOME / "experiments").glob("*.toml")
    shipped = {f"backtests/experiments/{file.name}" for file in experiments}
    information = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    assert held - information == data | shipped


def test_it_is_what_runs_there(place):
    python = place / "env" / "bin" / "python"
    said = json.loads(did(run(python, "-c", SAY, place=place)))
    site = Path(sysconfig.get_path("purelib", vars={"base": place / "env"}))
    assert said["places"] == [str(site / name / "__init__.py") for name in PACKAGES]
    assert sorted(said["extras"]) == [
        "all",
        "cluster",
        "demo",
        "dev",
        "engine",
        "fit",
        "lab",
        "peers",
        "report",
        "s3",
        "serve",
        "sqlserver",
        "tables",
        "tracking",
    ]
    assert said["license"] == "Apache-2.0"
    script = place / "env" / "bin" / "toolkit"
    assert did(run(script, "--version", place=place)) == f"{own_version()}\n"
    assert "backtest" in did(run(python, "-m", "toolkit", "--help", place=place))
    unknown = run(script, "backtest", "slow", place=place)
    assert unknown.stderr.endswith("one that is shipped: peers, quick, versions\n")


@pytest.mark.slow
def test_the_demo_runs_in_an_empty_folder(place):
    """As far as its first backtest, with what is shipped: what comes then the README shows."""
    work = place / "work"
    work.mkdir(exist_ok=True)
    with subprocess.Popen(
        [place / "env" / "bin" / "toolkit", "demo"], cwd=work, env=os.environ | of_a_user(place),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as demo:  # fmt: skip
        begun = until(
            lambda: demo.poll() is not None or list(work.glob("runs/quick-*/tasks/*")), 300
        )
        running = demo.poll() is None
        demo.send_signal(signal.SIGINT)
        said = demo.stderr.read()
    assert begun, said
    assert running, said
    assert (work / "demo" / "orders.duckdb").is_file()
