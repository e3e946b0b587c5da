"""From a fitted version to what production reads: all products, as one release in Redis."""
