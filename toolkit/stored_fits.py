"""Fits in an object store, ``s3://BUCKET/FITS/MODEL/VERSION/``.

manifest.json             written last: names the fit's files, see ``stored_folders``
parts-6f2c…/card.json     as they lie in a fit's folder on a disk
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.errors import ModelError, SourceError
from toolkit.model import FittedModel
from toolkit.results.fit import FitCard
from toolkit.sources.parquet.remote import Remote, remote_at
from toolkit.stored_folders import cached, manifest_at, upload_as_parts

CACHED = "fits"


def check_store(fits: Path) -> None:
    """Raise ``ModelError`` where no fit could be uploaded, before minutes are spent on one."""
    with _told():
        remote_at(fits).check_writable()


def upload_fit(fitted: FittedModel, fits: Path) -> None:
    """Upload a fit's files, and then its manifest. ``ModelError`` where the store takes none."""
    check_store(fits)
    with _told(), TemporaryDirectory(prefix="fit-") as room:
        folder = Path(room)
        fitted.save(folder)
        card = FitCard.read(folder) or FitCard()
        made_at = card.fitted_at or datetime.now(UTC)
        upload_as_parts(folder, _place(fits, fitted.name, fitted.version), made_at)


def stored_versions(model: str, fits: Path) -> dict[str, datetime]:
    """The versions of a model that were uploaded whole, and when each was fitted."""
    with _told():
        names = remote_at(f"{fits}/{model}").folders()
        found = {name: manifest_at(_place(fits, model, name)) for name in names}
    return {name: manifest[0].made_at for name, manifest in found.items() if manifest}


def stored_fit(model: str, version: str, fits: Path) -> Path | None:
    """The folder of the cache that holds a fit, downloaded if need be; None where there is none.

    Raises ``ModelError`` where the store cannot be read, or does not hold what its manifest names.
    """
    with _told():
        return cached(_place(fits, model, version), CACHED, f"{model}-{version}")


def _place(fits: Path, model: str, version: str) -> Remote:
    return remote_at(f"{fits}/{model}/{version}")


@contextmanager
def _told() -> Iterator[None]:
    """What a store refuses is said of fits."""
    try:
        yield
    except SourceError as exc:
        raise ModelError(str(exc)) from exc
