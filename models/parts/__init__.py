"""What model versions share: renewal formulas, order paths, sizes, new pairs."""
