"""``rhythm``: which weeks pairs order in, from what pairs, customers and products did before."""
