"""Workbooks as spreadsheets write them."""

from datetime import date

import xlsxwriter

HEADER = ("Invoice No", "Customer No", "SKU", "Order Date", "Qty", "Price")


def written(path, *rows, header=HEADER, sheet="Data", above=0, **others):
    """A workbook whose rows begin below ``above`` empty ones; ``others`` are more sheets."""
    with xlsxwriter.Workbook(path) as book:
        _fill(book, sheet, [header, *rows], above)
        for name, more in others.items():
            _fill(book, name, more, 0)
    return path


def _fill(book, name, rows, above):
    day = book.add_format({"num_format": "dd.mm.yyyy hh:mm"})
    sheet = book.add_worksheet(name)
    for i, row in enumerate(rows, start=above):
        for j, cell in enumerate(row):
            if isinstance(cell, date):
                sheet.write_datetime(i, j, cell, day)
            elif isinstance(cell, str):
                sheet.write_string(i, j, cell)
            elif cell is not None:
                sheet.write(i, j, cell)
