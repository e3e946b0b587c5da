"""Finding a product or customer by what a person types: an id, a code, a name, or part of one.

A category is found by its name, or part of it.
"""

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import duckdb
import pyarrow as pa

from toolkit.data.ids import WHOLE, Kind, number_of, plain_code
from toolkit.errors import ArgumentError
from toolkit.sources.codes import NEAREST, Codes

type Names = Callable[[], Mapping[int, str]]
"""Reads all names by id; asked only where a text is neither an id nor a code."""

MEANT = 10
"""Of several that a text may mean, so many are listed."""

_RANKED = """
SELECT id, name FROM (
    SELECT id, name, contains(lower(name), lower($text)) AS holds,
        list_avg([list_max([jaro_winkler_similarity(word, own)
            for own in string_split(lower(name), ' ')])
            for word in string_split(lower($text), ' ')]) AS likeness
    FROM known
)
ORDER BY holds DESC, likeness DESC, length(name), name, id LIMIT $few"""
"""Those that hold the text first, then by how like each of its words is to one of theirs."""


def find(kind: Kind, text: str, codes: Codes, names: Names) -> int:
    """The id that a text means: an id or a code, else a name, else the one name that holds it.

    Case does not count in names. Raises ``ArgumentError`` with the nearest three where there is no
    such product or customer, and with those that are meant where there are several.
    """
    plain = plain_code(text)
    number = _by_id(kind, plain, codes)
    if number is not None:
        return number
    known = names()
    meant = _named(_folded(plain), known)
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise _several(kind, text, {i: known[i] for i in meant}, codes)
    raise _unknown(kind, text, known, codes)


def find_all(kind: Kind, texts: Sequence[str], codes: Codes, names: Names) -> list[int]:
    """The ids that texts mean, [texts]. Raises ``ArgumentError`` with all that are unknown."""
    read = cache(names)
    found, unknown = [], []
    for text in texts:
        try:
            found.append(find(kind, text, codes, read))
        except ArgumentError as exc:
            unknown.append(str(exc))
    if unknown:
        raise ArgumentError("\n".join(unknown))
    return found


@dataclass(frozen=True, slots=True)
class Matches:
    """Whom a text may mean: ids, the likeliest first, of ``total`` in all.

    ``alike``: none holds the text; these are called alike.
    """

    ids: tuple[int, ...]
    total: int
    alike: bool = False


def matching(
    kind: Kind,
    text: str,
    codes: Codes,
    known: Mapping[int, str],
    most: int = MEANT,
    among: Collection[int] | None = None,
) -> Matches:
    """Those whose id, code or name is, or holds, a text; without any, those called alike.

    ``known``: names by id. ``among``: these alone, None for all.
    """
    wanted, number = _folded(plain_code(text)), _by_id(kind, plain_code(text), codes)
    if not wanted:
        return Matches((), 0)
    names = {i: _folded(name) for i, name in known.items() if among is None or i in among}
    by_id = [] if number is None else [number]
    by_code = codes.holding(kind, plain_code(text))
    by_name = [i for i, name in names.items() if wanted in name]
    by_name.sort(key=lambda i: (not names[i].startswith(wanted), len(names[i]), i))
    found = [i for i in dict.fromkeys([*by_id, *by_code, *by_name]) if i in (among or names)]
    if found:
        return Matches(tuple(found[:most]), len(found))
    nearest = [i for i, _ in _nearest(text, {i: known[i] for i in names})]
    return Matches(tuple(nearest), len(nearest), alike=True)


def find_categories(texts: Sequence[str], known: Collection[str]) -> list[str]:
    """The categories that texts mean, [texts]: by name, else by the one name that holds the text.

    Raises ``ArgumentError`` with all that are unknown, or may mean several.
    """
    names = dict(enumerate(sorted(known)))
    found, unknown = [], []
    for text in texts:
        meant = [i for i, name in names.items() if name == text] or _named(_folded(text), names)
        if len(meant) == 1:
            found.append(names[meant[0]])
        elif meant:
            unknown.append(_several_categories(text, {i: names[i] for i in meant}))
        else:
            nearest = ", ".join(repr(name) for _, name in _nearest(text, names))
            unknown.append(f"there is no category {text!r}; the nearest names are {nearest}")
    if unknown:
        raise ArgumentError("\n".join(unknown))
    return found


def _several_categories(text: str, meant: Mapping[int, str]) -> str:
    nearest = ", ".join(repr(name) for _, name in _nearest(text, meant, MEANT))
    more = f" and {len(meant) - MEANT:,} more" if len(meant) > MEANT else ""
    return f"{text!r} may mean {len(meant):,} categories: {nearest}{more}; give a whole name"


def _named(wanted: str, known: Mapping[int, str]) -> list[int]:
    """Those of this name, else those whose name holds it; a number is no part of a name."""
    equal = [i for i, name in known.items() if _folded(name) == wanted]
    if equal or not wanted or WHOLE.fullmatch(wanted):
        return equal
    return [i for i, name in known.items() if wanted in _folded(name)]


def _by_id(kind: Kind, plain: str, codes: Codes) -> int | None:
    """An id as a whole number, or the number of a code that there is."""
    whole = int(plain) if WHOLE.fullmatch(plain) else None
    if not codes.has(kind):
        return whole
    if codes.code(kind, number_of(plain)) == plain:
        return number_of(plain)
    return whole if whole is not None and codes.code(kind, whole) is not None else None


def _folded(text: str) -> str:
    """As texts are compared: case, spaces and how letters are composed do not count."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _several(kind: Kind, text: str, meant: Mapping[int, str], codes: Codes) -> ArgumentError:
    nearest = _nearest(text, meant, MEANT)
    shown = ", ".join(_shown(kind, i, name, codes) for i, name in nearest)
    more = f" and {len(meant) - len(nearest):,} more" if len(meant) > len(nearest) else ""
    return ArgumentError(f"{text!r} may mean {len(meant):,} {kind}s: {shown}{more}; give an id")


def _unknown(kind: Kind, text: str, known: Mapping[int, str], codes: Codes) -> ArgumentError:
    each = {name: i for i, name in sorted(known.items(), reverse=True)}
    nearest_names = _nearest(text, {i: name for name, i in each.items()})
    by_name = [_shown(kind, i, name, codes) for i, name in nearest_names]
    said = [f"the nearest names are {', '.join(by_name)}"] if by_name else []
    if nearest := codes.nearest(kind, plain_code(text)):
        said.insert(0, f"the nearest codes are {', '.join(nearest)}")
    if not codes.has(kind):
        said.append("ids in this database are numbers")
    return ArgumentError(f"there is no {kind} {text!r}; {'; '.join(said)}")


def _shown(kind: Kind, number: int, name: str, codes: Codes) -> str:
    return f"{name!r} ({codes.code(kind, number) or number})"


def _nearest(text: str, known: Mapping[int, str], few: int = NEAREST) -> list[tuple[int, str]]:
    """The few names most like a text."""
    table = pa.table({"id": list(known), "name": pa.array(known.values(), pa.string())})
    with duckdb.connect() as conn:
        conn.register("known", table)
        return conn.execute(_RANKED, {"text": plain_code(text), "few": few}).fetchall()
