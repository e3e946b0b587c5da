"""What is taken where nobody says otherwise, in Python, in experiments and on the command line.

Nothing is imported here: a command shows its defaults before it loads what it needs to run.
"""

WEEKS = 12
"""Of a forecast."""
DRAWS = 200
"""Predictive draws per pair."""
SEED = 20251111

PLAN_DRAWS = 1000
"""Draws of demand where stock is planned: levels lie in its tail, which few draws reach."""

MIN_ORDERS, MIN_CONFIDENCE = 2, 0.3
"""Customers with so many orders and so much confidence are listed."""
MIN_COVERAGE = 0.8
"""Lists for which thresholds are chosen hold this share of what was then ordered."""

RESAMPLES, INTERVAL_SHARE = 1000, 0.95
"""Of the bootstrap that compares versions, and what its intervals hold."""
