"""Writes a run as one self-contained page: its figures, tables, styles and scripts inside it."""

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from backtests.compare.comparison import Difference, verdicts
from backtests.report import sections, tables
from backtests.report.data import ProductSeries, ReportData, gather
from backtests.report.palette import Style
from backtests.report.products import FAN, WHY
from backtests.run.folder import REPORT, RunFolder
from backtests.scores.registry import HEADLINE, score_of
from backtests.scores.score import CATEGORY, NEXT_ORDER, PRODUCT_WEEK, SCORE_LEVELS, TOTAL
from backtests.scores.summaries import ALL
from toolkit import web
from toolkit.data.tables import QUANTILES
from toolkit.disk import whole_file
from toolkit.errors import ToolkitError
from toolkit.validation import plain
from toolkit.web import environment, shared

MOST_BYTES = 6_000_000
"""So large a page may be; Plotly, packed, takes a third of it."""

MOST_PRODUCT_BYTES = 1_200_000
SHOWN_VERSIONS = 8
"""So many versions are drawn at first; the reader can tick the others."""


@dataclass(frozen=True, slots=True)
class Written:
    """The page: where it is, its size in bytes, how many products it holds, what it lacks."""

    path: Path
    size: int
    products: int
    notices: tuple[str, ...]


def write_report(folder: Path, database: Path | None = None, out: Path | None = None) -> Written:
    """Write the page of the run in ``folder`` to ``out`` (None: into the folder).

    ``database``: where products have their names, if not where the run says. Raises
    ``ArgumentError`` for a folder without a run or finished tasks, ``ToolkitError`` if the page
    would be larger than ``MOST_BYTES``.
    """
    run = RunFolder(folder)
    data = gather(run, database)
    held = affordable(data.products, MOST_PRODUCT_BYTES)
    content = render(data, held, run.fits).encode()
    if len(content) > MOST_BYTES:
        held = affordable(data.products, MOST_PRODUCT_BYTES - (len(content) - MOST_BYTES))
        content = render(data, held, run.fits).encode()
    if len(content) > MOST_BYTES:
        raise ToolkitError(f"the page has {len(content):,} bytes, over {MOST_BYTES:,}")
    path = out or folder / REPORT
    with whole_file(path) as part:
        part.write_bytes(content)
    problem = data.names_problem
    notices = (f"names and history of products are left out: {problem}",) if problem else ()
    return Written(path, len(content), len(held), notices)


def render(data: ReportData, products: Sequence[ProductSeries], fits: Path) -> str:
    """The page as HTML; names in it are escaped, whatever they hold."""
    styles = sections.styles_of(data)
    return template().render(
        data=data,
        run=data.description,
        experiment=plain(data.description.experiment),
        styles=styles,
        shown=shown_versions(data),
        verdicts=list(verdicts(data.comparison.leaders, data.versions)) if data.comparison else [],
        spans=_spans,
        levels=SCORE_LEVELS,
        headline=tables.headline_table(data),
        gaps=list(sections.gap_drawings(data, styles)),
        pits={
            level: list(sections.pit_drawings(data, styles, level))
            for level in (PRODUCT_WEEK, NEXT_ORDER)
        },
        calibration=list(sections.calibration_drawings(data, styles)),
        coverage=[tables.calibration_table(data, level) for level in (PRODUCT_WEEK, NEXT_ORDER)],
        totals=tables.calibration_table(data, TOTAL),
        categories=tables.level_table(data, CATEGORY, tables.OF_CATEGORIES),
        by_date=list(sections.date_drawings(data, styles)),
        by_date_table=tables.date_table(data),
        by_slice=list(sections.slice_drawings(data, styles)),
        thresholds=list(sections.threshold_drawings(data, styles)),
        thresholds_table=tables.thresholds_table(data.frontiers),
        fits=tables.fits_table(data.fits),
        population=list(sections.population_drawings(data, fits, styles)),
        work=tables.work_table(data),
        all_scores=tables.all_scores_table(data),
        why={key: WHY[key] for key in dict.fromkeys(one.chosen.why for one in products)},
        products=products,
        picker=picker(data, products, styles),
        pairs=[_pair_row(one) for one in (data.comparison.differences if data.comparison else ())],
        plotly=packed(get_plotlyjs()),
        style=Markup(shared("page.css") + asset("style.css")),
        script=Markup(shared("plots.js") + asset("script.js")),
    )


def affordable(products: Sequence[ProductSeries], most_bytes: int) -> tuple[ProductSeries, ...]:
    """As many products as fit, the first of each reason before the second of any."""
    places = dict.fromkeys(WHY, 0)
    order: list[tuple[int, int]] = []
    for index, one in enumerate(products):
        order.append((places[one.chosen.why], index))
        places[one.chosen.why] += 1
    kept, used = set(), 0
    for _, index in sorted(order):
        used += len(embedded(numbers(products[index])))
        if used <= most_bytes:
            kept.add(index)
    return tuple(one for index, one in enumerate(products) if index in kept)


def numbers(product: ProductSeries) -> dict[str, object]:
    """What the picker draws of a product."""
    return {"name": product.name, "before": dict(product.before), **product.numbers}


def picker(
    data: ReportData, products: Sequence[ProductSeries], styles: Mapping[str, Style]
) -> dict[str, Any]:
    """All that the picker needs, for the page's script."""
    return {
        "fan": list(FAN),
        "levels": list(QUANTILES),
        "colours": {version: look.colour for version, look in styles.items()},
        "products": [numbers(one) for one in products],
    }


def _pair_row(one: Difference) -> list[object]:
    """A difference between two versions, for the page's script to show two of them."""
    score = score_of(one.level, one.score)
    known = math.isfinite(one.low) and math.isfinite(one.high)
    digits = tables.difference_digits(one.low, one.high) if known else score.digits
    numbers = (one.value, one.value_against, one.difference, one.low, one.high, one.share_better)
    values = [round(number, 6) if math.isfinite(number) else None for number in numbers]
    return [score.heading, score.unit, digits, one.version, one.against, *values, one.rows]


def shown_versions(data: ReportData) -> tuple[str, ...]:
    """The versions that are drawn at first: the best on each headline score, then the next best."""
    if len(data.versions) <= SHOWN_VERSIONS:
        return data.versions
    scores = data.scores
    whole = scores[scores["as_of_date"].isna() & (scores["slice"] == ALL)]
    ranked = [
        rows.sort_values("value", kind="stable")["version"]
        for score in HEADLINE
        if len(rows := whole[(whole["level"] == score.level) & (whole["score"] == score.name)])
    ]
    tiers = chain.from_iterable(zip_longest(*ranked))
    best = list(dict.fromkeys([v for v in tiers if v] or data.versions))[:SHOWN_VERSIONS]
    return tuple(version for version in data.versions if version in best)


@cache
def template() -> Template:
    """The page's template; what it writes is escaped unless it is known to be safe."""
    made = environment("backtests.report", ".")
    made.filters["embedded"] = embedded
    made.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return made.get_template("template.html.jinja")


def embedded(value: object) -> Markup:
    """JSON for a script element, of arrays, too."""
    return web.embedded(value, to_json_plotly)


def packed(script: str) -> str:
    """A script in a quarter of its size, for the page to unpack; equal ones are packed equally."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


def asset(name: str) -> str:
    """A file of the package."""
    return files("backtests.report").joinpath(name).read_text(encoding="utf-8")


def _spans(dates: Sequence[str]) -> str:
    """Dates in few words: one, or the first, the last and how many."""
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]} ({len(dates)} dates)"
