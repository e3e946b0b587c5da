"""Who orders which product next, when, how much, and how sure are we?

>>> import toolkit
>>> toolkit.ForecastEngine.__name__
'ForecastEngine'
"""

from importlib import import_module

_HOMES = {
    "ForecastEngine": "toolkit.engine",
    "ForecastReader": "toolkit.cache.reader",
    "ProductForecast": "toolkit.results.forecast",
    "CustomerPrediction": "toolkit.results.pair",
    "CustomerProductPattern": "toolkit.results.pair",
    "embedded_server": "toolkit.cache.server",
    "open_database": "toolkit.sources.embedded.database",
}

__all__ = [
    "CustomerPrediction",
    "CustomerProductPattern",
    "ForecastEngine",
    "ForecastReader",
    "ProductForecast",
    "embedded_server",
    "open_database",
]


def __getattr__(name: str) -> object:
    """Import what is asked for, when it is asked for: the command line starts without it."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
