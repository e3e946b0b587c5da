"""The commands of backtests: run, compare, choose thresholds, report."""
