"""A backtest from experiment to run folder: fits, then tasks that know nothing of each other."""
