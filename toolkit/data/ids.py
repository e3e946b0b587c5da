"""Ids that are text (``SKU-0042``), as whole numbers.

A code's number depends on the code alone, so that it is the same in every import, database and
machine, and a fit stays valid.
"""

import hashlib
import re
import unicodedata
from typing import Literal

type Kind = Literal["product", "customer"]

KINDS: tuple[Kind, ...] = ("product", "customer")
"""The kinds of ids whose codes are kept."""

BITS = 53
"""Bits of a code's number: as many as JSON's numbers hold in every language."""

BLANKS = " \t\n\r\f\v\u00a0"
"""What is left out around a code."""

WHOLE = re.compile("-?[0-9]{1,19}")
"""A whole number of 64 bits, as text."""


def number_of(code: str, bits: int = BITS) -> int:
    """The number of a code: the first bits, 64 at most, of the SHA-256 of its UTF-8.

    >>> number_of("SKU-0042")
    6202134970151631
    """
    return int.from_bytes(hashlib.sha256(code.encode()).digest()[:8]) >> (64 - bits)


def plain_code(text: str) -> str:
    """A code as it is kept: composed (Unicode's NFC), without blanks around it.

    Bytes that are no text (surrogates, on a command line) are replaced: no code has any.

    >>> plain_code(" A\u0308-1 ") == "\u00c4-1"
    True
    """
    whole = text.encode(errors="surrogatepass").decode(errors="replace")
    return unicodedata.normalize("NFC", whole.strip(BLANKS))


def numbers_meant(text: str) -> list[int]:
    """The numbers that an id or a code may stand for, where no database can tell which it is.

    >>> numbers_meant("770")[0], len(numbers_meant("770")), numbers_meant("SKU-0042")
    (770, 2, [6202134970151631])
    """
    code = plain_code(text)
    return [int(code), number_of(code)] if WHOLE.fullmatch(code) else [number_of(code)]
