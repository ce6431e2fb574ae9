"""What nginx asks about beside predictions: health, and the models of a multi-model endpoint.

https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html gives the routes and status codes.
"""

import contextlib
import http
import json
import socketserver
import sys
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from serving.health import Health
from serving.logs import Log
from serving.models import Model, ModelError, Models


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    health: Health
    models: Models
    log: Log

    def handle_error(self, *_request: Any) -> None:
        """That nginx no longer waits for an answer is no error."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.log.write("error", "".join(traceback.format_exception(error)), "control")


@contextlib.contextmanager
def listening(path: Path, health: Health, models: Models, log: Log) -> Iterator[None]:
    """Answer on a unix socket while the block runs."""
    with _Server(str(path), _Handler) as server:
        server.health, server.models, server.log = health, models, log
        # nginx does not run as root.
        path.chmod(0o666)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """nginx has checked the method, the path and the length of the body."""

    server: _Server
    # A peer that says nothing does not keep its thread.
    timeout = 10

    def do_GET(self) -> None:
        """Health, a list of models, or one of them."""
        path = urlsplit(self.path).path
        if path == "/ping":
            reason = self.server.health.reason_against()
            if reason:
                self._answer(http.HTTPStatus.SERVICE_UNAVAILABLE, {"error": reason})
            else:
                self._answer(http.HTTPStatus.OK, {})
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
        self.server.models.load_from(name, url)
        return {"status": f"model {name} is loaded"}

    def _unload(self) -> dict[str, Any]:
        self.server.models.unload(self._name())
        return {"status": f"model {self._name()} is unloaded"}

    def _name(self) -> str:
        return unquote(urlsplit(self.path).path.removeprefix("/models/"))

    def _run(self, action: Any) -> None:
        try:
            self._answer(http.HTTPStatus.OK, action())
        except ModelError as error:
            self._answer(error.status, {"error": str(error)})
        except OSError as error:
            self._answer(http.HTTPStatus.SERVICE_UNAVAILABLE, {"error": f"the model server: {error}"})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """A peer on a unix socket has no address."""
        return "nginx"

    def log_message(self, *_arguments: Any) -> None:
        """The request log is written by nginx."""


def _describe(model: Model) -> dict[str, str]:
    return {"modelName": model.name, "modelUrl": str(model.artifact)}
