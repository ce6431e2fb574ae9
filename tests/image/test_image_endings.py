"""How a training in the image ends when it is stopped, killed, or has no room."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentiment.model.artifact import load_artifact
from tests.image.conftest import OptMl
from tests.image.containers import Container, docker

ENDLESS = {"epochs": "1000", "patience": "1000", "batch_size": "16"}
TOOLKIT = ("Reporting training FAILURE", "Encountered exit_code 1")


def failure(folder: Path) -> list[str]:
    return (folder / "output" / "failure").read_text().splitlines()


def test_stopped_training_is_a_success_with_a_model(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml(**ENDLESS)
    (folder / "checkpoints").mkdir()
    with Container(image, "train", mount=folder) as container:
        container.wait_for("epoch=2;")
        assert container.stop(60) == 0
        assert "the best model so far is in /opt/ml/model; the same job would go on from" in container.log()
    assert load_artifact(folder / "model").training["epochs"]
    assert (folder / "output" / "data" / "metrics.json").is_file()
    assert list((folder / "checkpoints").iterdir())


def test_training_stopped_at_once_is_a_success_without_a_model(image: str, opt_ml: OptMl) -> None:
    """Before the program can take any signal."""
    folder = opt_ml(**ENDLESS)
    with Container(image, "train", mount=folder) as container:
        while "/bin/train" not in docker("top", container.id):
            time.sleep(0.05)
        assert container.stop(60) == 0
        assert "stopped before the first step: there is nothing to save" in container.log()
    assert list((folder / "model").iterdir()) == []
    assert not (folder / "output" / "failure").exists()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_kernels_kill_for_want_of_memory_is_told(image: str, opt_ml: OptMl, processes: str) -> None:
    """By process 1 where it is the training itself that is killed, else by the training's parent."""
    # The network alone takes 1.6 GB, and its optimizer as much again twice.
    folder = opt_ml(embedding_dim="4096", hidden_dim="4096", processes_per_host=processes)
    limits = ["--memory", "1200m", "--memory-swap", "1200m"]
    expect = ["error: train was killed"] if processes == "1" else TOOLKIT
    expect = [*expect, "SIGKILL"]
    with Container(image, "train", mount=folder, options=limits, expect=expect) as container:
        assert container.wait() == (137 if processes == "1" else 1)
    first, second = failure(folder)
    assert "was killed (SIGKILL), most likely because memory ran out" in first
    assert "an instance with more memory" in second


@pytest.fixture
def small_disk() -> Iterator[str]:
    """A volume with room for two checkpoints."""
    options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=5m"]
    name = docker("volume", "create", *options)
    yield name
    docker("volume", "rm", name)


def test_full_disk_costs_nothing_that_was_saved(image: str, opt_ml: OptMl, small_disk: str) -> None:
    folder = opt_ml(**ENDLESS)
    mount = ["--volume", f"{small_disk}:/opt/ml/checkpoints"]
    expect = [*TOOLKIT, "No space left on device"]
    # The volume is gone with its last container.
    with Container(image, "sleep", "300", options=mount) as holder:
        with Container(image, "train", mount=folder, options=mount, expect=expect) as container:
            assert container.wait() == 1
        kept = holder.execute("ls", "-A", "/opt/ml/checkpoints").split()
        command = (
            "from byoc.checkpoints import *; assert Checkpoints(Path('/opt/ml/checkpoints'), 1).newest()"
        )
        holder.execute("python", "-c", command)
    assert kept
    assert all(name.endswith(".safetensors") for name in kept)
    first, second = failure(folder)
    assert first.startswith("/opt/ml/checkpoints/checkpoint-")
    assert first.endswith(": No space left on device")
    assert second == "give the job a larger volume (VolumeSizeInGB)"
    assert load_artifact(folder / "model")


def test_model_folder_that_cannot_be_written_is_told(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml()
    mount = ["--volume", f"{folder / 'model'}:/opt/ml/model:ro"]
    expect = [*TOOLKIT, "Read-only file system"]
    with Container(image, "train", mount=folder, options=mount, expect=expect) as container:
        assert container.wait() == 1
    first, second = failure(folder)
    assert first.startswith("/opt/ml/model")
    assert first.endswith(": Read-only file system")
    assert second == "mount the folder so that the job can write there"


def test_nan_loss_is_told_and_costs_no_checkpoint(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml(**ENDLESS, learning_rate="10", max_grad_norm="1e6", weight_decay="10")
    assert json.loads((folder / "input" / "config" / "hyperparameters.json").read_text())
    (folder / "checkpoints").mkdir()
    with Container(image, "train", mount=folder, expect=[*TOOLKIT, "loss is"]) as container:
        assert container.wait() == 1
    first, second = failure(folder)
    assert "loss is" in first
    assert second.startswith("try a lower learning_rate")
