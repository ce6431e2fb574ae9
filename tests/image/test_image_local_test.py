"""The scripts of local_test with the image, run by a user other than root."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.conftest import ROOT, Review, free_port, write_reviews

USER = 1000
QUICK = ["--epochs=1", "--hidden_dim=8", "--embedding_dim=8", "--batch_size=16", "--pretraining_epochs=1"]


@pytest.fixture(scope="module")
def clone(image: str, reviews: list[Review]) -> Iterator[Path]:
    """The scripts' part of the repository, and a folder of reviews, owned by the user."""
    assert image
    # Not pytest's own folder, which only root can enter.
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(
        ROOT / "local_test", folder / "local_test", ignore=shutil.ignore_patterns("data", "model", "output")
    )
    write_reviews(folder / "reviews" / "mine.csv", reviews)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)
    yield folder
    shutil.rmtree(folder)


def engine_group() -> int:
    """The group of the engine's socket."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    return Path(address.removeprefix("unix://")).stat().st_gid


@contextlib.contextmanager
def command(clone: Path, script: str, *arguments: str, port: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """Start a script as the user, with the group of the engine's socket; it ends with the block."""
    with subprocess.Popen(
        [clone / "local_test" / script, *arguments],
        user=USER,
        group=USER,
        extra_groups=[engine_group()],
        env=os.environ | {"HOME": str(clone), "SAGEMAKER_BIND_TO_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            # It has already ended, unless the test failed.
            process.kill()


@pytest.fixture(scope="module")
def log(clone: Path, image: str) -> str:
    """The output of a training in the image."""
    reviews = str(clone / "reviews")
    data = ["--data", reviews, "--unlabeled", reviews, "--preset", "best"]
    with command(clone, "train_local.sh", image, *data, *QUICK) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def test_best_preset_trains(log: str) -> None:
    for word in (
        "unlabeled: ",
        "n-gram model: ",
        "pretraining_epoch=",
    ):
        assert word in log


def test_training_prints_the_next_command(log: str, image: str) -> None:
    assert log.rstrip().endswith(f"serve_local.sh {image}")


def test_files_belong_to_the_caller(log: str, clone: Path) -> None:
    assert log
    test_dir = clone / "local_test" / "test_dir"
    left = [path for name in ("model", "output") for path in (test_dir / name, *(test_dir / name).rglob("*"))]
    assert test_dir / "model" / "model.json" in left
    assert {path.stat().st_uid for path in left} == {USER}


def test_unknown_image_is_an_error(clone: Path) -> None:
    with command(clone, "train_local.sh", "no-such-image") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith("error: no image no-such-image")


def test_served_model_answers_until_ctrl_c(log: str, clone: Path, image: str) -> None:
    assert log
    port = free_port()
    with command(clone, "serve_local.sh", image, port=port) as server:
        deadline = time.monotonic() + 60
        answer = ""
        while "probability" not in answer:
            assert time.monotonic() < deadline, answer
            time.sleep(0.5)
            with command(
                clone, "predict.sh", str(clone / "local_test" / "payload.json"), port=port
            ) as asking:
                answer, _ = asking.communicate(timeout=60)
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    assert server.returncode == 0
