"""The programs of the end-to-end tests: ``train`` of sagemaker-training, and ``serve``."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
Value = TypeVar("Value")


def environment(base: Path, **more: str) -> dict[str, str]:
    """The environment in which SageMaker starts a program."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "JAVA_HOME", "OMP_NUM_THREADS") if name in os.environ
    }
    return inherited | {
        "PYTHONPATH": f"{ROOT / 'code'}:{ROOT}",
        "PYTHONUNBUFFERED": "1",
        "SAGEMAKER_BASE_DIR": str(base),
        **more,
    }


def start_train(
    base: Path,
    *arguments: str,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    variables: Mapping[str, str] = {},
) -> subprocess.Popen[str]:
    """Start the ``train`` program; ``variables`` are added to its environment."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("train"), *arguments],
        env=environment(base, SAGEMAKER_TRAINING_MODULE="train:main", **variables),
        stdout=stdout,
        stderr=stderr,
        text=True,
    )


def run_train(base: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the ``train`` program to its end."""
    process = start_train(base, *arguments)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run_processes(program: str, base: Path) -> None:
    """Run a program in three processes that can join as ranks; none of them may fail."""
    common = environment(base) | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": "3",
        "LOCAL_WORLD_SIZE": "3",
        "GROUP_RANK": "0",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(3)
    ]  # fmt: skip
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0, 0], "\n".join(stderr for stderr, _ in ends)


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a process has started."""
    lines = [path.read_text().split() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
    return [int(child) for line in lines for child in line]


# No port twice: a server that has just started does not listen yet.
_ports = iter(range(20_000 + os.getpid() % 5_000, 32_000))


def free_port() -> int:
    """A free port below 32767, the highest that the model server takes."""
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no free port")


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs and is not a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Server:
    """The serving program on a free port.

    Args:
        base: folder in the layout of /opt/ml.
        log: file for its output.
        more: additional variables of its environment.
    """

    def __init__(self, base: Path, log: Path, **more: str) -> None:
        self.port = free_port()
        self.base = base
        self._log = log
        variables = environment(base, SAGEMAKER_BIND_TO_PORT=str(self.port), **more)
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "container" / "serve"],
                env=variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> list[dict[str, Any]]:
        """The output so far, every line as JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def stop(self) -> int:
        """Send SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def ask(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """POST to /invocations once the server is healthy; returns status, content type and body."""
        self.wait_until_it_is_healthy()
        return self.request("POST", "/invocations", body, headers)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Send one request; returns status, content type and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.getheader("content-type", ""), response.read()

    def wait_until_it_is_healthy(self) -> set[int]:
        """Wait until a ping is answered with 200; returns the statuses of the pings."""
        deadline = time.monotonic() + 120
        statuses = set()
        while True:
            with contextlib.suppress(ConnectionError):
                statuses.add(self.request("GET", "/ping")[0])
                if 200 in statuses:
                    return statuses
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.2)


def wait_until(condition: Callable[[], Value | None]) -> Value:
    """The first true value of the condition."""
    deadline = time.monotonic() + 30
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def printed_lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of the log that this process has printed."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]
