"""Backtests over historical as-of dates: what each version said, what happened, who was better.

The public names are those in ``__init__.pyi``; each is imported when it is asked for.
"""

import lazy_loader

from toolkit.installed import named_extra

_lazily, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = named_extra(_lazily)
