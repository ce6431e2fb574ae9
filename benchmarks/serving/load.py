"""Load generators, in a container next to the server: wrk, and requests at a constant rate."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.serving.docker import Cores, build, docker
from benchmarks.serving.servers import Server

TIMEOUT_SECONDS = 60
OUTPUT = "requests.txt"


@dataclass(frozen=True)
class Measurement:
    """Results of wrk.

    Attributes:
        requests_per_second: responses with status 2xx.
        p50_ms, p95_ms, p99_ms: latencies of all responses.
        errors: number of responses with another status, and of "socket" and "timeout".
    """

    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: dict[str, int]


class Request(NamedTuple):
    """A request: due time (seconds since 1970), latency (seconds), and the status or the name of an error."""

    due: float
    latency: float
    outcome: str

    @property
    def failed(self) -> bool:
        """Whether there was no response with status 2xx."""
        return not self.outcome.startswith("2")

    @property
    def ended(self) -> float:
        """Time of the response or of the failure."""
        return self.due + self.latency


class Generator:
    """Sends the bodies of ``bodies.jsonl`` in ``folder``; built on top of ``image``."""

    def __init__(self, image: str, folder: Path, cores: Cores) -> None:
        self._image = build("generator", image)
        self._folder = folder
        self._cores = cores.generator

    def _command(self, server: Server) -> list[str]:
        options = ["--network", f"container:{server.id}", "--cpuset-cpus", self._cores]
        return ["run", "--rm", *options, "--volume", f"{self._folder}:/load", self._image]

    def measure(self, server: Server, concurrency: int, seconds: int) -> Measurement:
        """Keep ``concurrency`` requests in flight, one per connection."""
        threads = min(concurrency, len(self._cores.split(",")))
        output = docker(
            *(*self._command(server), "wrk", f"--threads={threads}", f"--connections={concurrency}"),
            *(f"--duration={seconds}s", f"--timeout={TIMEOUT_SECONDS}s", "--script=/opt/generator/wrk.lua"),
            *(server.url, "--", "/load/bodies.jsonl"),
        )
        return parse_wrk(output)

    @contextlib.contextmanager
    def send(self, server: Server, rate: float, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
        """Send ``rate`` requests per second, at most as long as the block runs."""
        program = ["python", "/opt/generator/constant_rate.py", server.url, "/load/bodies.jsonl"]
        command = ["docker", *self._command(server), *program, str(rate), str(seconds), f"/load/{OUTPUT}"]
        with subprocess.Popen(command) as process:
            try:
                yield process
            finally:
                process.terminate()

    def sent(self) -> list[Request]:
        """The requests of ``send``."""
        return parse_requests((self._folder / OUTPUT).read_text("utf-8").splitlines())


def parse_requests(lines: Sequence[str]) -> list[Request]:
    """Requests from the output of constant_rate.py, by due time."""
    fields = [line.split() for line in lines]
    return sorted(Request(float(due), float(latency), outcome) for due, latency, outcome in fields)


def parse_wrk(output: str) -> Measurement:
    """A measurement from the output of wrk and wrk.lua.

    Raises:
        SystemExit: wrk.lua printed nothing.
    """
    line = next((line for line in output.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"error: wrk gave no result; its output:\n{output}")
    result = json.loads(line)
    statuses: dict[str, int] = result["statuses"]
    answers = sum(count for status, count in statuses.items() if status.startswith("2"))
    errors = {status: count for status, count in statuses.items() if not status.startswith("2")}
    errors |= {"socket": result["socket_errors"], "timeout": result["timeouts"]}
    return Measurement(
        requests_per_second=round(answers / result["seconds"], 1),
        **{name: round(result[name.removesuffix("_ms")], 2) for name in ("p50_ms", "p95_ms", "p99_ms")},
        errors={name: count for name, count in errors.items() if count},
    )
