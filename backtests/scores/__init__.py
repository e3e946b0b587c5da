"""Predictions against what happened: the tables of a run, and the scores of them."""
