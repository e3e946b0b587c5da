"""Libraries that only peers need: imported when one is used."""

from importlib import import_module
from types import ModuleType

from toolkit.errors import ModelError

EXTRA = "interorder-toolkit[peers]"


def need(module: str) -> ModuleType:
    """The optional module. Raises ``ModelError`` with what to install where it is missing."""
    try:
        return import_module(module)
    except ImportError as exc:
        raise ModelError(
            f"{module.partition('.')[0]} cannot be imported ({exc}): run `pip install '{EXTRA}'`"
        ) from exc
