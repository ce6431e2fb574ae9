"""A training job on two hosts: this machine, by two addresses."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.programs import start_train

HOSTS = ["127.0.0.1", "127.0.0.2"]


def configure_host(base: Path, name: str) -> None:
    """Make a folder in the layout of /opt/ml that of one of the hosts."""
    resources = {"current_host": name, "hosts": HOSTS, "network_interface_name": "lo"}
    (base / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))


class TwoHostJob:
    """The ``train`` program of each host; a context manager that kills them."""

    def __init__(self, bases: list[Path], variables: Mapping[str, str] = {}) -> None:
        self.bases = bases
        self.processes = [_start(base, variables) for base in bases]

    def __enter__(self) -> Self:
        """Nothing to do: the programs are running."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the programs that are still running."""
        for process in self.processes:
            process.kill()
            process.wait()

    def wait_for(self, line: str) -> None:
        """Wait until the first host's log contains a text."""
        deadline = time.monotonic() + 120
        while line not in self.log(0):
            assert time.monotonic() < deadline, self.log(0)
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
