"""Compiled loops and closed formulas."""
