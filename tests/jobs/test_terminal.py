"""Ctrl-C in a real terminal; moto simulates AWS over HTTP."""

import os
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.sagemaker.models import FakeTrainingJob, sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

from jobs import ROOT
from tests.jobs.conftest import ACCOUNT, REGION, ROLE

IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/sentiment@sha256:{0:064}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a simulated AWS where training jobs run until they are stopped."""
    original = FakeTrainingJob.__init__

    def start(self: FakeTrainingJob, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.training_job_status = self.secondary_status = "InProgress"

    def stop(self: SageMakerResponse) -> str:
        job = self.sagemaker_backend.training_jobs[self._get_param("TrainingJobName")]
        job.training_job_status = job.secondary_status = "Stopped"
        return "{}"

    monkeypatch.setattr(FakeTrainingJob, "__init__", start)
    monkeypatch.setattr(SageMakerResponse, "stop_training_job", stop, raising=False)
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with mock_aws():  # resets the account
        pass
    yield f"http://{host}:{port}"
    running.stop()


class Terminal:
    """A program in a new terminal; ``screen`` has its output."""

    def __init__(self, *command: str, **environment: str) -> None:
        self._keyboard, inside = os.openpty()
        termios.tcsetwinsize(inside, (24, 100))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=inside, stdout=inside, stderr=inside, cwd=ROOT, env=os.environ | environment,
        )  # fmt: skip
        os.close(inside)
        self.screen = ""

    def wait_for(self, pattern: str, *, pressing: str = "") -> None:
        """Wait for output that matches a pattern; press keys now and after 5 seconds without output."""
        deadline = time.monotonic() + 60
        self.type(pressing)
        while not re.search(pattern, self.screen):
            assert time.monotonic() < deadline, self.screen
            if select.select([self._keyboard], [], [], 5)[0]:
                self.screen += os.read(self._keyboard, 4096).decode()
            else:
                self.type(pressing)

    def close(self) -> None:
        """Kill the program."""
        self.process.kill()
        self.process.wait()
        os.close(self._keyboard)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._keyboard, keys.encode())


@pytest.fixture
def terminal(server: str, reviews: Path) -> Iterator[Terminal]:
    """A terminal in which ``train`` watches a job."""
    environment = {
        "AWS_ENDPOINT_URL": server, "AWS_REGION": REGION, "AWS_CONFIG_FILE": "/nowhere",
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip
    command = [sys.executable, "-m", "jobs"]
    subprocess.run([*command, "upload", reviews], cwd=ROOT, env=os.environ | environment, check=True)
    options = ["--name", "sentiment-1", "--image", IMAGE, "--role", ROLE, "--no-fallback"]
    running = Terminal(*command, "train", *options, **environment)
    try:
        running.wait_for(r"InProgress.*00:0[1-9]")
        yield running
    finally:
        running.close()


def status() -> str:
    """Status of the training job; the server runs in this process."""
    backend: Any = sagemaker_backends[ACCOUNT][REGION]
    return str(backend.training_jobs["sentiment-1"].training_job_status)


def test_ctrl_c_in_terminal_stops_job(terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.wait_for(r"Stop it or leave it \(stop, leave\)")
    assert status() == "InProgress"
    terminal.type("stop\n")
    terminal.wait_for("stop requested")
    assert terminal.process.wait(30) == 130
    assert status() == "Stopped"
    assert "Traceback" not in terminal.screen


def test_second_ctrl_c_leaves_job_running(terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.wait_for(r"Stop it or leave it \(stop, leave\)")
    # Python handles a signal that arrives between prompt and read only at the next key: press again.
    terminal.wait_for(
        "left running; training job sentiment-1 is still running and incurs charges", pressing="\x03"
    )
    assert terminal.process.wait(30) == 130
    assert status() == "InProgress"
