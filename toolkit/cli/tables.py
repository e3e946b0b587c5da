"""``--out FILE``: a result's tables as CSV, Excel or Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.data.ids import KINDS
from toolkit.disk import whole_file
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.sources.codes import Codes

FORMATS = (".csv", ".xlsx", ".parquet")
LITERALLY = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
"""A name that begins with = is a name, not a formula."""


def wrong_with(file: Path | None) -> list[str]:
    """What speaks against writing to a file: its format, or what is missing to write that."""
    from toolkit.installed import need

    ending = None if file is None else file.suffix.lower()
    if ending is not None and ending not in FORMATS:
        return [f"--out has to end in one of {', '.join(FORMATS)}, got {file}"]
    try:
        if ending == ".xlsx":
            need("xlsxwriter", "an Excel file", ArgumentError)
    except ArgumentError as exc:
        return [str(exc)]
    return []


def write_tables(tables: "Mapping[str, pd.DataFrame]", file: Path, table: str | None) -> None:
    """Write one table, by default the first; Excel gets all of them, a sheet each."""
    from toolkit.results.tables import table_named

    chosen = table_named(tables, table)
    with whole_file(file) as part:
        if file.suffix.lower() == ".csv":
            chosen.to_csv(part, index=False)
        elif file.suffix.lower() == ".parquet":
            chosen.to_parquet(part, index=False)
        else:
            _write_excel(tables if table is None else {table: chosen}, part)


def with_codes(frame: "pd.DataFrame", codes: "Codes") -> "pd.DataFrame":
    """A table with a code beside each id that stands for one."""
    coded = frame.copy()
    for kind in KINDS:
        names = list(coded.columns)
        if codes.has(kind) and f"{kind}_id" in names:
            numbers = coded[f"{kind}_id"].to_numpy()
            texts = codes.column(kind, numbers).to_pandas().astype("string")
            coded.insert(names.index(f"{kind}_id") + 1, f"{kind}_code", texts)
    return coded


def _write_excel(tables: "Mapping[str, pd.DataFrame]", part: Path) -> None:
    import pandas as pd

    with pd.ExcelWriter(
        part,
        engine="xlsxwriter",
        datetime_format="yyyy-mm-dd",
        engine_kwargs={"options": LITERALLY},
    ) as book:
        for name, frame in tables.items():
            frame.to_excel(book, sheet_name=name, index=False, freeze_panes=(1, 0))
