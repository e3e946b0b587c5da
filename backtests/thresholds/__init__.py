"""``min_orders`` and ``min_confidence``: what they cost and bring, and which to choose."""
