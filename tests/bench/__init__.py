"""Speed and size, measured: ``python -m tests.bench [--data FOLDER]``."""
