"""The fitted model of the engine's tests."""

from tests.engine.conftest import all_patterns, rhythm

__all__ = ["all_patterns", "rhythm"]
