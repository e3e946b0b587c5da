"""The value of a forecast's key: its fields as JSON, and around them what they are.

Any consumer finds a forecast's fields at the top. Beside them stand ``format``;
``computed_with``, everything but the data that decided the forecast; ``release``, first of all
and only where the value belongs to one; ``invalidated``, where the product was before; and for
"nothing to forecast", ``no_forecast`` in place of the fields. Last of all stands ``crc32``, of the
value without it and without ``release``, which alone may change: what else was changed is no
value. ASCII, so that a client that decodes replies gives the same text in any encoding.
"""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NoReturn

import msgspec

from toolkit.cache.names import ComputedWith

FORMAT = 2
"""In 1 the summary led with the listed customers, and a product without any had no forecast."""

FIELD_TYPES: Mapping[str, type] = {
    "product_id": int,
    "forecast_period_weeks": int,
    "summary": dict,
    "weekly_forecasts": list,
    "top_customers_by_volume": list,
    "at_risk_customers": list,
    "model_metadata": dict,
}
"""What a forecast has at least; a value without it is no forecast."""

_ENVELOPE = frozenset(
    {"format", "computed_with", "no_forecast", "release", "invalidated", "as_of_date"}
    | {"generated_at", "crc32"}
)
_RELEASE = re.compile(rb'^\{"release":"[^"]*",')
_CHECKSUM = b',"crc32":'
_DECODER = msgspec.json.Decoder()
"""A fifth of the standard library's time; where it reads a value, it reads the same."""

type Fields = dict[str, object]


class UnusableError(ValueError):
    """What is stored is not what this package writes; the message ends a sentence."""


class NewerFormatError(UnusableError):
    """What is stored was written by a later version of this package."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A value, unpacked. ``forecast`` is None for "nothing to forecast".

    ``release`` and the dates are None where the value does not say; ``generated_at`` is aware.
    """

    product_id: int
    forecast: Fields | None
    computed_with: ComputedWith
    release: str | None
    invalidated: int
    as_of_date: str | None
    generated_at: datetime | None


def encode(
    product_id: int,
    forecast: Fields | None,
    computed_with: ComputedWith,
    extra: Mapping[str, str | int] | None = None,
    release: str | None = None,
) -> bytes:
    """The value. ``UnusableError`` if it would not come back as it is.

    ``forecast`` is plain data: keys are text, sequences lists, numbers finite. ``extra`` are
    further fields of the envelope.
    """
    nothing: Fields = {"product_id": product_id, "no_forecast": True}
    fields = nothing if forecast is None else forecast_fields(forecast)
    if fields["product_id"] != product_id:
        raise UnusableError(f"is of product {fields['product_id']!r}")
    whole = fields | {"format": FORMAT, "computed_with": dict(computed_with)}
    try:
        text = json.dumps(whole | dict(extra or {}), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UnusableError(f"is not plain data: {error}") from None
    value = text.encode("ascii")
    first = b"{" if release is None else b'{"release":"%b",' % release.encode("ascii")
    return b"%b%b%b%d}" % (first, value[1:-1], _CHECKSUM, zlib.crc32(value))


def parse(value: object) -> Fields:
    """The JSON object that ``value`` is; ``UnusableError`` if it is none."""
    if not isinstance(value, bytes | bytearray | str):
        raise UnusableError(f"is a {type(value).__name__}, not bytes or text")
    try:
        fields = _DECODER.decode(value)
    except (ValueError, RecursionError):
        fields = _by_json(value)
    if not isinstance(fields, dict):
        raise UnusableError(f"is a JSON {type(fields).__name__}, not an object")
    return fields


def _by_json(value: bytes | bytearray | str) -> object:
    """What msgspec takes for no JSON, as the standard library has it: the sentence is its, and it
    reads lone surrogates, which names of customers may hold.
    """
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"is not JSON: {error}") from None


def check_newer(fields: Fields) -> None:
    """``NewerFormatError`` if the value was written by a later version of this package."""
    found = fields.get("format")
    if type(found) is int and found > FORMAT:
        raise NewerFormatError(
            f"has format {found}, newer than the {FORMAT} that this version of the toolkit reads"
        )


def check_whole(fields: Fields, value: object) -> None:
    """``UnusableError`` if ``value``, which is ``fields``, was changed since it was written."""
    assert isinstance(value, bytes | bytearray | str)  # ``parse`` takes nothing else
    content = value.encode() if isinstance(value, str) else bytes(value)
    content = _RELEASE.sub(b"{", content).rpartition(_CHECKSUM)[0] + b"}"
    if fields.get("crc32") != zlib.crc32(content):
        raise UnusableError("is not what was written: its checksum differs")


def unpack(fields: Fields) -> Envelope:
    """The envelope of a value of this format; ``UnusableError`` if something is missing."""
    computed_with, product_id = fields.get("computed_with"), fields.get("product_id")
    if not isinstance(computed_with, dict):
        raise UnusableError("has no usable computed_with")
    if type(product_id) is not int:
        raise UnusableError("has no usable product_id")
    forecast = None if fields.get("no_forecast") is True else forecast_fields(fields)
    metadata = fields if forecast is None else forecast["model_metadata"]
    assert isinstance(metadata, dict)
    release, invalidated = fields.get("release"), fields.get("invalidated")
    as_of = metadata.get("as_of_date")
    return Envelope(
        product_id=product_id,
        forecast=forecast,
        computed_with=computed_with,
        release=release if isinstance(release, str) else None,
        invalidated=invalidated if isinstance(invalidated, int) else 0,
        as_of_date=as_of if isinstance(as_of, str) else None,
        generated_at=_instant(metadata.get("generated_at")),
    )


def decode(value: object) -> Envelope:
    """What ``encode`` made; ``UnusableError`` for anything else."""
    fields = parse(value)
    check_newer(fields)
    if fields.get("format") != FORMAT:
        raise UnusableError(f"has format {fields.get('format')!r}, not {FORMAT}")
    check_whole(fields, value)
    return unpack(fields)


def forecast_fields(fields: Fields) -> Fields:
    """Of a value's fields, the forecast's; ``UnusableError`` if one is missing."""
    for name, kind in FIELD_TYPES.items():
        if not isinstance(fields.get(name), kind):
            raise UnusableError(f"has no usable {name}")
    return {name: value for name, value in fields.items() if name not in _ENVELOPE}


def dated(as_of_date: date, generated_at: datetime) -> Mapping[str, str]:
    """What "nothing to forecast" says of itself, as a forecast does in its metadata."""
    return {"as_of_date": as_of_date.isoformat(), "generated_at": generated_at.isoformat()}


def _instant(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
