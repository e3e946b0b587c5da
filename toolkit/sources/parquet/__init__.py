"""Order data in a folder of Parquet files, cut by products and, once more, by customers."""
