"""A training job of the toy package: channels, artifact, checkpoints, metrics."""

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from byoc.artifact import check_artifact
from byoc.distributed.process_group import ProcessGroup
from byoc.errors import DataError
from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters that set the checkpoint interval."""

    checkpoint_interval_minutes: float = 2.0


def create(base: Path, hyperparameters: object = None, rank: int = 0) -> Job:
    return Job("toy", OptMl(base), hyperparameters, StopFlag(), ProcessGroup(rank, 2))


def write_file(folder: Path) -> None:
    (folder / "file").touch()


def test_channel_is_a_folder(tmp_path: Path) -> None:
    training = tmp_path / "input" / "data" / "training"
    training.mkdir(parents=True)
    job = create(tmp_path)
    assert job.channel("training") == training
    assert job.channels == {"training": training}


def test_missing_channel_is_an_error(tmp_path: Path) -> None:
    for name in ("test", "train"):
        (tmp_path / "input" / "data" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="expected a channel training; the channels are: test, train"):
        create(tmp_path).channel("training")


def test_no_channels_are_mentioned(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the channels are: none"):
        create(tmp_path).channel("training")


def test_artifact_records_the_package(tmp_path: Path) -> None:
    create(tmp_path).write_artifact(write_file)
    check_artifact(tmp_path / "model", "toy")


def test_only_rank_0_writes_artifact(tmp_path: Path) -> None:
    create(tmp_path, rank=1).write_artifact(write_file)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("hyperparameters", "minutes"), [(Hyperparameters(), 2), (None, 10)])
def test_hyperparameter_sets_checkpoint_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hyperparameters: object, minutes: int
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    (tmp_path / "checkpoints").mkdir()
    checkpoints = create(tmp_path, hyperparameters).checkpoints
    now = 60.0 * minutes - 1
    assert not checkpoints.due
    now += 1
    assert checkpoints.due


def test_job_without_folder_writes_no_checkpoints(tmp_path: Path) -> None:
    assert create(tmp_path).checkpoints.folder is None


def test_metrics_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    create(tmp_path).report_metrics(epoch=3, loss=1e-5, accuracy=0.98765)
    assert caplog.messages == ["epoch=3; loss=0.0000; accuracy=0.9877;"]
