"""Starts nginx and Multi Model Server, watches them and the workers, and stops everything together."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from byoc.errors import UserError
from serving import cgroup, model_server, nginx
from serving.logs import Log
from serving.management import Health, management_server
from serving.metrics import Metrics
from serving.model_registry import Model, ModelError, ModelRegistry
from serving.settings import Settings

POLL_SECONDS = 0.5
# A longer time between two polls means that the container was frozen (docker pause, a suspended machine).
FREEZE_SECONDS = 5.0
# The platform waits for the first ping; a running nginx answers within milliseconds.
NGINX_SECONDS = 8.0
# Killed processes after which a model that has never been loaded is given up.
OUT_OF_MEMORY_KILLS = 3
# Between SIGABRT, on which a worker logs its traceback, and SIGKILL.
TRACEBACK_SECONDS = 2
STOP_SECONDS = 3


class ServingError(UserError):
    """A program that cannot be restarted is gone; the message names it and the cause."""


class Program:
    """A child process whose output goes to the log, stopped at the end of a ``with`` block.

    ``environment`` is added to this process' variables. At the end of the block the program gets
    ``stop_signal``, and SIGKILL after ``stop_seconds`` (after a fault: ``STOP_SECONDS``).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Log,
        environment: Mapping[str, str] = {},
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self.name = name
        self._stop_signal = stop_signal
        self._stop_seconds = stop_seconds
        # A session of its own: Ctrl-C reaches only the supervisor, and killpg also a dead program's children.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # nginx logs a path's bytes unchanged; backslash escapes would break its JSON.
            errors="replace",
            env={**os.environ, **environment},
            start_new_session=True,
        )
        streams = ((self.process.stdout, "info"), (self.process.stderr, "warning"))
        self._relays = [log.relay(stream, name, level) for stream, level in streams if stream]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        # After a fault there is little left to answer, and the platform waits for the end.
        self.stop(self._stop_signal, STOP_SECONDS if error else self._stop_seconds)

    def check(self) -> None:
        """Check that the program is running.

        Raises:
            ServingError: it has ended.
        """
        code = self.process.poll()
        if code is not None:
            cause = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            raise ServingError(f"{self.name} ended by itself, {cause}")

    def stop(self, number: signal.Signals, seconds: float) -> None:
        """Send a signal, wait up to ``seconds``, and kill the program and its children."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for relay in self._relays:
            relay.join(1)


class Supervisor:
    """Serves a model until it is stopped.

    Args:
        folder: an empty folder with a short path, for sockets and configuration.
        artifact: the model; not used on a multi-model endpoint.
    """

    def __init__(self, settings: Settings, log: Log, folder: Path, artifact: Path) -> None:
        self._settings = settings
        self._log = log
        self._folder = folder
        self._artifact = artifact
        self._server = model_server.ModelServer(folder)
        self._models = ModelRegistry(folder, settings, self._server)
        self._health = Health(self._models, settings.request_seconds, multi_model=settings.multi_model)
        self._metrics = Metrics(settings, self._models)
        log.observe = self._metrics.observe
        self._killed: set[int] = set()
        self._load_error: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set, then answer the requests in flight.

        Raises:
            ServingError: a program that cannot be restarted is gone.
            FileNotFoundError: a program is not installed.
        """
        nginx_binary = nginx.find()
        with (
            self._start_model_server() as server_process,
            management_server(
                self._folder / "control.sock", self._health, self._models, self._metrics, self._log
            ),
            self._start_nginx(nginx_binary) as nginx_process,
        ):
            threading.Thread(target=self._load_model, daemon=True).start()
            self._watch(nginx_process, server_process, stop)
            self._log.write("info", "stopping: new requests are refused, requests in flight are answered")

    def _start_model_server(self) -> Program:
        settings, folder = self._settings, self._folder
        config = model_server.configuration(settings, folder)
        (folder / model_server.CONFIGURATION).write_text(config, "utf-8")
        command = model_server.command(settings, folder)
        return Program("the model server", command, self._log, model_server.environment(settings, folder))

    def _start_nginx(self, binary: str) -> Program:
        config = nginx.configuration(self._settings, self._folder)
        (self._folder / "nginx.conf").write_text(config, "utf-8")
        command = nginx.command(binary, self._folder)
        # On SIGQUIT it closes its port at once, and ends after the last answer. It logs local times.
        return Program("nginx", command, self._log, {"TZ": "UTC"}, signal.SIGQUIT, nginx.DRAIN_SECONDS + 1)

    def _load_model(self) -> None:
        """Wait for the model server, give nginx access to it, and load the model."""
        while not (self._server.inference_is_up() and self._server.management_is_up()):
            time.sleep(0.1)
        # nginx does not run as root.
        (self._folder / "mms.sock").chmod(0o666)
        self._health.server_answered()
        if self._settings.multi_model:
            return
        try:
            self._models.load("model", self._artifact)
        except (ModelError, OSError) as error:
            self._load_error = str(error)

    def _watch(self, nginx_process: Program, server_process: Program, stop: threading.Event) -> None:
        first_kills = kills = cgroup.out_of_memory_kills()
        last_poll = last_asked = last_worker = last_answer = time.monotonic()
        was_loaded = False
        while not stop.wait(POLL_SECONDS):
            now = time.monotonic()
            if now - last_poll > FREEZE_SECONDS:
                self._models.resume()
                last_worker = last_answer = now
            last_poll = now
            nginx_process.check()
            server_process.check()
            if self._load_error or (not was_loaded and (error := self._models.load_error("model"))):
                raise ServingError(self._load_error or error)
            if (last_kills := kills) < (kills := cgroup.out_of_memory_kills()):
                self._log.write("error", self._killed_for_memory(kills - last_kills))
            self._check_worker_parents(server_process)
            for model in self._models.all():
                self._kill_overdue_workers(model.name)
            if self._settings.multi_model or self._models.workers("model"):
                last_worker, was_loaded = now, True
            elif not was_loaded and kills - first_kills >= OUT_OF_MEMORY_KILLS:
                raise ServingError(self._out_of_memory())
            elif now - last_worker > model_server.LOAD_SECONDS:
                raise ServingError(f"no worker loaded the model for {model_server.LOAD_SECONDS} s; see above")
            if now - last_asked > 1:
                last_asked = now
                if self._server.inference_is_up():
                    self._health.server_answered()
                if nginx.is_up(self._settings.port):
                    last_answer = time.monotonic()
                elif time.monotonic() - last_answer > NGINX_SECONDS:
                    raise ServingError(
                        f"nginx does not answer on port {self._settings.port}; see above why: its processes "
                        "cannot start or cannot change their user (docker run --cap-drop, --pids-limit)"
                    )

    def _killed_for_memory(self, number: int) -> str:
        return (
            f"the kernel killed {number} of the container's processes because {cgroup.memory() // 2**20} MiB "
            "of memory ran out; send less in a request, set fewer workers (SAGEMAKER_MODEL_SERVER_WORKERS), "
            "or use an instance with more memory"
        )

    def _out_of_memory(self) -> str:
        return (
            f"the kernel killed the workers because memory ran out while {self._settings.workers} workers "
            f"(SAGEMAKER_MODEL_SERVER_WORKERS) loaded the model in {cgroup.memory() // 2**20} MiB; set fewer "
            "workers, or use an instance with more memory"
        )

    def _check_worker_parents(self, server_process: Program) -> None:
        """Check that the workers' parent of each model is alive: without it no worker can be restarted."""
        models, parents = self._models.all(), _worker_parents(server_process.process.pid)
        for model in models:
            if model.name in parents:
                model.parent = parents[model.name]
            # In this order: the parent of a model that has just been unloaded is gone too.
            elif model.parent and model in self._models:
                # The whole server may be ending, which is the better reason.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server_process.process.wait(POLL_SECONDS)
                server_process.check()
                self._lose_parent(model)

    def _lose_parent(self, model: Model) -> None:
        reason = (
            f"the parent of the workers of {model.name} is gone, and the model server cannot start another"
        )
        if not self._settings.multi_model:
            raise ServingError(reason)
        # The platform loads the model again for its next request.
        self._log.write("error", f"{reason}; it is unloaded")
        model.parent = None
        # In a thread, because a load of another model may hold the registry for minutes.
        threading.Thread(target=self._unload, args=(model.name,), daemon=True).start()

    def _unload(self, name: str) -> None:
        with contextlib.suppress(ModelError, OSError):
            self._models.unload(name)

    def _kill_overdue_workers(self, name: str) -> None:
        for worker in self._models.workers(name):
            overdue = worker.busy_seconds - self._settings.request_seconds
            if overdue < 0:
                self._killed.discard(worker.pid)
            elif worker.pid not in self._killed:
                self._killed.add(worker.pid)
                duration = f"more than {self._settings.request_seconds} s"
                fault = f"worker {worker.pid} of {name} has been busy with one request for {duration}"
                self._log.write("error", f"{fault}, and is killed")
                _kill(worker.pid, signal.SIGABRT)
            elif overdue > TRACEBACK_SECONDS:
                _kill(worker.pid, signal.SIGKILL)


def _worker_parents(server: int) -> dict[str, int]:
    """Process ids of the live parents of workers, by the model that their command line names."""
    parents = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(server).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                arguments = child.cmdline()
                if "--model-name" in arguments and child.status() != psutil.STATUS_ZOMBIE:
                    parents[arguments[arguments.index("--model-name") + 1]] = child.pid
    return parents


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
