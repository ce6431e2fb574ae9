"""Checkpoint files."""

import os
from pathlib import Path

import pytest
import torch

from byoc import checkpoints
from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.errors import CheckpointError

VALUES = {"loss_sum": 0.1 + 0.2, "generator": {"state": 2**127 + 1}}
CONFIG = {"epochs": 4, "vocabulary": "of 7 ids"}


def checkpoint(epochs: int, batches: int = 0) -> Checkpoint:
    tensors = {"weight": torch.full((3, 2), float(epochs)), "step": torch.tensor(7.0)}
    return Checkpoint(Position(epochs, batches), CONFIG, tensors, VALUES)


def write(folder: Path, *positions: tuple[int, int], best: int = 0) -> Checkpoints:
    written = Checkpoints(folder, 10)
    for position in positions:
        written.write(checkpoint(*position), best)
    return written


def positions(folder: Path) -> list[tuple[int, ...]]:
    """Positions of the files in a folder, in order."""
    names = sorted(path.name for path in folder.glob("checkpoint-*.safetensors"))
    return [tuple(map(int, name.split("-")[1:3])) for name in names]


def newest(folder: Path) -> Checkpoint:
    content = Checkpoints(folder, 10).newest()
    assert content is not None
    return Checkpoint.from_bytes(content)


def file(folder: Path, epochs: int, batches: int = 0) -> Path:
    (path,) = folder.glob(f"checkpoint-{epochs:05}-{batches:08}-*.safetensors")
    return path


def test_checkpoint_round_trips(tmp_path: Path) -> None:
    write(tmp_path, (1, 5))
    read = newest(tmp_path)
    assert (read.position, read.config, read.values) == (Position(1, 5), CONFIG, VALUES)
    assert torch.equal(read.tensors["weight"], torch.full((3, 2), 1.0))
    assert read.tensors["step"].shape == ()


def test_checkpoints_exist_after_a_write(tmp_path: Path) -> None:
    (tmp_path / "unrelated").touch()
    assert not Checkpoints(tmp_path, 10).exist
    assert not Checkpoints(tmp_path / "missing", 10).exist
    assert write(tmp_path, (0, 0)).exist


def test_newest_two_are_kept(tmp_path: Path) -> None:
    write(tmp_path, (0, 9), (1, 0), (1, 9), (2, 0))
    assert positions(tmp_path) == [(1, 9), (2, 0)]


def test_best_is_kept(tmp_path: Path) -> None:
    write(tmp_path, (1, 0), (2, 0), (2, 9), (3, 0), (4, 0), best=2)
    assert positions(tmp_path) == [(2, 0), (3, 0), (4, 0)]


def test_uploading_file_is_kept(tmp_path: Path) -> None:
    write(tmp_path, (1, 0))
    mark = file(tmp_path, 1).with_suffix(".safetensors.sagemaker-uploading")
    mark.touch()
    write(tmp_path, (2, 0), (3, 0), (4, 0))
    assert positions(tmp_path) == [(1, 0), (3, 0), (4, 0)]
    mark.rename(mark.with_suffix(".sagemaker-uploaded"))
    write(tmp_path, (5, 0))
    assert positions(tmp_path) == [(4, 0), (5, 0)]


def test_upload_marks_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, (1, 0))
    for ending in ("uploading", "uploaded"):
        (tmp_path / f"{file(tmp_path, 1).name}.sagemaker-{ending}").touch()
        (tmp_path / f"checkpoint-00009-00000000-0123456789abcdef.safetensors.sagemaker-{ending}").touch()
    assert newest(tmp_path).position == (1, 0)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "a folder"])
def test_damaged_newest_falls_back_to_previous(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, (1, 0), (2, 0))
    path = file(tmp_path, 2)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    else:
        path.write_bytes({"cut": content[:100], "changed": content, "empty": bytearray()}[damage])
    assert newest(tmp_path).position == (1, 0)
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert path.name in warning
    assert "trying the previous one" in warning


def test_only_damaged_files_restart_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, (1, 0))
    file(tmp_path, 1).write_bytes(b"")
    assert Checkpoints(tmp_path, 10).newest() is None
    assert "training starts over" in caplog.text


def test_damaged_files_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, (1, 0), (2, 0))
    file(tmp_path, 2).write_bytes(b"")
    write(tmp_path, (1, 5))
    assert positions(tmp_path) == [(1, 0), (1, 5)]


def test_unfinished_file_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-00009-00000000-0123456789abcdef.safetensors.partial").write_bytes(b"half")
    assert Checkpoints(tmp_path, 10).newest() is None
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-of-mine").touch()
    write(tmp_path, (1, 0), (2, 0), (3, 0))
    assert (tmp_path / "checkpoint-of-mine").exists()


def test_failed_write_harms_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write(tmp_path, (1, 0), (2, 0))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="checkpoint-00003") as caught:
        write(tmp_path, (3, 0))
    assert "No space left on device" in str(caught.value)
    assert len(list(tmp_path.iterdir())) == 2
    assert newest(tmp_path).position == (2, 0)


def test_missing_folder_disables_checkpoints(tmp_path: Path) -> None:
    none = Checkpoints(tmp_path / "checkpoints", 0)
    none.write(checkpoint(1), 1)
    assert not none.due
    assert none.newest() is None
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_is_due_after_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    store = Checkpoints(tmp_path, 10)
    now += 599
    assert not store.due
    now += 1
    assert store.due
    store.write(checkpoint(1), 0)
    assert not store.due


def test_every_difference_is_named() -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint(1).check({"epochs": 5, "seed": 1, "vocabulary": "of 7 ids"})
    cause, remedy = str(caught.value).splitlines()
    assert cause == "the checkpoint was made with epochs 4 (now 5), seed None (now 1)"
    assert "empty checkpoint folder" in remedy


def test_other_format_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "FORMAT_VERSION", 2)
    content = checkpoint(1).to_bytes()
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format version 2, this code reads version 1"):
        Checkpoint.from_bytes(content)
