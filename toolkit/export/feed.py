"""An export of what a feed says has changed: a Redis stream of changed orders."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import redis

from toolkit.cache.feed import Taken, read_feed
from toolkit.cache.releases.catalog import Releases
from toolkit.engine import ForecastEngine
from toolkit.export.changes import SortedRows, sort_rows
from toolkit.export.job import ExportProgress, export_release
from toolkit.export.making import Maker
from toolkit.export.plan import ExportSettings
from toolkit.export.report import ExportReport
from toolkit.sources.codes import NO_CODES, Codes


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What came of a feed. ``export`` is None where nothing was to be computed.

    ``release``: what readers have now; None where the export was refused. ``taken``: so many
    entries it knows, which are acknowledged; ``trimmed`` of them were gone before they were read,
    for which all products were computed. ``later``: so many wait, as they are of orders at or after
    the as-of date; ``waiting``: others that wait, by entry, and why.
    """

    export: ExportReport | None
    release: str | None
    taken: int = 0
    trimmed: int = 0
    later: int = 0
    waiting: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON, without the export's own."""
        return {
            "taken": self.taken,
            "trimmed": self.trimmed,
            "later": self.later,
            "waiting": dict(self.waiting),
        }


def export_feed(
    engine: ForecastEngine,
    client: redis.Redis,
    stream: str,
    settings: ExportSettings,
    progress: ExportProgress = lambda done, total: None,
    codes: Codes = NO_CODES,
    make: Maker | None = None,
) -> FeedReport:
    """Compute the products that a stream's entries touch, beside those of ``settings``.

    An entry has the fields ``customer_id``, and perhaps ``product_id`` and ``ordered_at``. It is
    acknowledged in the step that makes the release current; one of an order at or after the as-of
    date waits, as does one of a customer or product that the database does not have yet, or that
    cannot be read. ``progress``, ``make`` and errors as ``export_release`` has them.
    """
    entries = read_feed(client, stream)
    trimmed = [entry.entry_id for entry in entries if entry.fields is None]
    rows = [(entry.entry_id, entry.fields) for entry in entries if entry.fields is not None]
    found = sort_rows(rows, engine.source, settings.as_of_date, codes)
    changed = (*(settings.changed or ()), *found.usable.values())
    asked = replace(settings, changed=changed)
    if asked.changes_nothing and not trimmed:
        current = Releases(client).current()
        return _report(found, None, None if current is None else current.release_id)
    if trimmed:
        asked = replace(settings, changed=None, since=None, customer_ids=None)
    taken = Taken(stream, [*found.usable, *trimmed])
    export = export_release(engine, client, asked, progress, taken, make)
    return _report(found, export, export.release, len(trimmed))


def _report(
    found: SortedRows, export: ExportReport | None, release: str | None, trimmed: int = 0
) -> FeedReport:
    published = export is not None and export.published
    return FeedReport(
        export=export,
        release=release,
        taken=len(found.usable) + trimmed if published else 0,
        trimmed=trimmed,
        later=len(found.later),
        waiting=found.unknown | found.broken,
    )
