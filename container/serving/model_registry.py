"""The served models: one, or the models that a multi-model endpoint has loaded.

The model server changes into a model's folder, imports from it first, and looks for its own files in it.
So that nothing in an artifact is executed, the server gets an empty folder, and the handler follows a link:

    models/NAME         empty folder, registered with the server
    routes/NAME         while nginx may send requests to the model
    artifacts/NAME      link to the artifact
    workers/NAME/PID    status file of a worker
"""

import http
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from byoc.artifact import MANIFEST, check_artifact
from byoc.errors import ArtifactError
from byoc.opt_ml import OptMl
from byoc.package import import_package, package_name
from byoc.serving.worker_status import LOADS, Worker, workers
from serving import cgroup
from serving.footprint import MIB, Footprint
from serving.logs import Log
from serving.model_server import LOAD_SECONDS, Answer, ModelServer
from serving.settings import Settings

# https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
MULTI_MODEL_FOLDER = OptMl.from_environment().base / "models"
# Between looks at the workers of a model; and looks that must find them idle before the model is unloaded: a
# worker is idle for a moment between two requests that wait for it.
POLL_SECONDS = 0.1
IDLE_LOOKS = 4

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
        workers: number of workers that are started.
        parent: process id of the workers' parent, once the supervisor has seen it.
    """

    name: str
    artifact: Path
    workers: int = 1
    parent: int | None = None


class ModelRegistry:
    """The models of one model server, with their folders in ``folder``."""

    def __init__(self, folder: Path, settings: Settings, server: ModelServer) -> None:
        self._folder = folder
        self._settings = settings
        self._server = server
        self._models: dict[str, Model] = {}
        self._resumed = float("-inf")
        # One load at a time, so that the next one measures the memory after it.
        self._lock = threading.Lock()
        for name in ("models", "artifacts", "workers", "routes"):
            (folder / name).mkdir()
        # nginx looks for the files in it, and does not run as root.
        (folder / "routes").chmod(0o711)

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
            workers, together = self._check(artifact)
            try:
                self._models[name] = Model(name, artifact, workers)
                (self._folder / "models" / name).mkdir()
                (self._folder / "workers" / name).mkdir()
                (self._folder / "artifacts" / name).symlink_to(artifact)
                answer = self._server.register(
                    name, self._settings, together, wait=self._settings.multi_model
                )
            except BaseException:
                self._remove(name)
                raise
            if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED):
                reason = self.load_error(name) or f"{answer.message}; see the log"
                self._remove(name)
                self._unregister(name)
                raise ModelError(500, f"model {name} cannot be loaded: {reason}")
            (self._folder / "routes" / name).touch()
            for count in range(together, workers):
                if self._wait(partial(self._has_workers, name, count), LOAD_SECONDS):
                    self._server.scale(name, count + 1)

    def _has_workers(self, name: str, count: int) -> bool:
        return len(self.workers(name)) >= count

    @staticmethod
    def _wait(condition: Callable[[], bool], seconds: float) -> bool:
        """Whether the condition holds within ``seconds``."""
        end = time.monotonic() + seconds
        while not (fulfilled := condition()) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return fulfilled

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
        """Unload a model once it has answered its requests, or after the time of a request.

        Raises:
            ModelError: 404 no model of this name.
            OSError: the model server does not answer.
        """
        model = self.get(name)
        (self._folder / "routes" / name).unlink(missing_ok=True)
        idle = 0

        def is_idle() -> bool:
            nonlocal idle
            idle = 0 if any(worker.busy_seconds for worker in self.workers(name)) else idle + 1
            return idle >= IDLE_LOOKS

        self._wait(is_idle, self._settings.request_seconds)
        with self._lock:
            if model not in self:
                raise ModelError(404, f"model {name} is not loaded")
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
            # The clock goes on while the container is frozen, and the workers do not.
            longest = time.monotonic() - self._resumed
            live = workers(self._folder / "workers" / name)
            return [Worker(pid, min(busy, longest)) for pid, busy in live]
        except FileNotFoundError:
            return []

    def load_seconds(self, name: str) -> list[float]:
        """The time of each load of the model by a worker, dead ones included, in order."""
        try:
            return [float(line) for line in (self._folder / "workers" / name / LOADS).read_text().split()]
        except FileNotFoundError:
            return []

    def resume(self) -> None:
        """Give each busy worker its full time again, after the container was frozen."""
        self._resumed = time.monotonic()

    def load_error(self, name: str) -> str:
        """The reason for which a worker could not load the model, if it is in the artifact."""
        try:
            return (self._folder / "workers" / name / "error").read_text("utf-8")
        except OSError:
            return ""

    def _check(self, artifact: Path) -> tuple[int, int]:
        """Check artifact and memory; returns the workers to start, and how many of them to load together."""
        try:
            check_model(artifact)
            footprint = Footprint.of_artifact(artifact)
        except (ArtifactError, OSError) as error:
            raise ModelError(400, str(error)) from error
        free, wanted = cgroup.free_memory(), self._settings.workers
        workers = footprint.fit(free, wanted)
        if not workers:
            raise ModelError(
                507,
                f"one worker with the model needs about {footprint.needed(1, 0) // MIB} MiB of memory, and "
                f"{free // MIB} MiB are free (SAGEMAKER_MODEL_SERVER_WORKERS: {wanted}); "
                "use an instance with more memory, or a smaller model",
            )
        return workers, workers if footprint.needed(workers, workers) <= free else 1

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
        for parent in ("artifacts", "routes"):
            (self._folder / parent / name).unlink(missing_ok=True)
        for parent in ("models", "workers"):
            shutil.rmtree(self._folder / parent / name, ignore_errors=True)


def check_model(artifact: Path) -> None:
    """Check the files of an artifact without loading the model.

    Raises:
        ArtifactError: a file is missing, unreadable, damaged, or of another package.
    """
    try:
        deeper = None if (artifact / MANIFEST).exists() else next(artifact.rglob(MANIFEST), None)
        files = [artifact, *artifact.iterdir()]
    except FileNotFoundError:
        files, deeper = [], None
    except PermissionError:
        files, deeper = [artifact], None
    if deeper:
        raise ArtifactError(
            f"the model is in {deeper.parent}, expected in {artifact}: pack the files without their folder, "
            f"tar -C {deeper.parent.relative_to(artifact)} -czf model.tar.gz ."
        )
    for path in files:
        if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
            raise ArtifactError(f"{path} is not readable by user {os.geteuid()}: chmod -R a+rX {artifact}")
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
