"""Orders that changed, as a file or a feed tells them: whose, of which product, of which day."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from toolkit.data.ids import Kind
from toolkit.errors import ArgumentError, DataError, Finding
from toolkit.sources.base import OrderSource
from toolkit.sources.codes import NO_CODES, Codes

CUSTOMER, PRODUCT, ORDERED_AT = "customer_id", "product_id", "ordered_at"
MOST_EXAMPLES = 5
LARGEST = 2**63

type Row = tuple[str, Mapping[str, str]]
"""Where it stands (``line 7``, an entry's id), and its fields."""


@dataclass(frozen=True, slots=True)
class ChangedOrder:
    """An order that was placed, corrected, returned or taken out.

    ``product_id``: None for any of the customer's products. ``order_date``: the day of the order;
    None where that is not known.
    """

    customer_id: int
    product_id: int | None = None
    order_date: date | None = None


@dataclass(slots=True)
class SortedRows:
    """Rows by where they stand: what they say, or why nothing can be made of them (yet).

    ``later`` are of orders at or after the as-of date, which touch no forecast as of it;
    ``unknown`` of customers and products that the database does not have.
    """

    usable: dict[str, ChangedOrder] = field(default_factory=dict)
    later: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def read_changes(
    file: Path, source: OrderSource, as_of_date: date, codes: Codes = NO_CODES
) -> SortedRows:
    """The changed orders in a CSV file: ``customer_id``, and perhaps ``product_id`` and
    ``ordered_at``; other columns are not read.

    ``ArgumentError`` if it is no such file, ``DataError`` with all rows that are broken, or of
    customers and products that the database does not have.
    """
    found = sort_rows(_rows(file), source, as_of_date, codes)
    rules = (("cannot be read", found.broken), ("not in the database", found.unknown))
    findings = [
        Finding(file.name, rule, len(wrong), _examples(wrong)) for rule, wrong in rules if wrong
    ]
    if findings:
        raise DataError(str(file), findings)
    return found


def sort_rows(
    rows: Iterable[Row], source: OrderSource, as_of_date: date, codes: Codes = NO_CODES
) -> SortedRows:
    """What of the rows can be used as of the date. Raises ``SourceError`` if the database fails."""
    found = SortedRows()
    for where, fields in rows:
        try:
            change = _change_of(fields, codes)
        except _UnknownError as error:
            found.unknown[where] = str(error)
        except ArgumentError as error:
            found.broken[where] = str(error)
        else:
            if change.order_date is not None and change.order_date >= as_of_date:
                found.later.append(where)
            else:
                found.usable[where] = change
    _take_out_unknown(found, source, as_of_date)
    return found


class _UnknownError(Exception):
    """A code that the database does not have."""


def _rows(file: Path) -> list[Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            if CUSTOMER not in (reader.fieldnames or ()):
                raise ArgumentError(
                    f"{file} has to be CSV with a column {CUSTOMER}, got the columns"
                    f" {', '.join(reader.fieldnames or ()) or 'of an empty file'}"
                )
            return [
                (f"line {reader.line_num}", {k: v for k, v in row.items() if isinstance(v, str)})
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArgumentError(f"{file} cannot be read as CSV in UTF-8: {error}") from error


def _examples(wrong: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{where}: {why}" for where, why in list(wrong.items())[:MOST_EXAMPLES])


def _change_of(fields: Mapping[str, str], codes: Codes) -> ChangedOrder:
    customer, product = fields.get(CUSTOMER, "").strip(), fields.get(PRODUCT, "").strip()
    if not customer:
        raise ArgumentError(f"{CUSTOMER} is missing")
    return ChangedOrder(
        _number("customer", customer, codes),
        _number("product", product, codes) if product else None,
        _day(fields.get(ORDERED_AT, "").strip()),
    )


def _number(kind: Kind, text: str, codes: Codes) -> int:
    try:
        number = codes.number(kind, text)
    except ArgumentError as error:
        if codes.has(kind):
            raise _UnknownError(str(error)) from error
        raise ArgumentError(f"{kind}_id is no whole number: {text!r}") from error
    if abs(number) >= LARGEST:
        raise ArgumentError(f"{kind}_id is no whole number of 64 bits: {text!r}")
    return number


def _day(text: str) -> date | None:
    """The day of a date or a local time; None for an empty text."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        said = f"{ORDERED_AT} is no date (YYYY-MM-DD) or local time: {text!r}"
        raise ArgumentError(said) from error
    if moment.tzinfo is not None:
        raise ArgumentError(
            f"{ORDERED_AT} has an offset, {text!r}: the date where the business is has to be given"
        )
    return moment.date()


def _take_out_unknown(found: SortedRows, source: OrderSource, as_of_date: date) -> None:
    changes = found.usable.values()
    customers = sorted({change.customer_id for change in changes})
    products = sorted({c.product_id for c in changes if c.product_id is not None})
    here = source.customer_names(customers).keys() if customers else ()
    sold = source.products(as_of_date, products).keys() if products else ()
    for where, change in list(found.usable.items()):
        if change.customer_id not in here:
            found.unknown[where] = f"there is no customer {change.customer_id}"
        elif change.product_id is not None and change.product_id not in sold:
            found.unknown[where] = f"there is no product {change.product_id}"
        else:
            continue
        del found.usable[where]


def check_changes(changes: Sequence[ChangedOrder], as_of_date: date) -> None:
    """``ArgumentError`` for orders at or after the as-of date: they touch nothing as of it."""
    late = [c for c in changes if c.order_date is not None and c.order_date >= as_of_date]
    if late:
        raise ArgumentError(
            f"changed orders have to be before the as-of date {as_of_date}, got {late[0]}"
        )
