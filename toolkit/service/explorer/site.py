"""The explorer's addresses, and which page answers each."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from toolkit.data.ids import Kind
from toolkit.service.explorer import browse
from toolkit.service.explorer.assets import PATH as ASSETS
from toolkit.service.explorer.assets import asset, prepare
from toolkit.service.explorer.context import Context
from toolkit.service.explorer.customers import customer
from toolkit.service.explorer.products import product
from toolkit.service.explorer.search import search
from toolkit.service.explorer.shell import View, failed, page
from toolkit.service.explorer.versions import versions
from toolkit.service.explorer.what_if import what_if
from toolkit.service.explorer.why import why
from toolkit.service.forecasts import Forecasts, asked, named_in
from toolkit.service.replies import Header, ProblemError, Reply
from toolkit.service.settings import ServiceSettings

type Query = Mapping[str, str]

PAGES: Mapping[bytes, Callable[[Context, Query], Awaitable[View]]] = {
    b"/": lambda context, _: browse.home(context),
    b"/search": search,
    b"/products": browse.products,
    b"/at-risk": browse.at_risk,
    b"/releases": lambda context, _: browse.releases(context),
    b"/versions": lambda context, _: versions(context),
}
OF_ONE: Mapping[tuple[bytes, bytes], Callable[[Context, str, Query], Awaitable[View]]] = {
    (b"products", b""): lambda context, code, _: product(context, code),
    (b"products", b"why"): why,
    (b"products", b"what-if"): what_if,
    (b"customers", b""): lambda context, code, _: customer(context, code),
}
"""Pages of one product or customer: ``/products/CODE/why``."""

NOTHING = "There is nothing at this path."
MOST_FIELDS = 20


class Explorer:
    """Pages over what the service answers from."""

    def __init__(self, forecasts: Forecasts, settings: ServiceSettings) -> None:
        self._context = Context(forecasts, settings)

    def serves(self, path: bytes) -> bool:
        """Whether an address is one of a page or of a page's file."""
        return path in PAGES or path.startswith((ASSETS, b"/products/", b"/customers/"))

    def is_open(self, path: bytes) -> bool:
        """Whether anybody may have it: style sheets and scripts tell nothing."""
        return path.startswith(ASSETS)

    def route(self, path: bytes) -> str:
        """Under which name it is counted."""
        if path in PAGES:
            return path.decode()
        if path.startswith(ASSETS):
            return "/assets/{file}"
        kind, _, rest = path[1:].partition(b"/")
        of_one = (kind, rest.partition(b"/")[2])
        name = {b"products": "product", b"customers": "customer"}[kind]
        end = f"/{of_one[1].decode()}" if of_one in OF_ONE and of_one[1] else ""
        return f"/{kind.decode()}/{{{name}}}{end}"

    async def reply(self, path: bytes, query: bytes, headers: Iterable[Header]) -> Reply:
        """The page, or the file, at an address; ``ProblemError`` where there is none."""
        _, accepted = asked(headers)
        if path.startswith(ASSETS):
            return await asset(path[len(ASSETS) :].decode("latin-1"), accepted)
        fields = _fields(query)
        await prepare()
        return page(await self._view(path, fields), accepted, fields.get("q", ""))

    def failed(self, error: ProblemError) -> Reply:
        """A problem as a page. Of the release nothing is told to somebody without a key."""
        known = error.status != HTTPStatus.UNAUTHORIZED
        return failed(error, self._context.about() if known else None)

    async def close(self) -> None:
        """Let connections and the thread go."""
        await self._context.close()

    async def _view(self, path: bytes, fields: Query) -> View:
        if path in PAGES:
            return await PAGES[path](self._context, fields)
        kind, _, rest = path[1:].partition(b"/")
        segment, slash, of_one = rest.partition(b"/")
        if (kind, of_one) not in OF_ONE or (slash and not of_one):
            raise ProblemError(HTTPStatus.NOT_FOUND, NOTHING)
        name: Kind = "product" if kind == b"products" else "customer"
        return await OF_ONE[kind, of_one](self._context, named_in(segment, name), fields)


def _fields(query: bytes) -> dict[str, str]:
    """What stands after ``?``; 422 for more than any form has."""
    try:
        return dict(parse_qsl(query.decode("latin-1"), max_num_fields=MOST_FIELDS))
    except ValueError as error:
        said = f"After ? there are at most {MOST_FIELDS} fields."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, said) from error
