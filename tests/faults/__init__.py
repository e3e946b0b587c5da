"""Faults caused by the hundred, and what became of each: ``python -m tests.faults``."""
