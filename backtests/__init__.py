"""Backtests over historical as-of dates: what each version said, what happened, who was better."""
