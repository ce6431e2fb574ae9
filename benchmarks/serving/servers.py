"""The compared servers: each in its own container, with the same model."""

import contextlib
import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.serving.docker import Cores, docker, parse_memory

PORT = 8080
START_SECONDS = 120
ANSWER_SECONDS = 300


@dataclass(frozen=True)
class ServerSpec:
    """One of the compared servers.

    Attributes:
        name: in the results.
        folder: with its Dockerfile; empty for this project's image.
        route: path of predictions.
        workers_variable: environment variable with the number of worker processes.
        variables: additional environment variables.
        command: the container's command.
    """

    name: str
    folder: str = ""
    route: str = "/invocations"
    workers_variable: str = "SAGEMAKER_MODEL_SERVER_WORKERS"
    variables: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def options(self, cores: Cores, workers: int) -> list[str]:
        """Options of ``docker run`` for these cores and this number of single-threaded workers."""
        variables = (f"{self.workers_variable}={workers}", "OMP_NUM_THREADS=1", *self.variables)
        return ["--cpuset-cpus", cores.server, *(f"--env={variable}" for variable in variables)]


OURS = ServerSpec("ours", command=("serve",))
OURS_BF16 = ServerSpec("ours_bf16", variables=("SERVE_PRECISION=auto",), command=("serve",))
ALTERNATIVES = (
    ServerSpec("toolkit", "toolkit"),
    ServerSpec("torchserve", "torchserve", "/predictions/model", "TS_DEFAULT_WORKERS_PER_MODEL"),
    ServerSpec("fastapi", "fastapi", workers_variable="WEB_CONCURRENCY"),
    ServerSpec("uvicorn", "fastapi", workers_variable="WEB_CONCURRENCY", command=("batching:app",)),
)


class Server:
    """A container that answers inside its ``with`` block.

    Args:
        image: of this server.
        model: folder of the model.
        options: additional options of ``docker run``.
    """

    def __init__(self, spec: ServerSpec, image: str, model: Path, options: Sequence[str] = ()) -> None:
        self.spec = spec
        self.url = f"http://127.0.0.1:{PORT}{spec.route}"
        self.id = docker(
            *("run", "--detach", "--publish", f"127.0.0.1::{PORT}", "--volume", f"{model}:/opt/ml/model:ro"),
            *(*options, image, *spec.command),
        )

    def __enter__(self) -> Self:
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        docker("rm", "--force", "--volumes", self.id)

    def post(self, body: bytes) -> int:
        """Request a prediction from this machine, and return the status.

        Raises:
            OSError, http.client.HTTPException: there was no response.
        """
        host, _, port = docker("port", self.id, f"{PORT}/tcp").splitlines()[0].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", self.spec.route, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            return response.status

    def memory_bytes(self) -> int:
        """Memory in use, as ``docker stats`` counts it: without the inactive page cache."""
        return parse_memory(docker("stats", "--no-stream", "--format", "{{.MemUsage}}", self.id))

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self._is_ready():
            is_running = docker("inspect", "--format", "{{.State.Running}}", self.id) == "true"
            if time.monotonic() > end or not is_running:
                log = docker("logs", "--tail", "20", self.id)
                raise SystemExit(f"error: the server {self.spec.name} does not answer; its log ends:\n{log}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException, SystemExit):
            return self.post(b'{"inputs": "good"}') == http.HTTPStatus.OK
        return False
