"""What backtests say of a registered version, and whether that is enough to promote it."""
