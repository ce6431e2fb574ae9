"""Multi Model Server: its configuration, the command that starts it, and its management API.

Neither of the two usual commands starts it. sagemaker-inference's ``start_model_server`` writes to /etc,
treats a crash as a success, and installs the packages that an artifact requires. ``multi-model-server`` puts
the working directory on the class path, and refuses to start if a killed container has left its process id.
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

from serving.footprint import MIB
from serving.settings import MAX_BYTES, Settings

CONTAINER = Path(__file__).resolve().parents[1]
CLASSES = CONTAINER / "mms" / "classes"
CONFIGURATION = "config.properties"
HANDLER = "inference:handle"
# To import the libraries and load a model, on a slow and busy machine.
LOAD_SECONDS = 300


class Answer(NamedTuple):
    """An answer of the server."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """The reason in the body of an error."""
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError, TypeError):
            return self.body.decode("utf-8", "replace")


def configuration(settings: Settings, folder: Path) -> str:
    """Content of the server's configuration file; no variable of the environment can change it.

    ``folder`` holds the server's sockets and the models' empty folders.
    """
    values = {
        "inference_address": f"unix:{folder}/mms.sock",
        # The management API loads code from any address and has no password.
        "management_address": f"unix:{folder}/management.sock",
        "model_store": "/",
        "default_service_handler": HANDLER,
        "default_workers_per_model": settings.workers,
        "default_response_timeout_seconds": response_seconds(settings),
        "number_of_gpu": settings.gpus,
        "job_queue_size": settings.in_flight,
        "max_request_size": settings.body_bytes or MAX_BYTES,
        "max_response_size": MAX_BYTES,
        "decode_input_request": "false",
        # Each collection of system metrics starts a Python, and nothing uses them.
        "metric_time_interval": 10**6,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def response_seconds(settings: Settings) -> int:
    """Time-out of the server for a worker, also while the worker loads the model.

    It is later than the supervisor's: the server only stops waiting, the supervisor kills the worker.
    """
    return settings.request_seconds * settings.batch_size + LOAD_SECONDS


def command(settings: Settings, folder: Path) -> list[str]:
    """The command that runs the server with the variables of ``environment``.

    Raises:
        FileNotFoundError: Java or Multi Model Server is not installed.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java" if home else "java")
    if java is None:
        raise FileNotFoundError("no Java found; put it on the PATH or set JAVA_HOME")
    return [
        java,
        f"-Dlog4j.configurationFile={CONTAINER / 'mms' / 'log4j2.xml'}",
        f"-Djava.io.tmpdir={folder}",
        f"-Xmx{settings.heap_bytes // MIB}m",
        f"-XX:MaxDirectMemorySize={settings.heap_bytes // MIB}m",
        "-XX:+ExitOnOutOfMemoryError",
        *settings.vm_arguments,
        "-cp",
        # First the class that replaces one of the server's: see mms/README.md.
        f"{CLASSES}:{_package() / 'frontend' / '*'}",
        "com.amazonaws.ml.mms.ModelServer",
        "--python",
        sys.executable,
    ]


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    """Variables of the server and its workers.

    The first two take precedence over the server's command line, so they must not come from outside.
    """
    # How long idle threads spin: several workers share the CPUs (docs/benchmarks.md).
    is_set = not os.environ.keys().isdisjoint({"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"})
    return {
        **({} if is_set else {"GOMP_SPINCOUNT": "1000"}),
        "MMS_CONFIG_FILE": str(folder / CONFIGURATION),
        # The server starts mms/model_service_worker.py and mms/metrics/metric_collector.py in this folder.
        "MODEL_SERVER_HOME": str(CONTAINER),
        "OMP_NUM_THREADS": str(settings.threads),
        "SERVE_MAX_TEXTS": str(settings.max_texts),
    }


def _package() -> Path:
    package = find_spec("mms")
    if package is None or package.origin is None:
        raise FileNotFoundError("the package multi-model-server is not installed")
    return Path(package.origin).parent


def can_batch() -> bool:
    """Whether the decoder is compiled without which batches fail under load."""
    return (CLASSES / "com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.class").is_file()


class ModelServer:
    """Client of a running server, through its unix sockets in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def inference_is_up(self) -> bool:
        """Whether the inference API answers within 2 seconds, with or without workers."""
        return self._is_up("mms.sock", "/ping")

    def management_is_up(self) -> bool:
        """Whether the management API, the last to start, answers within 2 seconds."""
        return self._is_up("management.sock", "/models")

    def _is_up(self, socket_name: str, path: str) -> bool:
        try:
            return self._request(socket_name, "GET", path, 2).status == http.client.OK
        except OSError:
            return False

    def register(self, name: str, settings: Settings, workers: int, *, wait: bool) -> Answer:
        """Load a model in ``workers`` workers.

        With ``wait`` it returns once all of them have loaded the model, or unloads it if one cannot. Without,
        it returns at once, and the server starts workers until they succeed.

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
                "initial_workers": workers,
                "synchronous": str(wait).lower(),
            }
        )
        return self._request("management.sock", "POST", f"/models?{query}", LOAD_SECONDS)

    def scale(self, name: str, workers: int) -> Answer:
        """Start workers until there are ``workers``; returns at once.

        Raises:
            OSError: the server does not answer.
        """
        query = urlencode({"min_worker": workers, "max_worker": workers})
        return self._request("management.sock", "PUT", f"/models/{quote(name)}?{query}", LOAD_SECONDS)

    def unregister(self, name: str) -> Answer:
        """Unload a model.

        Raises:
            OSError: the server does not answer.
        """
        return self._request("management.sock", "DELETE", f"/models/{quote(name)}", 120)

    def _request(self, socket_name: str, method: str, path: str, seconds: float) -> Answer:
        connection = _UnixConnection(str(self._folder / socket_name), seconds)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except http.client.HTTPException as error:
            raise OSError(f"incomplete answer: {error!r}") from error
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
