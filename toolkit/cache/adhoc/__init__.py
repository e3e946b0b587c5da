"""Forecasts that are computed when somebody asks, and kept for a while."""
