"""The models that are served: one, or those that a multi-model endpoint asks for.

The model server makes the folder of a model its working directory, its first place to import from, and
looks for files of its own in it. So it is given an empty folder; the handler finds the artifact by a link:

    models/NAME         empty; what the server takes for the model
    artifacts/NAME      a link to the artifact
    workers/NAME/PID    what sentiment.workers keeps
"""

import http
import os
import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil

from sentiment.artifact import load_artifact
from sentiment.errors import ArtifactError
from sentiment.workers import Worker, workers
from serving import cgroup
from serving.mms import Answer, Server
from serving.settings import MIB, WORKER_BYTES, Settings

# Of a multi-model endpoint: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
MULTI_MODEL_FOLDER = Path("/opt/ml/models")
# The parent of a model's workers, beside what it shares with them.
PARENT_BYTES = 32 * MIB

_NAME = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class ModelError(Exception):
    """A model cannot be loaded or unloaded; ``status`` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(eq=False)
class Model:
    """A model from the moment when it is being loaded until it is being unloaded.

    Attributes:
        name: given by who asked for it.
        artifact: the folder of its files.
        parent: process id of the parent of its workers, once the supervisor has seen it.
    """

    name: str
    artifact: Path
    parent: int | None = None


class Models:
    """The models of one server.

    Args:
        folder: where the three folders are made.
        settings: how to serve.
        server: the running model server.
    """

    def __init__(self, folder: Path, settings: Settings, server: Server) -> None:
        self._folder = folder
        self._settings = settings
        self._server = server
        self._models: dict[str, Model] = {}
        # One at a time: each has to see the memory that the one before has taken.
        self._lock = threading.Lock()
        for name in ("models", "artifacts", "workers"):
            (folder / name).mkdir()

    def prepare(self, name: str, artifact: Path) -> None:
        """Make the folders of a model."""
        self._models[name] = Model(name, artifact)
        (self._folder / "models" / name).mkdir()
        (self._folder / "workers" / name).mkdir()
        (self._folder / "artifacts" / name).symlink_to(artifact)

    def load(self, name: str, artifact: Path) -> None:
        """Load a model; of a multi-model endpoint, wait until it can predict.

        Raises:
            ModelError: 400 it is no artifact, 409 the name is taken, 507 there is no memory for it.
            OSError: the model server does not answer.
        """
        if not _NAME.fullmatch(name):
            raise ModelError(400, f"model_name {name!r}: expected 1 to 128 letters, digits, '.', '_' or '-'")
        with self._lock:
            if name in self._models:
                raise ModelError(409, f"model {name} is loaded already")
            self._check(artifact)
            try:
                self.prepare(name, artifact)
                answer = self._server.register(name, self._settings, wait=self._settings.multi_model)
            except BaseException:
                self._forget(name)
                raise
            if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED):
                self._forget(name)
                self._unregister(name)
                raise ModelError(500, f"model {name} cannot be loaded: {answer.message}; see the log")

    def load_from(self, name: str, url: str) -> None:
        """Load a model of a multi-model endpoint; ``url`` is a folder, and one of the platform's.

        Raises:
            ModelError: as ``load``, and 400 when the folder is another's.
            OSError: the model server does not answer.
        """
        folder = Path(os.path.normpath(url))
        if not _is_below(folder, MULTI_MODEL_FOLDER):
            raise ModelError(400, f"url {url!r}: expected a folder below {MULTI_MODEL_FOLDER}")
        self.load(name, folder)

    def unload(self, name: str) -> None:
        """Unload a model.

        Raises:
            ModelError: 404 there is none of this name.
            OSError: the model server does not answer.
        """
        with self._lock:
            self.get(name)
            # First of all, so that nobody takes the end of its processes for a fault.
            self._forget(name)
            answer = self._unregister(name)
            if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND):
                raise ModelError(answer.status, answer.message)

    def get(self, name: str) -> Model:
        """A model that is loaded or being loaded.

        Raises:
            ModelError: 404 there is none of this name.
        """
        try:
            return self._models[name]
        except KeyError:
            raise ModelError(404, f"model {name} is not loaded") from None

    def all(self) -> list[Model]:
        """The models that are loaded or being loaded, by name."""
        return sorted(self._models.copy().values(), key=lambda model: model.name)

    def __contains__(self, model: Model) -> bool:
        return self._models.get(model.name) is model

    def workers(self, name: str) -> list[Worker]:
        """The living workers of a model that have loaded it."""
        try:
            return workers(self._folder / "workers" / name)
        except FileNotFoundError:
            return []

    def _check(self, artifact: Path) -> None:
        try:
            size = sum(file.stat().st_size for file in artifact.glob("*") if file.is_file())
            needed = PARENT_BYTES + self._settings.workers * (WORKER_BYTES + size)
            free = cgroup.free_memory()
            if needed > free:
                raise ModelError(
                    507,
                    f"the model needs about {needed // MIB} MiB of memory, and {free // MIB} MiB are free",
                )
            load_artifact(artifact)
        except (ArtifactError, OSError) as error:
            raise ModelError(400, str(error)) from error

    def _unregister(self, name: str) -> Answer:
        answer = self._server.unregister(name)
        # The server kills the parent of the model's workers, whose socket then stays behind.
        bound = {str(connection.laddr) for connection in psutil.net_connections("unix")}
        for path in self._folder.glob(".mms.sock.*"):
            if str(path) not in bound:
                path.unlink(missing_ok=True)
        return answer

    def _forget(self, name: str) -> None:
        self._models.pop(name, None)
        (self._folder / "artifacts" / name).unlink(missing_ok=True)
        for parent in ("models", "workers"):
            shutil.rmtree(self._folder / parent / name, ignore_errors=True)


def _is_below(path: Path, folder: Path) -> bool:
    """Whether it is, as it is written and with every link followed."""
    try:
        return folder in path.parents and folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError, ValueError):
        # Too long, links in a circle, or no path at all.
        return False
