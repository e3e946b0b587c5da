"""Artefacts that move with their store: a place in MLflow that is named from the store's folder.

MLflow writes absolute paths of artefacts into a local store, and a folder that was moved or
copied no longer finds its models. Experiments made here say ``beside-store:/NAME`` instead, which
is ``mlartifacts/NAME`` in the folder of the sqlite file, wherever that is today. MLflow finds
``beside_store`` by its entry point, in the server of its user interface, too.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

SCHEME = "beside-store"
FOLDER = "mlartifacts"
SQLITE = "sqlite:///"
_STORE_OF_THE_SERVER = "_MLFLOW_SERVER_FILE_STORE"


def location(experiment: str) -> str:
    """The artefacts' address of an experiment.

    >>> location("versions")
    'beside-store:/versions'
    """
    return f"{SCHEME}:/{quote(experiment, safe='')}"


def local_folder(artifact_uri: str, store_uri: str) -> Path:
    """Where the artefacts lie, given the store's address, which has to be a sqlite file's.

    Raises ``MlflowException`` for another store, and for a path that leads out of the folder.

    >>> local_folder("beside-store:/versions/1f", "sqlite:////home/me/mlflow.db").as_posix()
    '/home/me/mlartifacts/versions/1f'
    """
    if not store_uri.startswith(SQLITE):
        raise MlflowException(
            f"{artifact_uri} lies beside a sqlite store, which {store_uri} is not"
        )
    root = Path(store_uri.removeprefix(SQLITE)).resolve().parent / FOLDER
    folder = (root / unquote(urlsplit(artifact_uri).path).lstrip("/")).resolve()
    if not folder.is_relative_to(root):
        raise MlflowException(f"{artifact_uri} leads out of {root}")
    return folder


def beside_store(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    """Artefacts in the folder of the store that the caller, the server or MLflow works with.

    Behind a server, over HTTP: `mlflow server`, started in the folder of the sqlite file, serves
    its ``mlartifacts`` there; elsewhere `--artifacts-destination` names the folder.
    """
    store = tracking_uri or os.environ.get(_STORE_OF_THE_SERVER) or mlflow.get_tracking_uri()
    if urlsplit(store).scheme in ("http", "https"):
        path = urlsplit(artifact_uri).path
        return MlflowArtifactsRepository(f"mlflow-artifacts:{path}", store, registry_uri)
    folder = local_folder(artifact_uri, store)
    return LocalArtifactRepository(str(folder), tracking_uri, registry_uri)
