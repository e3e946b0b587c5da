"""A product's record as it goes out: made once when it is read, sent as it is from then on."""

import json
import zlib
from dataclasses import dataclass, field

from toolkit.cache.pointer import Pointer
from toolkit.cache.releases.values import NO_PREDICTIONS

SMALLEST_TO_COMPRESS = 1_000
GZIP = 31
"""The window of zlib that makes a gzip file."""


@dataclass(slots=True)
class Page:
    """A body around a stored value, and its tag, which names release, product and content."""

    tag: bytes
    body: bytes
    start: int
    _compressed: bytes = field(default=b"", repr=False)

    @property
    def forecast(self) -> bytes:
        """The stored value, or null for nothing to forecast."""
        return self.body[self.start : -1]

    @property
    def compressed(self) -> bytes:
        """The body as gzip, compressed when it is first asked for; empty if it is too small."""
        if not self._compressed and len(self.body) >= SMALLEST_TO_COMPRESS:
            packer = zlib.compressobj(level=4, wbits=GZIP)
            self._compressed = packer.compress(self.body) + packer.flush()
        return self._compressed


def page_of(product_id: int, pointer: Pointer, entry: str, content: bytes) -> Page:
    """The page of a value, which stands in it byte for byte; null for nothing to forecast."""
    sha1, _, status = entry.split(":")
    forecast = b"null" if status == NO_PREDICTIONS else content
    release = json.dumps(pointer.release).encode()
    head = b'{"product_id":%d,"release":%b,"forecast":' % (product_id, release)
    tag = b"%b-%d-%b" % (release.strip(b'"'), product_id, sha1[:16].encode())
    return Page(tag, b"%b%b}" % (head, forecast), len(head))


def weight(page: Page) -> int:
    """Bytes that a page takes, with its compressed body."""
    return len(page.body) * 3 // 2
