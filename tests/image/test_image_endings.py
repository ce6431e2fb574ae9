"""The end of a training in the image: stopped, killed, out of disk space."""

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


def test_stopped_training_saves_its_model(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml(**ENDLESS)
    (folder / "checkpoints").mkdir()
    with Container(image, "train", mount=folder) as container:
        container.wait_for("epoch=2;")
        assert container.stop(60) == 0
        assert "the best model so far is in /opt/ml/model; the same job resumes from" in container.log()
    assert load_artifact(folder / "model").training["epochs"]
    assert (folder / "output" / "data" / "metrics.json").is_file()
    assert list((folder / "checkpoints").iterdir())


def test_training_stopped_at_once_succeeds_empty(image: str, opt_ml: OptMl) -> None:
    """The program has no signal handlers yet."""
    folder = opt_ml(**ENDLESS)
    with Container(image, "train", mount=folder) as container:
        while "/bin/train" not in docker("top", container.id):
            time.sleep(0.05)
        assert container.stop(60) == 0
        assert "stopped before the first step: there is nothing to save" in container.log()
    assert list((folder / "model").iterdir()) == []
    assert not (folder / "output" / "failure").exists()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_out_of_memory_kill_is_reported(image: str, opt_ml: OptMl, processes: str) -> None:
    """Reported by process 1 if the training itself is killed, otherwise by the training's parent."""
    # The network takes 1.6 GB, and its optimizer twice as much.
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


def test_full_disk_keeps_model_and_checkpoints(image: str, opt_ml: OptMl, small_disk: str) -> None:
    folder = opt_ml(**ENDLESS)
    mount = ["--volume", f"{small_disk}:/opt/ml/checkpoints"]
    expect = [*TOOLKIT, "No space left on device"]
    # The volume disappears with its last container.
    with Container(image, "sleep", "300", options=mount) as holder:
        with Container(image, "train", mount=folder, options=mount, expect=expect) as container:
            assert container.wait() == 1
        kept = holder.execute("ls", "-A", "/opt/ml/checkpoints").split()
        command = (
            "from byoc.checkpoints import *; assert Checkpoints(Path('/opt/ml/checkpoints'), 1).newest()"
        )
        holder.execute("python", "-c", command)
    assert kept
    assert all(name.endswith((".safetensors", ".tar")) for name in kept)
    first, second = failure(folder)
    assert first.startswith("/opt/ml/checkpoints/checkpoint-")
    assert first.endswith(": No space left on device")
    assert second == "give the job a larger volume (VolumeSizeInGB)"
    assert load_artifact(folder / "model")


def test_read_only_model_folder_is_reported(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml()
    mount = ["--volume", f"{folder / 'model'}:/opt/ml/model:ro"]
    message = "/opt/ml/model: not writable by user 0; mount a folder that its user can write: -v DIR:/opt/ml"
    expect = [f"error: {message}"]
    with Container(image, "train", mount=folder, options=mount, expect=expect) as container:
        assert container.wait() == 1
    assert (folder / "output" / "failure").read_text() == message


def test_nan_loss_is_reported(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml(**ENDLESS, learning_rate="10", max_grad_norm="1e6", weight_decay="10")
    assert json.loads((folder / "input" / "config" / "hyperparameters.json").read_text())
    (folder / "checkpoints").mkdir()
    with Container(image, "train", mount=folder, expect=[*TOOLKIT, "loss is"]) as container:
        assert container.wait() == 1
    first, second = failure(folder)
    assert "loss is" in first
    assert second.startswith("use a learning_rate below")
