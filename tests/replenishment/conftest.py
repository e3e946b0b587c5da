"""The fitted model of the engine's tests."""

from tests.engine.conftest import rhythm

__all__ = ["rhythm"]
