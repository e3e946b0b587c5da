"""From the posterior of a pair to its predictions: next order, sizes, new pairs."""
