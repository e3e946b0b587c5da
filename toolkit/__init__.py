"""Who orders which product next, when, how much, and how sure are we?

The public names are those in ``__init__.pyi``; each is imported when it is asked for, so that the
command line and readers start without the rest.

>>> import toolkit
>>> toolkit.ForecastEngine.__name__
'ForecastEngine'
"""

import lazy_loader

from toolkit.installed import named_extra

_lazily, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = named_extra(_lazily)
