"""The real programs, as tests/whole_path runs them: ``train`` of sagemaker-training, and our ``serve``."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment(base: Path, **more: str) -> dict[str, str]:
    """The environment in which SageMaker starts a program."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "JAVA_HOME", "OMP_NUM_THREADS") if name in os.environ
    }
    return inherited | {
        "PYTHONPATH": str(ROOT / "code"),
        "PYTHONUNBUFFERED": "1",
        "SAGEMAKER_BASE_DIR": str(base),
        **more,
    }


def start_train(base: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the ``train`` program."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("train"), *arguments],
        env=environment(base, SAGEMAKER_TRAINING_MODULE="train:main"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_train(base: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the ``train`` program to its end."""
    process = start_train(base, *arguments)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def free_port() -> int:
    """A free port below 32767, the highest that the model server takes."""
    for port in range(20_000 + os.getpid() % 5_000, 32_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no free port")


class Server:
    """The serving program over one folder; ``log`` is what it printed so far."""

    def __init__(self, base: Path, log: Path, **more: str) -> None:
        self.port = free_port()
        self._log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "container" / "serve"],
                env=environment(base, SAGEMAKER_BIND_TO_PORT=str(self.port), **more),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return self._log.read_text()

    def stop(self) -> int:
        """Send SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def ask(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """POST to /invocations once the server listens; status, content type and body of the answer."""
        self._wait_until_it_listens()
        return self.request("POST", "/invocations", body, headers)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """One request; status, content type and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.getheader("content-type", ""), response.read()

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.2)
