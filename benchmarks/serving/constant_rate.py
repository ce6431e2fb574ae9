"""Requests at a constant rate, by generator/constant_rate.py, and what became of them."""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.serving.docker import Cores
from benchmarks.serving.servers import Server

OUTPUT = "requests.txt"


class Request(NamedTuple):
    """One request: seconds since 1970, seconds, and the status or the name of an error."""

    due: float
    latency: float
    outcome: str

    @property
    def failed(self) -> bool:
        """Whether there was no answer of status 2xx."""
        return not self.outcome.startswith("2")

    @property
    def ended(self) -> float:
        """When its answer was there, or its failure."""
        return self.due + self.latency


@contextlib.contextmanager
def sender(
    server: Server, generator: str, folder: Path, cores: Cores, rate: float, seconds: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Send while the block runs, and no longer.

    Args:
        server: whom to ask.
        generator: the image with the program.
        folder: holds ``bodies.jsonl``, and gets the file that ``read`` reads.
        cores: where the generator runs.
        rate: requests a second.
        seconds: how long.
    """
    command = [
        *("docker", "run", "--rm", "--network", f"container:{server.id}", "--cpuset-cpus", cores.generator),
        *("--volume", f"{folder}:/load", generator, "python", "/opt/generator/constant_rate.py"),
        *(server.url, "/load/bodies.jsonl", str(rate), str(seconds), f"/load/{OUTPUT}"),
    ]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.terminate()


def read(folder: Path) -> list[Request]:
    """The requests that were sent."""
    return parse((folder / OUTPUT).read_text("utf-8").splitlines())


def parse(lines: Sequence[str]) -> list[Request]:
    """Requests from what constant_rate.py wrote, in the order in which they were due."""
    fields = [line.split() for line in lines]
    return sorted(Request(float(due), float(latency), outcome) for due, latency, outcome in fields)
