"""The servers that are compared, each in a container of its own, over the same model."""

import contextlib
import http.client
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.serving.docker import Cores, docker, parse_memory

PORT = 8080
START_SECONDS = 120
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Kind:
    """A kind of server.

    Attributes:
        name: the folder with its Dockerfile, unless it is one of ours: the image itself.
        route: where it predicts.
        workers_variable: the variable that says how many processes have the model.
        variables: further ones.
        command: the container's.
    """

    name: str
    route: str = "/invocations"
    workers_variable: str = "SAGEMAKER_MODEL_SERVER_WORKERS"
    variables: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def options(self, cores: Cores, workers: int) -> list[str]:
        """Docker's, for these cores, and so many workers of one thread each."""
        variables = (f"{self.workers_variable}={workers}", "OMP_NUM_THREADS=1", *self.variables)
        return ["--cpuset-cpus", cores.server, *(part for one in variables for part in ("--env", one))]


OURS = Kind("ours", command=("serve",))
OURS_BF16 = Kind("ours_bf16", variables=("SERVE_PRECISION=auto",), command=("serve",))
OTHERS = (
    Kind("toolkit"),
    Kind("torchserve", "/predictions/model", "TS_DEFAULT_WORKERS_PER_MODEL"),
    Kind("fastapi", workers_variable="WEB_CONCURRENCY"),
)


class Server:
    """A running server that answers, removed at the end of its ``with`` block.

    Args:
        kind: which.
        image: that of this kind.
        model: the model directory.
        options: further ones for ``docker run``.
    """

    def __init__(self, kind: Kind, image: str, model: Path, options: Sequence[str] = ()) -> None:
        self.kind = kind
        self.url = f"http://127.0.0.1:{PORT}{kind.route}"
        self.id = docker(
            *("run", "--detach", "--publish", f"127.0.0.1::{PORT}", "--volume", f"{model}:/opt/ml/model:ro"),
            *(*options, image, *kind.command),
        )
        self._memory = [0]

    def __enter__(self) -> Self:
        command = ["docker", "stats", "--format", "{{.MemUsage}}", self.id]
        self._stats = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read_memory, daemon=True).start()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._stats:
            self._stats.terminate()
        docker("rm", "--force", "--volumes", self.id)

    def ask(self, body: bytes) -> int:
        """Send a JSON body from this machine; returns the answer's status.

        Raises:
            OSError, http.client.HTTPException: there is no answer.
        """
        host, _, port = docker("port", self.id, f"{PORT}/tcp").splitlines()[0].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", self.kind.route, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            return response.status

    def memory_bytes(self) -> int:
        """What is in use, as ``docker stats`` counts it: without the cache of files that nobody uses."""
        return self._memory[-1]

    def peak_bytes(self) -> int:
        """The most that was in use; it is looked at every second."""
        return max(self._memory)

    def cpu_seconds(self) -> float:
        """What the container has used of its cores so far."""
        script = "cat /sys/fs/cgroup/cpu.stat 2>/dev/null || cat /sys/fs/cgroup/cpuacct/cpuacct.usage"
        words = docker("exec", self.id, "sh", "-c", script).split()
        # Version 2 of cgroups: "usage_usec 123 ..."; version 1: nanoseconds.
        return int(words[1]) / 1e6 if words[0] == "usage_usec" else int(words[0]) / 1e9

    def _read_memory(self) -> None:
        assert self._stats.stdout is not None
        for line in self._stats.stdout:
            # It says "--" of a container that ends.
            with contextlib.suppress(ValueError):
                self._memory.append(parse_memory(line))

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > end or not self._runs():
                log = docker("logs", "--tail", "20", self.id)
                raise SystemExit(f"error: the server {self.kind.name} does not answer; its log ends:\n{log}")
            time.sleep(0.2)

    def _runs(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.id) == "true"

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException, SystemExit):
            return self.ask(b'{"inputs": "good"}') == http.HTTPStatus.OK
        return False
