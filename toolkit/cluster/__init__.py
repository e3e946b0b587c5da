"""Where long work is done: processes of this machine, or workers of a Dask scheduler."""
