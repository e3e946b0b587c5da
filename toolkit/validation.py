"""Files that people and runs write, read once into typed objects, with all that is wrong in them.

A kind of document is a frozen dataclass of pydantic's. Sentences about mistakes are made from its
types alone: ``Annotated[int, Field(ge=1)]`` has to be "a whole number of at least 1". Where types
say too little, ``has_to_be`` has the words.
"""

import csv
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from toolkit.disk import whole_file
from toolkit.errors import ArgumentError, DataError, Finding, ToolkitError

CLOSED = ConfigDict(extra="forbid", validate_default=True)
"""For what people write: a key that is not known is a mistake."""

SHOWN = 3
EXAMPLES = 5
"""Lines of a table that are named of those that break a rule."""

_DELIMITERS = ",;\t|"

type Json = dict[str, Any]
type Place = tuple[int | str, ...]


def _rising[Values: Sequence[float]](values: Values) -> Values:
    if not values or list(values) != sorted(set(values)):
        raise ValueError(f"has to be a list of ascending numbers, at least one, got {[*values]}")
    return values


type Rising[Number: float] = Annotated[tuple[Number, ...], AfterValidator(_rising)]
"""Ascending numbers, one at least."""


def has_to_be(words: str) -> Any:  # noqa: ANN401  # as pydantic's Field
    """Marks a type: what its values, with all that is in them, have to be."""
    return Field(json_schema_extra={"allowed": words})


def read_csv(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The first line of a CSV file (comma, semicolon, tab or ``|``), and the others by number.

    Empty lines are left out. ``DataError`` where lines differ in length, ``ArgumentError`` where
    the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(_DELIMITERS, key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            read = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except OSError as exc:
        raise ArgumentError(f"{path} cannot be read: {exc.strerror}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ArgumentError(f"{path} is no CSV file in UTF-8: {exc}") from exc
    head = read[0][1] if read else []
    lines = dict(read[1:])
    odd = [f"line {line}" for line, row in lines.items() if len(row) != len(head)]
    if odd:
        rule = f"a line has not the {len(head)} fields of the first one"
        raise DataError(path.name, [Finding(path.name, rule, len(odd), tuple(odd[:EXAMPLES]))])
    return head, lines


def wrong_columns(
    given: Sequence[str], known: Sequence[str], required: Sequence[str], where: str
) -> list[Finding]:
    """What is wrong with the columns of a table."""
    found = [f"column {name} is missing" for name in required if name not in given]
    for name in dict.fromkeys(given):
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            found.append(f"column {name!r} is unknown; {hint}")
        if given.count(name) > 1:
            found.append(f"column {name} appears twice")
    return [Finding(where, rule, 0) for rule in found]


def read_toml(path: Path) -> Json:
    """What a TOML file holds. ``ArgumentError`` where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ArgumentError(f"{path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ArgumentError(f"{path} is no TOML: {exc}") from exc


def parse[T](
    kind: type[T],
    content: Mapping[str, object],
    name: str,
    called: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> T:
    """The document of ``kind`` that ``content`` describes: TOML's values, or JSON's.

    ``ArgumentError`` lists every mistake in it with its key, and ``more`` that the caller found.
    ``name`` says where that is; keys in ``called`` come from elsewhere, and are called that.
    """
    document, found = examine(kind, content, called)
    refuse(name, [*more, *found])
    assert document is not None
    return document


def examine[T](
    kind: type[T], content: Mapping[str, object], called: Mapping[str, str] | None = None
) -> tuple[T | None, list[str]]:
    """The document, or None and every mistake in it, as ``parse`` has them."""
    text = json.dumps(content, default=str)
    try:
        return TypeAdapter(kind).validate_json(text, strict=True), []
    except ValidationError as exc:
        return None, [*_mistakes(exc, kind, text, called or {})]


def refuse(name: str, found: Sequence[str]) -> None:
    """Raise ``ArgumentError`` that lists the mistakes in what is called ``name``, if any."""
    if found:
        count = f"{len(found)} mistake{'s' if len(found) > 1 else ''}"
        raise ArgumentError("\n".join([f"{name} has {count}:", *(f"  - {one}" for one in found)]))


def load[T](
    kind: type[T],
    path: Path,
    what: str,
    error: type[ToolkitError] = ArgumentError,
    remedy: str = "",
) -> T:
    """The document of ``kind`` in a JSON file. Raises ``error``: it is not ``what``, and why."""
    text = b""
    try:
        text = path.read_bytes()
        return TypeAdapter(kind).validate_json(text, strict=True)
    except OSError as exc:
        reason = exc.strerror or str(exc)
    except ValidationError as exc:
        reason = "; ".join(list(_mistakes(exc, kind, text, {}))[:SHOWN])
    raise error(f"{path} is not {what}: {reason}{remedy and '; '}{remedy}")


def unknown(where: str, content: object, known: Sequence[str]) -> list[str]:
    """Sentences about the keys of a table ``where`` that are none of the ``known``."""
    keys = content if isinstance(content, dict) else {}
    return [f"{where}.{key}: {_unknown(key, known)}" for key in keys if key not in known]


def plain(document: object) -> Json:
    """A document as JSON holds it; None where a number is not finite."""
    content: Json = json.loads(TypeAdapter(type(document)).dump_json(document))
    return content


def write(path: Path, document: object) -> None:
    """Write a document, or plain data, as JSON: whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(written(document))


def written(document: object) -> bytes:
    """A document, or plain data, as the JSON that ``write`` writes."""
    return TypeAdapter(type(document)).dump_json(document, indent=2) + b"\n"


def _mistakes(
    exc: ValidationError, kind: type, text: str | bytes, called: Mapping[str, str]
) -> Iterator[str]:
    """What is wrong with a document, a sentence each: ``versions[1].draws: has to be …``."""
    errors = exc.errors(include_url=False)
    if errors[0]["type"] == "json_invalid":
        yield errors[0]["msg"]
        return
    content, schema = json.loads(text), TypeAdapter(kind).json_schema()
    told = (
        _mistake({**error}, content, schema)
        for error in errors
        if error["type"] != "default_factory_not_called"  # for want of what is wrong already
    )
    for place, what in dict.fromkeys(told):
        where = _shown(place)
        yield f"{called.get(where, where)}: {what}" if where else what


def _mistake(error: Json, content: object, schema: Json) -> tuple[Place, str]:
    """Where and what one of pydantic's errors is: the outermost place that has words of its own."""
    place: Place = error["loc"]
    nodes = _along(place, schema)
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return place, _unknown(str(place[-1]), sorted(nodes[-1]["properties"]))
    if error["type"] == "missing":
        return place, "is missing"
    depth = next((i for i, node in enumerate(nodes) if "allowed" in node), len(nodes) - 1)
    if error["type"] == "value_error" and "allowed" not in nodes[depth]:
        return place, str(error["ctx"]["error"])
    for step in place[:depth]:
        content = content[step]  # type: ignore[index]  # a list or an object, by the schema
    near = _near(content, nodes[depth].get("enum", ()))
    return place[
        :depth
    ], f"has to be {_allowed(nodes[depth], place[:depth])}, got {content!r}{near}"


def _along(place: Place, schema: Json) -> list[Json]:
    """The schemas of the whole document, of what is in it, and so on along ``place``."""
    nodes = [_resolved(schema, schema)]
    for step in place:
        inside = nodes[-1].get("properties", {}).get(step, nodes[-1].get("additionalProperties"))
        inner = nodes[-1].get("items") if isinstance(step, int) else inside
        if not isinstance(inner, dict):
            break
        nodes.append(_resolved(inner, schema))
    return nodes


def _resolved(node: Json, schema: Json) -> Json:
    """A schema without references; of one that may be null, the other part."""
    own = {name: value for name, value in node.items() if name not in ("$ref", "anyOf")}
    if "$ref" in node:
        return _resolved(schema["$defs"][node["$ref"].rpartition("/")[2]], schema) | own
    filled = [one for one in node.get("anyOf", ()) if one.get("type") != "null"]
    if len(filled) == 1:
        return _resolved(filled[0], schema) | own
    return node | ({"items": _resolved(node["items"], schema)} if "items" in node else {})


def _allowed(node: Json, place: Place) -> str:
    """What a value of this schema has to be at its place."""
    if "allowed" in node:
        return str(node["allowed"])
    if "enum" in node:
        return f"one of {', '.join(map(repr, node['enum']))}"
    if "anyOf" in node:
        return " or ".join(_allowed(one, place) for one in node["anyOf"])
    kind = str(node.get("type", "null"))
    if kind == "array" and node.get("items", {}).get("type") == "object":
        return f"a list of tables, [[{place[-1]}]]"
    return _KINDS.get(str(node.get("format")), _KINDS.get(kind, "a table")) + _bounds(node)


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "date": "a date as 2019-04-01",
    "string": "text in quotes",
    "boolean": "true or false",
    "array": "a list",
    "null": "nothing",
}


def _bounds(node: Json) -> str:
    low, above, high = (node.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None and high is not None:
        return f" from {low:,g} to {high:,g}"
    least = f" of at least {low:,g}" if low is not None else ""
    more = f" above {above:,g}" if above is not None else ""
    most = f", at most {high:,g}" if high is not None else ""
    return least + more + most


def _shown(place: Place) -> str:
    """``versions[1].draws``, counted from 1."""
    steps = (f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(steps).removeprefix(".")


def _unknown(key: str, known: Sequence[str]) -> str:
    return f"is unknown{_near(key, known) or f'; known are {", ".join(known)}'}"


def _near(word: object, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` where something is near."""
    near = get_close_matches(word, known, 1, 0.5) if isinstance(word, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""
