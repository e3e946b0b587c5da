"""A page as it goes out: its template filled, with headers that let nothing else run or load."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus

from jinja2 import Environment

from toolkit.cache.current import CurrentRelease
from toolkit.cache.memory import in_words
from toolkit.card import NAME_WIDTH, Span, Strong
from toolkit.service.access import BROWSER_CHALLENGE
from toolkit.service.explorer.assets import NOSNIFF, address, style_id
from toolkit.service.explorer.cells import Link
from toolkit.service.forecasts import GZIPPED, VARY, takes_gzip
from toolkit.service.replies import Header, ProblemError, Reply
from toolkit.web import environment

HTML: Header = (b"content-type", b"text/html; charset=utf-8")
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing runs or loads but the service's own files; no page of others shows one of ours."""

HEADERS: Sequence[Header] = (
    HTML,
    (b"content-security-policy", POLICY),
    (b"cache-control", b"private, no-cache"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    NOSNIFF,
    VARY,
)


@dataclass(frozen=True, slots=True)
class About:
    """What every page says of the release that it is of."""

    release: str
    as_of: str
    age: str
    model: str
    warning: str

    @classmethod
    def of(cls, release: CurrentRelease, warning: str = "") -> "About":
        """``warning``: why it is not what it should be."""
        made = release.details.get("model") or _model(release.computed_with)
        pointer = release.pointer
        return cls(pointer.release, pointer.as_of, in_words(release.age_s()), str(made), warning)


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows: which template, its title, what the template reads, and of what release.

    ``section``: which link of the head it belongs to.
    """

    template: str
    title: str
    content: Mapping[str, object] = field(default_factory=dict)
    about: About | None = None
    section: str = ""
    status: HTTPStatus = HTTPStatus.OK


def page(view: View, accepted: bytes = b"", query: str = "") -> Reply:
    """A view as it goes out; ``query``: what stands in the field of the search."""
    template = _environment().get_template(f"explorer/{view.template}.html.jinja")
    made = template.render(
        **view.content, title=view.title, about=view.about, section=view.section, query=query
    )
    body = made.encode(errors="replace")
    if takes_gzip(accepted):
        return Reply(view.status, [*HEADERS, GZIPPED], gzip.compress(body, 4))
    return Reply(view.status, HEADERS, body)


def failed(error: ProblemError, about: About | None) -> Reply:
    """A problem as a page; where a key is wanted, the browser asks for it."""
    status = HTTPStatus(error.status)
    content = {"sentence": error.detail, "again": status == HTTPStatus.SERVICE_UNAVAILABLE}
    reply = page(View("problem", status.phrase, content, about, status=status))
    asked = [(name, value) for name, value in error.headers if name != b"www-authenticate"]
    challenge = [BROWSER_CHALLENGE] if status == HTTPStatus.UNAUTHORIZED else []
    return Reply(status, [*reply.headers, *asked, *challenge], reply.body)


@cache
def _environment() -> Environment:
    made = environment()
    made.globals.update(asset=address, style_id=style_id, name_width=NAME_WIDTH)
    for name, kind in (("span", Span), ("strong", Strong), ("link", Link)):
        made.tests[name] = lambda cell, kind=kind: isinstance(cell, kind)
    return made


def _model(computed_with: Mapping[str, object]) -> str:
    said = (computed_with.get(name) for name in ("model_name", "model_version"))
    return "@".join(str(one) for one in said if one is not None)
