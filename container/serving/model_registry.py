"""The served models: one, or the models that a multi-model endpoint has loaded.

The model server changes into a model's folder, imports from it first, and looks for its own files in it.
So that nothing in an artifact is executed, the server gets an empty folder, and the handler follows a link:

    models/NAME         empty folder, registered with the server
    artifacts/NAME      link to the artifact
    workers/NAME/PID    status file of a worker
"""

import http
import os
import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil

from byoc.artifact import check_artifact
from byoc.errors import ArtifactError
from byoc.opt_ml import OptMl
from byoc.package import import_package, package_name
from byoc.serving.worker_status import Worker, workers
from serving import cgroup
from serving.logs import Log
from serving.model_server import Answer, ModelServer
from serving.settings import MIB, WORKER_BYTES, Settings

# https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
MULTI_MODEL_FOLDER = OptMl.from_environment().base / "models"
# The parent of a model's workers, without the memory that they share.
PARENT_BYTES = 32 * MIB

_NAME = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class ModelError(Exception):
    """A model cannot be loaded or unloaded; ``status`` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(eq=False)
class Model:
    """A model, from the start of its loading to the start of its unloading.

    Attributes:
        parent: process id of the workers' parent, once the supervisor has seen it.
    """

    name: str
    artifact: Path
    parent: int | None = None


class ModelRegistry:
    """The models of one model server, with their folders in ``folder``."""

    def __init__(self, folder: Path, settings: Settings, server: ModelServer) -> None:
        self._folder = folder
        self._settings = settings
        self._server = server
        self._models: dict[str, Model] = {}
        # One load at a time, so that the next one measures the memory after it.
        self._lock = threading.Lock()
        for name in ("models", "artifacts", "workers"):
            (folder / name).mkdir()

    def _add(self, name: str, artifact: Path) -> None:
        self._models[name] = Model(name, artifact)
        (self._folder / "models" / name).mkdir()
        (self._folder / "workers" / name).mkdir()
        (self._folder / "artifacts" / name).symlink_to(artifact)

    def load(self, name: str, artifact: Path) -> None:
        """Load a model; on a multi-model endpoint, wait until it can predict.

        Raises:
            ModelError: 400 not an artifact, 409 the name is taken, 507 too little memory.
            OSError: the model server does not answer.
        """
        if not _NAME.fullmatch(name):
            raise ModelError(400, f"model_name {name!r}: expected 1 to 128 letters, digits, '.', '_' or '-'")
        with self._lock:
            if name in self._models:
                raise ModelError(409, f"model {name} is loaded already")
            self._check(artifact)
            try:
                self._add(name, artifact)
                answer = self._server.register(name, self._settings, wait=self._settings.multi_model)
            except BaseException:
                self._remove(name)
                raise
            if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED):
                self._remove(name)
                self._unregister(name)
                raise ModelError(500, f"model {name} cannot be loaded: {answer.message}; see the log")

    def load_url(self, name: str, url: str) -> None:
        """Load a model of a multi-model endpoint from ``url``, a folder below ``MULTI_MODEL_FOLDER``.

        Raises:
            ModelError: as ``load``, and 400 for any other folder.
            OSError: the model server does not answer.
        """
        folder = Path(os.path.normpath(url))
        if not _is_inside(folder, MULTI_MODEL_FOLDER):
            raise ModelError(400, f"url {url!r}: expected a folder below {MULTI_MODEL_FOLDER}")
        self.load(name, folder)

    def unload(self, name: str) -> None:
        """Unload a model.

        Raises:
            ModelError: 404 no model of this name.
            OSError: the model server does not answer.
        """
        with self._lock:
            self.get(name)
            # First, so that the supervisor does not treat the end of its processes as a fault.
            self._remove(name)
            answer = self._unregister(name)
            if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.NOT_FOUND):
                raise ModelError(answer.status, answer.message)

    def get(self, name: str) -> Model:
        """A model that is loaded or being loaded.

        Raises:
            ModelError: 404 no model of this name.
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
        """The live workers that have loaded the model."""
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
            check_model(artifact)
        except (ArtifactError, OSError) as error:
            raise ModelError(400, str(error)) from error

    def _unregister(self, name: str) -> Answer:
        answer = self._server.unregister(name)
        # The server kills the parent of the model's workers, which leaves its socket.
        bound = {str(connection.laddr) for connection in psutil.net_connections("unix")}
        for path in self._folder.glob(".mms.sock.*"):
            if str(path) not in bound:
                path.unlink(missing_ok=True)
        return answer

    def _remove(self, name: str) -> None:
        self._models.pop(name, None)
        (self._folder / "artifacts" / name).unlink(missing_ok=True)
        for parent in ("models", "workers"):
            shutil.rmtree(self._folder / parent / name, ignore_errors=True)


def check_model(artifact: Path) -> None:
    """Check the files of an artifact without loading the model.

    Raises:
        ArtifactError: a file is missing, damaged, or of another package.
    """
    check_artifact(artifact, package_name())
    import_package().check_artifact(artifact)


def warn_of_user_code(log: Log, artifact: Path) -> None:
    """Log one warning about code that SageMaker's own containers would run."""
    variables = ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY")
    ignored = [f"{name}={os.environ[name]}" for name in variables if os.environ.get(name)]
    script = artifact / "code" / "inference.py"
    ignored += [str(script)] if script.exists() else []
    if ignored:
        log.write("warning", f"ignored: {', '.join(ignored)}; docs/your-own-model.md: how to serve a model")


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether ``path`` is below ``folder``, both as written and with links resolved."""
    try:
        return folder in path.parents and folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError, ValueError):
        # Too long, a loop of links, or no path.
        return False
