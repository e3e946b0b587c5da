"""``python -m tests.notebooks --write [NAME …]`` executes the notebooks and keeps their outputs."""

import argparse
import time

from tests.notebooks.book import PATHS, write


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks", description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="keep the outputs")
    parser.add_argument("names", nargs="*", help="such as 02; default all")
    asked = parser.parse_args()
    chosen = [p for p in PATHS if not asked.names or p.stem.startswith(tuple(asked.names))]
    for path in chosen:
        started = time.perf_counter()
        write(path)
        size = path.stat().st_size / 1000
        print(f"{path.name}: {time.perf_counter() - started:.1f} s, {size:.0f} kB")


if __name__ == "__main__":
    main()
