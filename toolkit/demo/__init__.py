"""The demo: a year of grocery orders, from the raw lines to what production reads."""
