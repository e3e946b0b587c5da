"""``make setup`` of a small project with this one's Makefile and scripts: what fails says why."""

import ast
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import namespace

ROOT = Path(__file__).parents[1]
HERE = "{}.{}".format(*sys.version_info)
OLDEST = "3.12"
MEGABYTES = 64
NOBODY = 65534

BACKEND = """
import shutil

def build_editable(folder, config_settings=None, metadata_directory=None):
    return shutil.copy("wheels/project-1-py3-none-any.whl", folder).rpartition("/")[2]
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "project"
version = "1"
"""


def write_wheel(folder: Path, name: str, megabytes: int = 0) -> Path:
    """A package that is small as a file, and as large as wished once installed."""
    about = f"{name}-1.dist-info"
    files = {
        f"{name}/__init__.py": b"",
        f"{name}/zeros": bytes(megabytes << 20),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in files).encode()
    wheel = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_project(tmp_path_factory.mktemp("made") / "project")


@pytest.fixture
def project(made, tmp_path) -> Path:
    """A checkout whose only dependency lies beside it."""
    return Path(shutil.copytree(made, tmp_path / "project"))


def make_project(folder: Path) -> Path:
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    shutil.copy2(ROOT / "Makefile", folder)
    (folder / "wheels").mkdir()
    write_wheel(folder / "wheels", "project")
    write_wheel(folder / "wheels", "zeros", MEGABYTES)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    lock(folder)
    return folder


def lock(folder: Path, digest: str | None = None) -> None:
    wheel = folder / "wheels" / "zeros-1-py3-none-any.whl"
    true = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(f"zeros==1 --hash=sha256:{digest or true}\n")


@pytest.fixture(scope="module")
def set_up_once(made, tmp_path_factory) -> Path:
    """The project after ``make setup PYTHON=``, of the Python that runs this test."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("once") / "project"))
    done = set_up(folder, f"PYTHON={HERE}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def locked_anew(set_up_once, tmp_path) -> Path:
    """A copy of it that has a newer lock, whose dependency is not installed."""
    folder = Path(shutil.copytree(set_up_once, tmp_path / "project", symlinks=True))
    (installed,) = folder.glob(f".venv-{HERE}/lib/*/site-packages/zeros-1.dist-info")
    shutil.rmtree(installed)
    os.utime(folder / f".venv-{HERE}" / ".ready-interorder-toolkit", (0, 0))
    return folder


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """A user's with nothing set, nothing in pip's cache, and packages in ``wheels`` alone."""
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "PYENV_ROOT": pyenv}
    wheels = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels")}
    return plain | {"PIP_CONFIG_FILE": os.devnull} | wheels | settings


def set_up(folder: Path, *variables: str, before: tuple[str, ...] = (), user=None, **settings: str):
    return subprocess.run(
        [*before, "make", "setup", *variables], cwd=folder, env=environment(folder, **settings),
        user=user, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a set-up ends with, before make's own line."""
    assert done.returncode == 2, done.stdout + done.stderr
    sentence, makes = done.stderr.splitlines()
    assert re.match(r"make: \*\*\* .* Error 1$", makes)
    return sentence


def version_in(venv: Path) -> str:
    """The Python of an environment that is complete."""
    asked = "import sys, zeros; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run(
        [venv / "bin" / "python", "-c", asked], capture_output=True, text=True, check=True
    )
    assert (venv / ".ready-interorder-toolkit").exists()
    assert not (venv / ".unfinished").exists()
    return done.stdout.strip()


def find_python(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("sh"), ROOT / ".ci" / "find-python", *arguments],
        env={"PATH": str(path), "PYENV_ROOT": str(path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def pretend(folder: Path, name: str, version: str) -> None:
    """A program that answers what a Python of this version would, and has venv."""
    (folder / name).write_text(f'#!/bin/sh\ncase $2 in *version*) echo "{version}";; esac\n')
    (folder / name).chmod(0o755)


def promised() -> list[str]:
    (line,) = re.findall(r'^promised="(.*)"', (ROOT / ".ci" / "find-python").read_text(), re.M)
    return line.split()


def test_all_places_promise_the_same_pythons():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    minors = [int(version.removeprefix("3.")) for version in reversed(promised())]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert config["project"]["requires-python"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"
    classifiers = re.findall(r"Python :: (3\.\d+)", " ".join(config["project"]["classifiers"]))
    assert classifiers == [f"3.{minor}" for minor in minors]
    assert promised()[-1] == config["tool"]["mypy"]["python_version"] == OLDEST
    assert config["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"
    assert f"PYTHON={OLDEST} " in (ROOT / ".ci" / "run").read_text()
    assert f"--python-version {OLDEST} " in (ROOT / "Makefile").read_text()


def test_every_file_is_in_the_oldest_pythons_syntax():
    minor = int(OLDEST.removeprefix("3."))
    for folder in ("toolkit", "models", "backtests", "tests", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            ast.parse(path.read_text(), path, feature_version=(3, minor))


def test_the_newest_promised_python_is_taken_or_the_one_that_is_named(tmp_path):
    for version in ("3.11", *promised(), "3.99"):
        pretend(tmp_path, f"python{version}", version)
    pretend(tmp_path, "python3", "3.99")
    assert find_python(path=tmp_path).stdout == f"{tmp_path}/python{promised()[0]}\n"
    assert find_python(OLDEST, path=tmp_path).stdout == f"{tmp_path}/python{OLDEST}\n"


def test_a_python_of_pyenv_is_taken_where_path_has_none(tmp_path):
    there = tmp_path / "versions" / f"{OLDEST}.1" / "bin"
    there.mkdir(parents=True)
    pretend(there, "python3", OLDEST)
    assert find_python(path=tmp_path).stdout == f"{there}/python3\n"


@pytest.mark.parametrize("version", ["2.7", "3.11", "3.99"])
def test_a_python_that_is_not_promised_is_named_with_those_that_are(tmp_path, version):
    pretend(tmp_path, "python3", version)
    done = find_python(path=tmp_path)
    assert done.returncode == 1
    needs = f"This project needs Python {OLDEST} to {promised()[0]}, and found {version} on PATH"
    assert done.stderr.startswith(needs)
    assert f"pyenv install {promised()[0]}" in done.stderr
    asked = find_python(OLDEST, path=tmp_path).stderr
    assert asked.startswith(f"This project needs Python {OLDEST}, and found {version} on PATH")
    assert f"pyenv install {OLDEST}" in asked


def test_a_version_that_is_not_promised_cannot_be_named(project):
    assert "3.11 was named: name one of " in reason(set_up(project, "PYTHON=3.11"))


def test_a_python_without_venv(project):
    """As Debian's is, before ``apt install python3-venv``."""
    hidden = project / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").write_text("raise ModuleNotFoundError('ensurepip')\n")
    said = reason(set_up(project, f"PYTHON={HERE}", PYTHONPATH=str(hidden)))
    assert f"apt install python{HERE}-venv" in said


def test_no_network(locked_anew):
    start = time.monotonic()
    done = set_up(
        locked_anew, f"PYTHON={HERE}", before=namespace("--net"),
        PIP_NO_INDEX="0", PIP_FIND_LINKS="",
    )  # fmt: skip
    assert reason(done).startswith("Cannot reach a package index: ")
    assert "PIP_INDEX_URL" in done.stderr
    assert time.monotonic() - start < 60


@pytest.fixture
def read_only(project) -> Iterator[Path]:
    """The project where all may come, and may not write."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Path(shutil.copytree(project, Path(folder) / "project"))
        place.chmod(0o555)
        yield place
        place.chmod(0o755)


def test_no_write_access(read_only):
    done = set_up(read_only, user=NOBODY if os.getuid() == 0 else None)
    assert reason(done).startswith(f"Cannot write to {read_only}: ")
    assert "make VENV=FOLDER" in done.stderr


@pytest.mark.parametrize("size", [4, 48])
def test_a_full_disk(project, size):
    """Before the environment is made (4 MB), or its packages are."""
    (project / "small").mkdir()
    small = f'mount -t tmpfs -o size={size}m tmpfs small && exec "$@"'
    before = (*namespace("--mount"), "sh", "-c", small, "sh")
    said = reason(set_up(project, "VENV=small/venv", before=before))
    assert said.startswith("The disk is full: ")


def test_a_folder_with_other_things_is_left_as_it_is(project):
    said = reason(set_up(project, "VENV=wheels"))
    assert said.startswith("wheels holds other things than an environment: ")
    assert len(list((project / "wheels").iterdir())) == 2


def test_an_environment_of_another_python_is_left_as_it_is(project):
    (project / ".venv" / "bin").mkdir(parents=True)
    pretend(project / ".venv" / "bin", "python", "3.11")
    assert reason(set_up(project)).startswith(".venv is an environment of another Python: ")
    assert [path.name for path in (project / ".venv").iterdir()] == ["bin"]


def test_what_has_no_sentence_of_its_own_shows_what_pip_says(locked_anew):
    lock(locked_anew, "0" * 64)
    done = set_up(locked_anew, f"PYTHON={HERE}")
    assert done.returncode == 2
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert f"Set-up ends here: .venv-{HERE}/bin/python -m pip install" in done.stderr


def test_a_python_that_is_named_has_an_environment_of_its_own(set_up_once):
    assert version_in(set_up_once / f".venv-{HERE}") == HERE
    assert not (set_up_once / ".venv").exists()


def test_a_new_lock_is_installed_into_the_environment_that_is_there(locked_anew):
    venv = locked_anew / f".venv-{HERE}"
    (venv / "kept").touch()
    assert set_up(locked_anew, f"PYTHON={HERE}").stdout.startswith("Setting up ")
    assert version_in(venv) == HERE
    assert (venv / "kept").exists()


def test_what_is_set_up_is_left_as_it_is(set_up_once):
    done = set_up(set_up_once, f"PYTHON={HERE}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Setting up" not in done.stdout


@pytest.mark.slow
def test_a_set_up_that_was_killed_is_done_anew(project):
    python = project / ".venv" / "bin" / "python"
    with subprocess.Popen(
        ["make", "setup"], cwd=project, env=environment(project), start_new_session=True,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while not python.exists():
            assert process.poll() is None
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    (project / ".venv" / "left").touch()
    done = set_up(project)
    assert done.returncode == 0, done.stderr
    assert version_in(project / ".venv") in promised()
    assert not (project / ".venv" / "left").exists()


@pytest.mark.slow
def test_an_environment_whose_python_is_gone_is_made_anew(locked_anew):
    venv = locked_anew / f".venv-{HERE}"
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(locked_anew / "removed")
    assert set_up(locked_anew, f"PYTHON={HERE}").returncode == 0
    assert version_in(venv) == HERE
