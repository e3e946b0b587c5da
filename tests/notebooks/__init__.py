"""The notebooks are executed as they are, from a clean kernel; `--write` keeps what comes out."""
