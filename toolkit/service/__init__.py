"""Forecasts over HTTP: the current release's records as they lie in Redis."""
