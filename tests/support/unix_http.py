"""HTTP over unix sockets: a server that records its requests, and a client."""

import contextlib
import http.client
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """An answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        server: Any = self.server
        request = Request(self.command, self.path, headers, body)
        server.requests.append(request)
        response = server.answer(request)
        if response is None:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in ({"Content-Length": str(len(response.body))} | dict(response.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that do not wait for the answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def answering(path: Path, answer: Callable[[Request], Response | None]) -> Iterator[list[Request]]:
    """A server on ``path`` while the block runs; yields its requests. ``answer`` returns None to hang up."""
    requests: list[Request] = []
    with _Server(str(path), _Handler) as server:
        server.requests, server.answer = requests, answer  # type: ignore[attr-defined]
        path.chmod(0o666)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield requests
        finally:
            server.shutdown()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Response:
    """Send one request to a server on a unix socket."""
    with contextlib.closing(_Connection(path)) as connection:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return Response(response.status, response.read(), dict(response.getheaders()))
