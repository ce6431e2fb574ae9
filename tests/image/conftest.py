"""Fixtures for the tests of the image: the image, reviews, a model trained in the image."""

import contextlib
import csv
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PLAIN, skip_or_fail
from tests.image.containers import Container, engine_answers, remove_composed

ROOT = Path(__file__).resolve().parents[2]
QUICK = PLAIN | {"epochs": "2", "hidden_dim": "16", "embedding_dim": "16"}

VENVS = Path(os.environ.get("ENGINE_DIR", ROOT / ".cache" / "engine")) / "venvs"

# The SDK's telemetry would try to reach AWS.
CONFIG = "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n"

Review = tuple[str, str]


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Wait until no other pytest process is in a block of this name."""
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def image() -> str:
    """Name of the image: ``IMAGE``, or a new build.

    ``BASE_IMAGE`` and ``TORCH_INDEX_URL`` are those of build_and_push.sh.
    """
    if not engine_answers():
        skip_or_fail("no Docker Engine answers (tests/image/engine.sh starts one): the image was not tested")
    if name := os.environ.get("IMAGE"):
        return name
    command = [str(ROOT / "build_and_push.sh"), "--no-push", "--cpu", "sagemaker-sentiment-lstm", "test"]
    with one_at_a_time("image"):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def all_reviews(tmp_path_factory: pytest.TempPathFactory) -> list[Review]:
    """25,000 real reviews as (text, label)."""
    path = tmp_path_factory.mktemp("reviews") / "all.csv"
    program = ROOT / "local_test" / "fetch_reviews.py"
    with one_at_a_time("reviews"):
        subprocess.run([sys.executable, program, ROOT / ".cache" / "reviews", path], check=True)
    with path.open(newline="", encoding="utf-8") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="session")
def reviews(all_reviews: list[Review]) -> list[Review]:
    """300 reviews, half of them positive."""
    return [review for label in "10" for review in [r for r in all_reviews if r[1] == label][:150]]


def make_venv(name: str) -> Path:
    """Create a virtual environment for tools that conflict with this project's; returns its bin folder.

    It is recreated when ``requirements/NAME.txt`` changes.
    """
    lock = ROOT / "tests" / "image" / "requirements" / f"{name}.txt"
    folder = VENVS / name
    stamp = folder / "lock.txt"
    with one_at_a_time(name):
        if not (stamp.exists() and stamp.read_bytes() == lock.read_bytes()):
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
            subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)
            stamp.write_bytes(lock.read_bytes())
    return folder / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def sdk_environment(folder: Path) -> dict[str, str]:
    """The environment of a user with invalid credentials."""
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    credentials = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    settings = {"AWS_DEFAULT_REGION": "us-east-1", "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config)}
    return {**os.environ, **credentials, **settings}


def run_local_mode(venv: str, *arguments: str, folder: Path, seconds: float = 600) -> str:
    """Run a program of the SDK in local mode; returns its log, which includes the containers'.

    One at a time, because it leaves containers, and the cleanup removes the containers of every run.
    """
    command = [str(make_venv(venv) / "python"), *arguments]
    with one_at_a_time("composed"):
        try:
            done = subprocess.run(
                command,
                env=sdk_environment(folder),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=seconds,
            )
        finally:
            remove_composed()
    assert done.returncode == 0, done.stdout[-20_000:]
    return done.stdout


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an account in moto."""
    programs = make_venv("aws")
    folder = tmp_path_factory.mktemp("aws")
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        command = [str(programs / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for_port(port)
        yield {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(folder / "none"),
            "DOCKER_CONFIG": str(folder / "docker"),
        }
    finally:
        server.terminate()
        server.wait(10)


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    pytest.fail(f"nothing listens on port {port}")


OptMl = Callable[..., Path]


@pytest.fixture(scope="session")
def opt_ml(reviews: list[Review], tmp_path_factory: pytest.TempPathFactory) -> OptMl:
    """A function that creates a folder for /opt/ml with real reviews and the given hyperparameters."""

    def make(**hyperparameters: Any) -> Path:
        folder = tmp_path_factory.mktemp("ml")
        config = folder / "input" / "config"
        config.mkdir(parents=True)
        resources = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        (config / "hyperparameters.json").write_text(json.dumps(QUICK | hyperparameters))
        (config / "inputdataconfig.json").write_text('{"training": {"TrainingInputMode": "File"}}')
        (config / "resourceconfig.json").write_text(json.dumps(resources))
        (folder / "model").mkdir()
        (folder / "output").mkdir()
        write_reviews(folder / "input" / "data" / "training" / "reviews.csv", reviews)
        return folder

    return make


def write_reviews(path: Path, reviews: list[Review]) -> None:
    """Write reviews as a CSV with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *reviews])


@pytest.fixture(scope="session")
def trained(image: str, opt_ml: OptMl) -> Path:
    """/opt/ml after a training job in the image, without a network."""
    folder = opt_ml()
    with Container(image, "train", mount=folder, options=["--network", "none"]) as container:
        assert container.wait() == 0, container.log()
    return folder
