"""Sampling a population posterior, whether it can be trusted, and how it is kept."""
