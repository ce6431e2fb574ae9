"""Multi Model Server: its configuration, the command that starts it, and its management API.

It is started here and not by sagemaker-inference's ``start_model_server``, which writes /etc, takes a crash
for a success, and pip-installs what an artifact asks for. Nor by the ``multi-model-server`` command: it does
the same as ``command`` below, but puts the working directory on Java's class path, and a process id left
behind by a killed container keeps it from starting.
"""

import http.client
import json
import os
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from serving.settings import MIB, Settings

CONTAINER = Path(__file__).resolve().parents[1]
CLASSES = CONTAINER / "classes"
CONFIGURATION = "config.properties"
HANDLER = "inference:handle"
# Loading torch and a model, on a slow and busy machine.
LOAD_SECONDS = 300
# The server reads lengths as Java's int.
MOST_BYTES = 2**31 - 1


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """The reason in an error's body."""
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace")


def configuration(settings: Settings, folder: Path) -> str:
    """The server's configuration; nothing of it can be changed through the environment.

    Args:
        settings: how to serve.
        folder: where its sockets and empty model folders are.
    """
    body = settings.body_bytes or MOST_BYTES
    values = {
        "inference_address": f"unix:{folder}/mms.sock",
        # Management loads code from anywhere and asks for no password.
        "management_address": f"unix:{folder}/management.sock",
        "model_store": "/",
        "default_service_handler": HANDLER,
        "default_workers_per_model": settings.workers,
        "default_response_timeout_seconds": response_seconds(settings),
        "number_of_gpu": settings.gpus,
        "job_queue_size": settings.in_flight,
        "max_request_size": body,
        "max_response_size": MOST_BYTES,
        "decode_input_request": "false",
        # Nobody reads the system metrics, and each reading starts a Python.
        "metric_time_interval": 10**6,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def response_seconds(settings: Settings) -> int:
    """When the server gives up on a worker: never before the supervisor does, since it only stops waiting.

    The same time-out bounds the loading of the model.
    """
    return settings.request_seconds * settings.batch_size + LOAD_SECONDS


def command(settings: Settings, folder: Path) -> list[str]:
    """The command that runs the server; it needs ``environment`` too.

    Raises:
        FileNotFoundError: there is no Java, or no Multi Model Server.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java" if home else "java")
    if java is None:
        raise FileNotFoundError("no Java found; put it on the PATH or set JAVA_HOME")
    return [
        java,
        f"-Dlog4j.configurationFile={CONTAINER / 'log4j2.xml'}",
        f"-Djava.io.tmpdir={folder}",
        f"-Xmx{settings.heap_bytes // MIB}m",
        f"-XX:MaxDirectMemorySize={settings.heap_bytes // MIB}m",
        "-XX:+ExitOnOutOfMemoryError",
        *settings.vm_arguments,
        "-cp",
        # Ours first: it replaces one of the server's.
        f"{CLASSES}:{_package() / 'frontend' / '*'}",
        "com.amazonaws.ml.mms.ModelServer",
        "--python",
        sys.executable,
    ]


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    """Variables of the server and its workers; its configuration is that of ``configuration`` in ``folder``.

    The server lets the first two override its command line, whoever has set them.
    """
    return {
        "MMS_CONFIG_FILE": str(folder / CONFIGURATION),
        # Where the server looks for the programs that it starts.
        "MODEL_SERVER_HOME": str(CONTAINER / "model_server"),
        "OMP_NUM_THREADS": str(settings.threads),
    }


def _package() -> Path:
    package = find_spec("mms")
    if package is None or package.origin is None:
        raise FileNotFoundError("the package multi-model-server is not installed")
    return Path(package.origin).parent


def can_batch() -> bool:
    """Whether the class is there without which batches fail under load: see container/java."""
    return (CLASSES / "com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.class").is_file()


class Server:
    """The API of a running server, on its unix sockets in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answers(self) -> bool:
        """Whether its network side answers within 2 seconds; says nothing about workers."""
        return self._is_there("mms.sock", "/ping")

    def is_managed(self) -> bool:
        """Whether its management API answers within 2 seconds; at the start it comes last."""
        return self._is_there("management.sock", "/models")

    def _is_there(self, socket_name: str, path: str) -> bool:
        try:
            return self._ask(socket_name, "GET", path, 2).status == http.client.OK
        except OSError:
            return False

    def register(self, name: str, settings: Settings, *, wait: bool) -> Answer:
        """Load a model in ``settings.workers`` workers.

        With ``wait`` it comes back when they are there; if one of them is not to be had, none is. Without
        it comes back at once, and the server tries for as long as it takes.

        Raises:
            OSError: the server does not answer.
        """
        query = urlencode(
            {
                "model_name": name,
                "url": str(self._folder / "models" / name).lstrip("/"),
                "handler": HANDLER,
                "batch_size": settings.batch_size,
                "max_batch_delay": settings.batch_delay_ms,
                "initial_workers": settings.workers,
                "synchronous": str(wait).lower(),
            }
        )
        return self._ask("management.sock", "POST", f"/models?{query}", LOAD_SECONDS)

    def unregister(self, name: str) -> Answer:
        """Unload a model.

        Raises:
            OSError: the server does not answer.
        """
        return self._ask("management.sock", "DELETE", f"/models/{quote(name)}", 120)

    def _ask(self, socket_name: str, method: str, path: str, seconds: float) -> Answer:
        connection = _UnixConnection(str(self._folder / socket_name), seconds)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except http.client.HTTPException as error:
            raise OSError(f"its answer broke off: {error!r}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
