"""A training job on two hosts: this machine, by two addresses."""

import fcntl
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.programs import start_train

HOSTS = ["127.0.0.1", "127.0.0.2"]
LOCK = Path(tempfile.gettempdir()) / "train-ports.lock"


def configure_host(base: Path, name: str) -> None:
    """Make a folder in the layout of /opt/ml that of one of the hosts."""
    resources = {"current_host": name, "hosts": HOSTS, "network_interface_name": "lo"}
    (base / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))


class TwoHostJob:
    """The ``train`` program of each host; one job at a time, because the ports of a job are fixed."""

    def __init__(self, bases: list[Path], variables: Mapping[str, str] = {}) -> None:
        self.bases = bases
        self.processes: list[subprocess.Popen[str]] = []
        self._variables = variables
        self._lock = LOCK.open("w")

    def __enter__(self) -> Self:
        """Start the programs."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.processes = [_start(base, self._variables) for base in self.bases]
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the programs that are still running."""
        for process in self.processes:
            process.kill()
            process.wait()
        self._lock.close()

    def wait_for(self, line: str) -> None:
        """Wait until the first host's log contains a text."""
        deadline = time.monotonic() + 120
        while line not in self.log(0):
            assert time.monotonic() < deadline, self.log(0)
            assert self.processes[0].poll() is None, self.log(0)
            time.sleep(0.1)

    def log(self, host: int) -> str:
        """The output of a host so far."""
        return (self.bases[host] / "log").read_text()

    def wait(self, seconds: float = 120) -> list[int]:
        """Wait for both programs; returns their exit codes."""
        deadline = time.monotonic() + seconds
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in self.processes]

    def failure(self, host: int) -> str:
        """A host's failure file; empty without the file."""
        path = self.bases[host] / "output" / "failure"
        return path.read_text() if path.exists() else ""


def _start(base: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    with (base / "log").open("w") as log:
        return start_train(base, stdout=log, stderr=subprocess.STDOUT, variables=variables)
