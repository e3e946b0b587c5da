"""Writes the API reference into ``site/``: a page for every public module, from docstrings.

``make docs`` runs it with warnings as errors, so that an annotation that cannot be read, or a name
in ``__all__`` that is not there, fails it.
"""

import importlib
import os
import pkgutil
import re
import shutil
import sys
import warnings
from pathlib import Path
from textwrap import dedent

import pdoc

import backtests
import toolkit

SITE = Path(__file__).parents[1] / "site"
PACKAGES = ("toolkit", "models", "backtests")
LEFT_OUT = r"!toolkit\.tracking\.(pyfunc|served_model)"
"""What holds MLflow's classes, not ours, and what only MLflow loads."""

STARTS = {
    "Forecast": (
        "toolkit.engine.ForecastEngine",
        "toolkit.results.forecast.ProductForecast",
        "toolkit.sources.folder.importer.import_orders",
        "toolkit.errors",
    ),
    "What to order": (
        "toolkit.replenishment.plan.plan_replenishment",
        "toolkit.replenishment.policy.ReplenishmentPolicy",
        "toolkit.replenishment.stock.read_stock",
        "toolkit.replenishment.result.PlanLines",
        "backtests.replay.replay.run_replay",
    ),
    "Models": ("toolkit.model", "models.pair_conjugate", "models.pooled_gamma",
               "models.lapse_gamma", "models.rhythm"),
    "Which is better?": (
        "backtests.run.harness.run_backtest",
        "backtests.compare.comparison.compare_versions",
        "backtests.thresholds.choice.choose_for_all",
    ),
    "Promote and serve": (
        "toolkit.tracking.promotion.promote",
        "backtests.evidence.gate.Gate",
        "toolkit.export.job.export_release",
        "toolkit.cache.reader.ForecastReader",
        "toolkit.service.settings.ServiceSettings",
        "toolkit.service.server.serve",
    ),
}  # fmt: skip
"""Where to begin, as the first page tells."""

_SECTION = re.compile(r"^(?P<title>[A-Z].*)\n(?P<body>(?:    .*\n|\n(?=    ))+)", re.M)
_TREE = re.compile(r"^(?:\S+\n)(?:[├└│].*\n)+", re.M)


def main(site: Path = SITE) -> None:
    """Write all pages into ``site``, in place of those that are there."""
    os.environ["PDOC_ALLOW_EXEC"] = "1"  # what is imported may ask the system what it is
    # pydantic's dataclasses have an annotation that only type checkers can read
    warnings.filterwarnings("ignore", ".*PydanticDataclass")
    _make_importable()
    pdoc.render.configure(
        docformat="markdown",
        show_source=False,
        template_directory=Path(__file__).parent / "template",
    )
    pdoc.render.env.filters["to_markdown"] = lambda text: markdown(str(text))
    firsts = {name: _first_line(name) for names in STARTS.values() for name in names}
    places = {title: {name: _page(name) for name in names} for title, names in STARTS.items()}
    pdoc.render.env.globals |= {"starts": places, "firsts": firsts}
    shutil.rmtree(site, ignore_errors=True)
    pdoc.pdoc(*PACKAGES, LEFT_OUT, output_directory=site)
    print(f"{len(list(site.rglob('*.html'))) - 1} modules: {site / 'index.html'}")


def markdown(docstring: str) -> str:
    """A docstring of this project as Markdown.

    A section is a line and what is indented below it; roles such as ``:class:`` are left out.
    """
    text = re.sub(r":[a-z]+:`(\w+)`", r"`\1`", f"{docstring}\n")
    text = _TREE.sub(lambda found: f"```text\n{found[0].replace('``', '')}```\n", text)
    return _SECTION.sub(lambda found: f"**{found['title']}**\n\n{dedent(found['body'])}\n", text)


def _make_importable() -> None:
    """Let every module be found and imported by itself, in whatever order."""
    importlib.import_module("toolkit.tracking.store")  # the way in: MLflow imports the others
    for package in (toolkit, backtests):
        for name in package.__all__:  # what is imported when it is asked for
            setattr(package, name, getattr(package, name))
        package.__all__ += [module.name for module in pkgutil.iter_modules(package.__path__)]


def _page(name: str) -> str:
    """Where the reference tells of a module, or of an object in one."""
    module, _, member = name.rpartition(".")
    if module in sys.modules and hasattr(sys.modules[module], member) and name not in sys.modules:
        return f"{module.replace('.', '/')}.html#{member}"
    return f"{name.replace('.', '/')}.html"


def _first_line(name: str) -> str:
    """What a module or an object says of itself, without code's quotes."""
    found: object = pkgutil.resolve_name(name)
    return (found.__doc__ or "").split("\n")[0].replace("``", "")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
