"""Backtests over historical as-of dates: what each version said, what happened, who was better.

The public names are those in ``__init__.pyi``; each is imported when it is asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
