"""Workbooks as spreadsheets write them."""

from datetime import date
from zipfile import ZipFile

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


def written_ods(path, *rows, header=HEADER):
    """The same as LibreOffice writes it, as far as it matters."""
    lines = "".join(
        f"<table:table-row>{''.join(map(_cell, row))}</table:table-row>" for row in (header, *rows)
    )
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    content = (
        f'<?xml version="1.0"?><office:document-content{names}><office:body><office:spreadsheet>'
        f'<table:table table:name="Data">{lines}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        "</manifest:manifest>"
    )
    with ZipFile(path, "w") as book:
        book.writestr("mimetype", kind)
        book.writestr("META-INF/manifest.xml", manifest)
        book.writestr("content.xml", content)
    return path


def _cell(value):
    if isinstance(value, date):
        told = f'office:value-type="date" office:date-value="{value.isoformat()}"'
    elif isinstance(value, str):
        told = 'office:value-type="string"'
    else:
        told = f'office:value-type="float" office:value="{value}"'
    return f"<table:table-cell {told}><text:p>{value}</text:p></table:table-cell>"
