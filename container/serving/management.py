"""The server that nginx asks for /ping, /metrics and, on a multi-model endpoint, /models.

Routes and status codes: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

import contextlib
import http
import json
import socketserver
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from serving.logs import Log
from serving.metrics import CONTENT_TYPE, Metrics
from serving.model_registry import Model, ModelError, ModelRegistry, warn_of_user_code

# The supervisor asks the model server for an answer every second.
SERVER_TIMEOUT_SECONDS = 10


class Health:
    """Whether a request would be answered: read from the workers' status files, so a ping never queues.

    Args:
        request_seconds: time that a worker may take for one request.
        multi_model: a multi-model endpoint is healthy without a model.

    Attributes:
        is_starting: no ping has been answered with 200 yet.
    """

    def __init__(self, models: ModelRegistry, request_seconds: float, *, multi_model: bool) -> None:
        self._models = models
        self._request_seconds = request_seconds
        self._multi_model = multi_model
        self._answered = float("-inf")
        self.is_starting = True

    def server_answered(self) -> None:
        """Record an answer of the model server."""
        self._answered = time.monotonic()

    def unhealthy_reason(self) -> str | None:
        """Why a request would not be answered; None if it would be."""
        if time.monotonic() - self._answered > SERVER_TIMEOUT_SECONDS:
            return "the model server does not answer"
        if self._multi_model:
            return None
        workers = self._models.workers("model")
        if not workers:
            return "no worker has loaded the model"
        if all(worker.busy_seconds > self._request_seconds for worker in workers):
            return f"every worker has been busy with one request for more than {self._request_seconds} s"
        return None


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    health: Health
    models: ModelRegistry
    metrics: Metrics
    log: Log

    def handle_error(self, *_request: Any) -> None:
        """Log a fault, unless nginx has only stopped waiting for the answer."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.log.write("error", "".join(traceback.format_exception(error)), "control")


@contextlib.contextmanager
def management_server(
    path: Path, health: Health, models: ModelRegistry, metrics: Metrics, log: Log
) -> Iterator[None]:
    """Answer on the unix socket ``path`` while the block runs."""
    with _Server(str(path), _Handler) as server:
        server.health, server.models, server.metrics, server.log = health, models, metrics, log
        # nginx does not run as root.
        path.chmod(0o666)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """Requests of which nginx has checked method, path and length."""

    server: _Server
    # A silent client does not keep its thread.
    timeout = 10

    def do_GET(self) -> None:
        """Health, metrics, the list of models, or one model."""
        path = urlsplit(self.path).path
        if path == "/ping":
            reason = self.server.health.unhealthy_reason()
            if reason:
                headers = {"X-Starting": "1"} if self.server.health.is_starting else {}
                self._answer(http.HTTPStatus.SERVICE_UNAVAILABLE, {"error": reason}, headers)
            else:
                self.server.health.is_starting = False
                self._answer(http.HTTPStatus.OK, {})
        elif path == "/metrics":
            in_flight = int(self.headers.get("X-In-Flight") or 1) - 1
            self._send(
                http.HTTPStatus.OK, self.server.metrics.render(in_flight), {"Content-Type": CONTENT_TYPE}
            )
        elif path == "/models":
            models = self.server.models.all()
            self._answer(http.HTTPStatus.OK, {"models": [_describe(model) for model in models]})
        else:
            self._run(lambda: _describe(self.server.models.get(self._name())))

    def do_POST(self) -> None:
        """Load a model."""
        self._run(self._load)

    def do_DELETE(self) -> None:
        """Unload a model."""
        self._run(self._unload)

    def _load(self) -> dict[str, Any]:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            request = json.loads(body)
            name, url = request["model_name"], request["url"]
            if not isinstance(name, str) or not isinstance(url, str) or "\0" in url:
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelError(400, 'expected JSON: {"model_name": NAME, "url": FOLDER}') from error
        self.server.models.load_url(name, url)
        warn_of_user_code(self.server.log, Path(url))
        return {"status": f"model {name} is loaded"}

    def _unload(self) -> dict[str, Any]:
        self.server.models.unload(self._name())
        return {"status": f"model {self._name()} is unloaded"}

    def _name(self) -> str:
        return unquote(urlsplit(self.path).path.removeprefix("/models/"))

    def _run(self, action: Callable[[], dict[str, Any]]) -> None:
        try:
            self._answer(http.HTTPStatus.OK, action())
        except ModelError as error:
            self._answer(error.status, {"error": str(error)})
        except OSError as error:
            self._answer(http.HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"the model server: {error}"})

    def _answer(self, status: int, content: dict[str, Any], headers: Mapping[str, str] = {}) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing: nginx writes the request log."""


def _describe(model: Model) -> dict[str, str]:
    return {"modelName": model.name, "modelUrl": str(model.artifact)}
