"""Starts the parts, watches over them, and ends them: all together, and with the reason."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from serving import control, mms, nginx
from serving.health import Health
from serving.logs import Log
from serving.models import Model, ModelError, Models
from serving.settings import Settings

WATCH_SECONDS = 0.5
# A killed worker first gets a signal at which it says where it was, and this long to say it.
LAST_WORDS_SECONDS = 2
END_SECONDS = 3


class ServingError(Exception):
    """An essential part is gone and cannot come back. The message says which, and why."""


class Program:
    """A running program, whose output goes into the log."""

    def __init__(self, name: str, command: Sequence[str], log: Log, **environment: str) -> None:
        self.name = name
        # In a session of its own, so that Ctrl-C reaches it through the supervisor only, and what it
        # leaves behind when it dies can be found.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # nginx logs paths as they are. In its JSON a backslash would make another error.
            errors="replace",
            env=os.environ | environment,
            start_new_session=True,
        )
        streams = ((self.process.stdout, "info"), (self.process.stderr, "warning"))
        self._relays = [log.relay(stream, name, level) for stream, level in streams if stream]

    def check(self) -> None:
        """Look whether it runs.

        Raises:
            ServingError: it has ended.
        """
        code = self.process.poll()
        if code is not None:
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            raise ServingError(f"{self.name} ended by itself, {how}")

    def end(self, number: signal.Signals, seconds: float) -> None:
        """Send a signal, wait, and kill what is left of it and of its children."""
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
    """The whole server, in ``folder``.

    Args:
        settings: how to serve.
        log: where everything is said.
        folder: for sockets and configuration; its path is short, and it is empty.
        artifact: the model, unless this is a multi-model endpoint.
    """

    def __init__(self, settings: Settings, log: Log, folder: Path, artifact: Path) -> None:
        self._settings = settings
        self._log = log
        self._folder = folder
        self._artifact = artifact
        self._server = mms.Server(folder)
        self._models = Models(folder, settings, self._server)
        self._health = Health(self._models, settings.request_seconds, multi_model=settings.multi_model)
        self._warned: set[int] = set()
        self._load_error: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set, and then answer what is in flight.

        Raises:
            ServingError: an essential part is gone.
            FileNotFoundError: a program is not installed.
        """
        nginx_binary = nginx.find()
        with (
            self._model_server() as model_server,
            control.listening(self._folder / "control.sock", self._health, self._models, self._log),
            self._nginx(nginx_binary) as nginx_process,
        ):
            threading.Thread(target=self._open, daemon=True).start()
            self._watch([nginx_process, model_server], model_server, stop)
            self._log.write("info", "stopping: no new requests, those in flight are answered")

    @contextlib.contextmanager
    def _model_server(self) -> Iterator[Program]:
        settings = self._settings
        (self._folder / mms.CONFIGURATION).write_text(mms.configuration(settings, self._folder), "utf-8")
        command, environment = mms.command(settings, self._folder), mms.environment(settings, self._folder)
        model_server = Program("the model server", command, self._log, **environment)
        try:
            yield model_server
        finally:
            model_server.end(signal.SIGTERM, END_SECONDS)

    @contextlib.contextmanager
    def _nginx(self, binary: str) -> Iterator[Program]:
        config = nginx.configuration(self._settings, self._folder)
        (self._folder / "nginx.conf").write_text(config, "utf-8")
        nginx_process = Program("nginx", nginx.command(binary, self._folder), self._log)
        # With a part gone there is little left to answer, and the platform waits for the end.
        seconds = END_SECONDS
        try:
            yield nginx_process
            seconds = nginx.DRAIN_SECONDS + 1
        finally:
            # It closes its port at once, and ends when the last answer is sent.
            nginx_process.end(signal.SIGQUIT, seconds)

    def _open(self) -> None:
        """Wait for the model server, let nginx in, load the model."""
        while not (self._server.answers() and self._server.is_managed()):
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

    def _watch(self, programs: Sequence[Program], model_server: Program, stop: threading.Event) -> None:
        asked, had_workers = 0.0, time.monotonic()
        while not stop.wait(WATCH_SECONDS):
            for program in programs:
                program.check()
            if self._load_error:
                raise ServingError(self._load_error)
            self._check_parents(model_server)
            for model in self._models.all():
                self._end_overdue_workers(model.name)
            if self._settings.multi_model or self._models.workers("model"):
                had_workers = time.monotonic()
            elif time.monotonic() - had_workers > mms.LOAD_SECONDS:
                raise ServingError(f"no worker could load the model for {mms.LOAD_SECONDS} s; see above why")
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                if self._server.answers():
                    self._health.server_answered()

    def _check_parents(self, model_server: Program) -> None:
        """The workers of a model have a parent; without it none of them can be started again."""
        models, living = self._models.all(), _parents(model_server.process.pid)
        for model in models:
            if model.name in living:
                model.parent = living[model.name]
            # In this order: its parent may be gone because it has just been unloaded.
            elif model.parent and model in self._models:
                # Or because the server itself has just died.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    model_server.process.wait(WATCH_SECONDS)
                model_server.check()
                self._parent_is_gone(model)

    def _parent_is_gone(self, model: Model) -> None:
        reason = (
            f"the parent of the workers of {model.name} is gone, and the model server cannot start another"
        )
        if not self._settings.multi_model:
            raise ServingError(reason)
        # The platform loads it again when it is asked for.
        self._log.write("error", f"{reason}; it is unloaded")
        model.parent = None
        # Another model may be being loaded, which takes its time.
        threading.Thread(target=self._unload, args=(model.name,), daemon=True).start()

    def _unload(self, name: str) -> None:
        with contextlib.suppress(ModelError, OSError):
            self._models.unload(name)

    def _end_overdue_workers(self, name: str) -> None:
        for worker in self._models.workers(name):
            overdue = worker.busy_seconds - self._settings.request_seconds
            if overdue < 0:
                self._warned.discard(worker.pid)
            elif worker.pid not in self._warned:
                self._warned.add(worker.pid)
                self._log.write(
                    "error",
                    f"worker {worker.pid} of {name} has been busy with one request for more than "
                    f"{self._settings.request_seconds} s, and is killed",
                )
                _kill(worker.pid, signal.SIGABRT)
            elif overdue > LAST_WORDS_SECONDS:
                _kill(worker.pid, signal.SIGKILL)


def _parents(model_server: int) -> dict[str, int]:
    """The living worker parents by model: children of the server that say of which model they are."""
    found = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(model_server).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                arguments = child.cmdline()
                if "--model-name" in arguments and child.status() != psutil.STATUS_ZOMBIE:
                    found[arguments[arguments.index("--model-name") + 1]] = child.pid
    return found


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
