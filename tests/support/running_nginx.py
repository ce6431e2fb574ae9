"""The real nginx with the rendered configuration, before a fake model server and management server."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from serving import nginx
from serving.settings import Settings
from tests.support.programs import free_port
from tests.support.unix_http import Request, Response, answering


class RunningNginx:
    """nginx, started in ``folder``.

    Attributes:
        port: where it listens.
        folder: the configuration and the sockets of the upstreams.
        model: the fake model server: answers a request; None hangs up.
        management: the fake management server.
        asked: requests to the model server; the body is the file's, if nginx keeps it in one.
        log: lines that nginx has printed.
    """

    def __init__(self, program: str, folder: Path, environment: Mapping[str, str]) -> None:
        settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(free_port()), **environment})
        self.port = settings.port
        self.folder = folder
        self.model: Callable[[Request], Response | None] = lambda _request: Response()
        self.management: Callable[[Request], Response | None] = lambda _request: Response()
        self.asked: list[Request] = []
        self.log: list[str] = []
        (folder / "nginx.conf").write_text(nginx.configuration(settings, folder))
        # The registry's files: these models are loaded.
        (folder / "routes").mkdir()
        for name in ("model", "a", "b", "a.b-C_1"):
            (folder / "routes" / name).touch()
        self.process = subprocess.Popen(
            nginx.command(program, folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._wait_until(lambda: self.connects() or self.process.poll() is not None)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.log.append(line)

    def connects(self) -> bool:
        """Whether nginx listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def connect(self) -> http.client.HTTPConnection:
        """A new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one request on a new connection; the answer's header names are in lower case."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {}, encode_chunked=True)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, response.read(), fields)

    def send(self, request: bytes) -> bytes:
        """Send bytes; returns all data until nginx closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                return stream.read()

    def lines(self, count: int) -> list[dict[str, Any]]:
        """All log lines so far, once there are at least ``count``."""
        self._wait_until(lambda: len(self.log) >= count)
        return [json.loads(line) for line in self.log]

    def quit(self) -> int:
        """Stop nginx after the requests in flight; returns its exit code."""
        self.process.send_signal(signal.SIGQUIT)
        return self.process.wait(30)

    def end(self) -> None:
        """Stop nginx at once."""
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(30)


@contextlib.contextmanager
def running_nginx(program: str, **environment: str) -> Iterator[RunningNginx]:
    """Nginx with settings from these variables, and its upstreams, while the block runs."""
    # nginx' user must have access, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="nginx-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        running = RunningNginx(program, folder, environment)

        def answer(request: Request) -> Response | None:
            file = request.headers.get("x-body-file")
            if file:
                assert request.body == b""
                request = request._replace(body=Path(file).read_bytes())
            running.asked.append(request)
            return running.model(request)

        def manage(request: Request) -> Response | None:
            return running.management(request)

        try:
            with answering(folder / "mms.sock", answer), answering(folder / "control.sock", manage):
                yield running
        finally:
            running.end()
