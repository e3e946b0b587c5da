"""What all pages of HTML share: how templates are read, the style sheet, and how figures look."""

import html
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

TEMPLATES = "templates"

COLOURS = ("#0077bb", "#ee7733", "#009988", "#ee3377", "#33bbee", "#cc3311", "#888888")
"""Paul Tol's vibrant scheme: distinct in both kinds of red-green blindness, on black and white."""

GREY = "rgba(128, 128, 128, 0.7)"
HEIGHT = 250
"""Of a figure, in pixels."""


def environment(package: str = "toolkit", folder: str = TEMPLATES) -> Environment:
    """The templates of a package; what they write is escaped unless it is known to be safe."""
    made = Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["embedded"] = embedded
    return made


def embedded(value: object, dumps: Callable[[object], object] = json.dumps) -> Markup:
    """JSON that may stand in a script element: no ``<`` of a name ends it.

    >>> embedded("</script>")
    Markup('"\\\\u003c/script\\\\u003e"')
    """
    return htmlsafe_json_dumps(value, dumps=lambda value, **_: str(dumps(value)))


@cache
def shared(name: str) -> str:
    """What pages have in common: ``page.css``, or ``plots.js``, which draws figures by Plotly."""
    return files("toolkit").joinpath(TEMPLATES, name).read_text(encoding="utf-8")


def literal(text: str) -> str:
    """Text that Plotly shows as it is: it takes some HTML for markup."""
    return html.escape(text, quote=False)


def layout(
    x: str,
    y: str,
    height: int = HEIGHT,
    xaxis: Mapping[str, object] | None = None,
    yaxis: Mapping[str, object] | None = None,
    **more: object,
) -> dict[str, object]:
    """The layout that all figures share; ``x`` and ``y`` label the axes, with their units.

    Colours of text and grid are left to the page, which knows light from dark.
    """
    axis = {"automargin": True, "zeroline": False, "exponentformat": "none"}
    return {
        "height": height,
        "margin": {"l": 8, "r": 10, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {**axis, "title": {"text": x, "standoff": 6}, **(xaxis or {})},
        "yaxis": {**axis, "title": {"text": y, "standoff": 6}, **(yaxis or {})},
        **more,
    }
