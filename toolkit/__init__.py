"""Who orders which product next, when, how much, and how sure are we?

The public names are those in ``__init__.pyi``; each is imported when it is asked for, so that the
command line and readers start without the rest.

>>> import toolkit
>>> toolkit.ForecastEngine.__name__
'ForecastEngine'
"""

import lazy_loader

_lazily, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """A public name; ``ImportError`` that says what to install where its packages are missing."""
    try:
        return _lazily(name)
    except ModuleNotFoundError as exc:
        from toolkit.installed import missing  # noqa: PLC0415 it is seldom needed

        raise ImportError(missing(exc, name) or str(exc)) from exc
