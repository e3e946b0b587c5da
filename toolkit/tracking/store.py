"""The tracking store: where it is, whether it answers, and one way for its errors."""

import os
import re
import shutil
import socket
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from logging import CRITICAL, WARNING, getLogger
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from mlflow import MlflowClient
from mlflow import __version__ as mlflow_version
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from toolkit.disk import is_full
from toolkit.errors import TrackingError
from toolkit.tracking.artifacts import SQLITE, location
from toolkit.tracking.locks import ELSEWHERE, file_lock

DEFAULT_URI = "sqlite:///mlflow.db"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
PATIENCE_S = 5.0
"""How long a store is given to answer, or to be let go by another writer."""

LOCK_PATIENCE_S = 60.0
"""How long another process of this toolkit may hold the store: it creates it in 5 s at most."""

WEB_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds, in place of 120,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # and of seven times with four minutes in between
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

_SQL_STORE = "mlflow.store.tracking.sqlalchemy_store"
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_ADDRESS = re.compile(r"[\w+.-]+://\S+")
_PASSWORD = re.compile(r"(?<=://)([^:]*):.*@", re.DOTALL)
"""Up to the last @: a name or password that was not escaped may hold an @, a / or a ?."""
_TOKEN = re.compile(r"(?<=://)[^:/?#]*@")
_PARAMETER = re.compile(
    r"([?&;#][^=&]*(?:pass|pwd|secret|token|key|credential|sig|auth|odbc_connect)[^=&]*)=[^&]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Store:
    """An open tracking store. ``uri`` names its file, if it has one, by the whole path."""

    uri: str
    client: MlflowClient

    def __repr__(self) -> str:
        """The address, as it may be shown."""
        return f"Store({masked(self.uri)!r})"

    @property
    def file(self) -> Path | None:
        """The sqlite file; None for a store behind a server."""
        return sqlite_file(self.uri)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The only process of this toolkit that writes to a local store while it lasts.

        A store behind a server has no such lock: who writes to it looks again afterwards. Not
        to be nested. Raises ``TrackingError`` if another process does not let go.
        """
        if self.file is None:
            yield
            return
        with file_lock(lock_file(self.file), LOCK_PATIENCE_S):
            yield

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What goes wrong inside with the store is raised as ``TrackingError``."""
        with translated(self.uri):
            yield

    def experiment_id(self, name: str) -> str:
        """The id of the experiment called ``name``, made if there is none."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            place = location(name) if self.file else None
            try:
                return str(self.client.create_experiment(name, place))
            except MlflowException as exc:
                if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self.experiment_id(name)  # another writer was faster
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name!r} was deleted in {masked(self.uri)}: "
                f"`mlflow experiments restore -x {found.experiment_id}` brings it back"
            )
        return str(found.experiment_id)

    def artifacts(self, uri: str) -> ArtifactRepository:
        """The artefacts at ``uri``, of a run or a registered version in this store."""
        return get_artifact_repository(uri, tracking_uri=self.uri)

    @contextmanager
    def artifact(self, uri: str, path: str) -> Iterator[Path]:
        """A file or folder of the artefacts at ``uri``, to be read; "" for all of them.

        A local store's lie where they are; others are downloaded, and gone afterwards.
        """
        with nullcontext() if self.file else tempfile.TemporaryDirectory() as folder:
            with self.errors():
                found = Path(self.artifacts(uri).download_artifacts(path, folder))
            yield found


def open_store(uri: str | None = None, patience_s: float = PATIENCE_S) -> Store:
    """The tracking store at ``uri``, else at MLFLOW_TRACKING_URI, else ``mlflow.db`` in the folder.

    ``uri`` is anything MLflow takes: ``sqlite:///FILE``, a server's ``http://…``, another
    database's. A sqlite store that is not there yet is created, by one process at a time.
    Raises ``TrackingError`` if the store is locked, or does not answer within ``patience_s``.
    """
    uri = resolved(uri or os.environ.get(URI_VARIABLE) or DEFAULT_URI)
    _be_quiet()
    with translated(uri):
        file = sqlite_file(uri)
        if file is None:
            _wait_for_answer(uri, patience_s)
            return Store(uri, MlflowClient(uri, uri))
        file.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(lock_file(file), LOCK_PATIENCE_S):
            if not file.exists():
                _create(file)
            _wait_until_writable(file, patience_s)
            return Store(uri, MlflowClient(uri, uri))


def resolved(uri: str) -> str:
    """The address with the whole path of its sqlite file; others as they are.

    >>> resolved("sqlite:////home/me/../you/mlflow.db")
    'sqlite:////home/you/mlflow.db'
    """
    file = sqlite_file(uri)
    return f"{SQLITE}{file}" if file else uri


def sqlite_file(uri: str) -> Path | None:
    """The file of a sqlite store; None of any other.

    >>> sqlite_file("http://localhost:5000") is None
    True
    """
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def lock_file(file: Path) -> Path:
    """The lock of the sqlite store in ``file``."""
    return file.with_name(f"{file.name}.lock")


def masked(uri: str) -> str:
    """The address without passwords, tokens and parameters that may hold one.

    >>> masked("postgresql://me:secret@host/mlflow?sslmode=require&sslpassword=secret")
    'postgresql://me:***@host/mlflow?sslmode=require&sslpassword=***'
    """
    found = _PASSWORD.sub(r"\1:***@", uri)
    if found.lower().startswith("http"):
        found = _TOKEN.sub("***@", found)
    return _PARAMETER.sub(r"\1=***", found)


def without_secrets(text: str, uri: str) -> str:
    """What somebody else says about the store at ``uri``, each address in it ``masked``."""
    return _ADDRESS.sub(lambda found: masked(found[0]), text.replace(uri, masked(uri)))


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """MLflow's errors, and those of what it stands on, as ``TrackingError``, in a sentence."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as exc:
        raise _translation(uri, exc) from exc


def _translation(uri: str, exc: Exception) -> TrackingError:
    reason = without_secrets(str(exc), uri).strip().split("\n")[0] or type(exc).__name__
    if "database is locked" in str(exc):
        return TrackingError(
            f"the tracking store {masked(uri)} is locked by another process", unavailable=True
        )
    if "out-of-date database schema" in reason:
        return TrackingError(
            f"the tracking store {masked(uri)} was made by another version of MLflow than the "
            f"one installed, {mlflow_version}: copy it, then bring it up to date with `mlflow db "
            f"upgrade {masked(uri)}`, or, if it is the newer one, install the MLflow that made it"
        )
    if is_full(exc):
        return TrackingError(
            f"the tracking store {masked(uri)} cannot be written: no space is left on its disk; "
            f"make room there, or {ELSEWHERE}",
            unavailable=True,
        )
    code = getattr(exc, "error_code", "")
    away = code == "TEMPORARILY_UNAVAILABLE" or "API request to " in reason
    unavailable = away or not isinstance(exc, MlflowException)
    verb = "cannot be used" if unavailable else "refused"
    if isinstance(exc, PermissionError) or "readonly database" in reason:
        reason = f"{reason}; {ELSEWHERE}"
    return TrackingError(
        f"the tracking store {masked(uri)} {verb}: {reason}", unavailable=unavailable
    )


def _be_quiet() -> None:
    """Leave to MLflow's and its parts' loggers what speaks of something amiss.

    Failed statements are logged with their traceback and raised; they are told once.
    """
    for name in ("mlflow", "alembic"):
        getLogger(name).setLevel(WARNING)
    getLogger("mlflow.store.db.utils").setLevel(CRITICAL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"The ``noload`` loader strategy", DeprecationWarning)
        import_module(_SQL_STORE)  # warns when it is imported


def _create(file: Path) -> None:
    """An empty sqlite store, whole or not at all: MLflow could never use one that is half-made."""
    part = file.with_name(f".part-{file.name}")
    shutil.rmtree(part, ignore_errors=True)  # of one that was killed
    part.mkdir()
    try:
        new = part / file.name
        sql_store = import_module(_SQL_STORE).SqlAlchemyStore
        sql_store(f"{SQLITE}{new}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
        new.replace(file)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _wait_until_writable(file: Path, patience_s: float) -> None:
    """Nobody else keeps the sqlite store from being written: MLflow would wait for 20 s."""
    with closing(sqlite3.connect(file, timeout=patience_s, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("ROLLBACK")


def _wait_for_answer(uri: str, patience_s: float) -> None:
    """What is behind ``uri`` answers at all: MLflow would try for minutes."""
    parts = urlsplit(uri)
    kind = parts.scheme.partition("+")[0]
    if kind in ("http", "https"):
        for name, value in WEB_SETTINGS.items():
            os.environ.setdefault(name, value)
        with suppress(HTTPError):  # it answers; what it wants, a login maybe, MLflow will say
            place = parts.netloc.rpartition("@")[2]  # urllib takes a user for part of the host
            health = f"{parts.scheme}://{place}{parts.path.rstrip('/')}/health"
            urlopen(health, timeout=patience_s).close()
    elif kind in _PORTS and parts.hostname:
        address = parts.hostname, parts.port or _PORTS[kind]
        socket.create_connection(address, patience_s).close()
        create_engine(uri).connect().close()
