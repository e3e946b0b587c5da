"""What columns of order lines are called in other systems, and which column is meant by each.

Case, blanks and signs do not count: ``Invoice No`` is ``invoice_no``. A layout knows the export of
one system as a whole, where a name alone would mislead (its ``Name`` is the number of an order).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from toolkit.sources.folder.questions import Question, choice_of_column

LINE_FIELDS = (
    "order_id", "customer_id", "product_id", "ordered_at", "quantity", "unit_price",
    "product_name", "customer_name", "category",
)  # fmt: skip
"""What a column of order lines may be."""

_SYSTEMS: tuple[Mapping[str, str], ...] = (
    {  # Shopify's export of orders
        "order_id": "Name",
        "customer_id": "Email",
        "product_id": "Lineitem sku",
        "ordered_at": "Created at",
        "quantity": "Lineitem quantity",
        "unit_price": "Lineitem price",
        "product_name": "Lineitem name",
    },
    {  # SAP, tables VBAK and VBAP
        "order_id": "VBELN",
        "customer_id": "KUNNR",
        "product_id": "MATNR",
        "ordered_at": "AUDAT",
        "quantity": "KWMENG",
        "unit_price": "NETPR",
        "product_name": "ARKTX",
    },
)

_OTHER_DAYS = (
    "delivery_date delivered_at ship_date shipped_at shipping_date dispatch_date due_date "
    "requested_date lieferdatum versanddatum"
)
"""Days of what comes after an order: never taken for it, but a mere date beside may be theirs."""

_USUAL: Mapping[str, tuple[str, ...]] = {
    # The field: names that can hardly mean anything else, and names that may.
    "order_id": (
        "order_id order_no order_number order_nr ordernum invoice_id invoice_no invoice_number "
        "invoice sales_id sales_order sales_order_number sales_document document_no transaction_id "
        "vbeln belnr belegnummer belegnr beleg auftragsnummer auftragsnr auftrag rechnungsnummer "
        "rechnungsnr bestellnummer bestellnr",
        "order document receipt receipt_id basket_id",
    ),
    "customer_id": (
        "customer_id customer_no customer_number customer_nr customer_code customer_account "
        "cust_account cust_id cust_no client_id client_no client_code account_num sold_to "
        "sold_to_party sell_to_customer_no household_id kunnr kundennummer kundennr kunden_id "
        "kunden_nummer debitor debitornummer debitorennummer debitoren_nr",
        "customer client user_id email kunde account",
    ),
    "product_id": (
        "product_id product_no product_number product_code stock_code sku item_id item_no "
        "item_number item_code article_id article_no article_number material material_number "
        "matnr variant_sku lineitem_sku unique_id artikelnummer artikelnr artikel_nr artikel_id "
        "materialnummer materialnr produktnummer",
        "product item article artikel produkt ean gtin no",
    ),
    "ordered_at": (
        "ordered_at order_date order_datetime order_timestamp sales_date transaction_date "
        "purchase_date ds audat bestelldatum auftragsdatum",
        "date datetime timestamp datum created_at created_date created_datetime erdat "
        "document_date posting_date invoice_date belegdatum buchungsdatum rechnungsdatum "
        + _OTHER_DAYS,
        "time day tag",
    ),
    "quantity": (
        "quantity qty order_qty order_quantity ordered_qty qty_ordered sales_qty quantity_ordered "
        "lineitem_quantity units units_sold y kwmeng menge anzahl stueckzahl stückzahl "
        "bestellmenge auftragsmenge",
        "amount_ordered pieces stück stueck",
    ),
    "unit_price": (
        "unit_price price price_per_unit price_per_item sales_price item_price net_price "
        "lineitem_price netpr einzelpreis stückpreis stueckpreis preis "
        "verkaufspreis nettopreis e_preis vk_preis",
        "rate price_each",
    ),
    "product_name": (
        "product_name description item_name item_description product_description article_name "
        "stock_description lineitem_name product_title material_description arktx maktx "
        "artikelbezeichnung artikelname artikeltext bezeichnung produktname",
        "title beschreibung text",
    ),
    "customer_name": (
        "customer_name client_name company_name account_name cust_name kundenname firma "
        "kundenbezeichnung",
        "company name_1 billing_name",
    ),
    "category": (
        "category product_category category_name item_category product_group item_group "
        "warengruppe artikelgruppe produktgruppe kategorie",
        "department commodity",
    ),
    "name": ("name", ""),
}


@dataclass(frozen=True, slots=True)
class Recognised:
    """The column that each field is; what could not be told, and what was mapped and is not there.

    ``unsettled`` are the fields of both.
    """

    columns: Mapping[str, str]
    questions: tuple[Question, ...] = ()
    failures: tuple[str, ...] = ()
    unsettled: frozenset[str] = frozenset()


def plain(name: str) -> str:
    """A name without case, blanks and signs.

    >>> plain("Invoice No."), plain("customer_id"), plain("Stückpreis")
    ('invoiceno', 'customerid', 'stückpreis')
    """
    return re.sub(r"[\W_]", "", name.casefold())


def recognise(header: Sequence[str], fields: Iterable[str], given: Mapping[str, str]) -> Recognised:
    """The column of each field, as ``given`` or by its name; a field that has none is left out.

    >>> recognise(["InvoiceNo", "CustomerID", "Note"], LINE_FIELDS, {}).columns
    {'order_id': 'InvoiceNo', 'customer_id': 'CustomerID'}
    >>> str(recognise(["SKU", "Item No"], LINE_FIELDS, {}).questions[0])
    'product_id may be SKU or Item No: choose one with --map product_id=SKU'
    """
    columns: dict[str, str] = {}
    questions: dict[str, Question] = {}
    failures: dict[str, str] = {}
    for field, name in given.items():
        found = _given(header, name)
        if found is None:
            failures[field] = f"there is no column {name} to map to {field}; {_near(name, header)}"
        else:
            columns[field] = found
    left = [name for name in header if name not in columns.values()]
    system = _system_of(header)
    for field in fields:
        if field in given:
            continue
        names = [system[field]] if field in system else _candidates(field, left)
        if len(names) > 1 or {*map(plain, names)} & _OTHER:
            questions[field] = choice_of_column(field, names)
        elif names:
            columns[field] = names[0]
    unsettled = frozenset({*questions, *failures})
    return Recognised(columns, tuple(questions.values()), tuple(failures.values()), unsettled)


def _given(header: Sequence[str], name: str) -> str | None:
    """The column of that name; if none has it to the letter, the only one that reads alike."""
    if name in header:
        return name
    alike = [column for column in header if plain(column) == plain(name)]
    return alike[0] if len(alike) == 1 else None


def _near(name: str, header: Sequence[str]) -> str:
    near = get_close_matches(name, header, 1)
    return f"did you mean {near[0]}?" if near else f"the columns are {', '.join(header)}"


def _system_of(header: Sequence[str]) -> dict[str, str]:
    """The fields of the system whose export has these columns; none where it is no such export."""
    by_plain = {plain(name): name for name in header}
    for system in _SYSTEMS:
        if all(plain(name) in by_plain for name in system.values()):
            return {field: by_plain[plain(name)] for field, name in system.items()}
    return {}


def _candidates(field: str, names: Sequence[str]) -> list[str]:
    """The columns that may be a field: called so to the letter, usually, or perhaps."""
    if field in names:
        return [field]
    for usual in _USUAL[field]:
        called = {plain(name) for name in usual.split()}
        found = [name for name in names if plain(name) in called]
        if found:
            return found
    return []


_OTHER = {plain(name) for name in _OTHER_DAYS.split()}
