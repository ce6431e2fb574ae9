"""What of a head start is kept until the first checkpoint."""

import logging
from pathlib import Path

import numpy as np
import pytest

from sentiment.training.stage_cache import NOT_KEPT, Stages, Tensors, remove_stages

MADE_WITH = {"seed": 1, "training data": "of 7 reviews"}


def fail() -> Tensors:
    raise AssertionError("done again")


def found(value: float = 1.5) -> Tensors:
    return {"vectors": np.full((2, 3), value, np.float32), "none": np.empty((5, 0), np.float32)}


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    Stages(tmp_path, MADE_WITH).done("told", found)
    again = Stages(tmp_path, MADE_WITH).done("told", fail)
    assert again.keys() == found().keys()
    assert all(np.array_equal(again[name], array) for name, array in found().items())


def test_what_another_job_did_is_done_again(tmp_path: Path) -> None:
    Stages(tmp_path, MADE_WITH).done("told", lambda: found(0))
    other = Stages(tmp_path, MADE_WITH | {"seed": 2}).done("told", found)
    assert other["vectors"][0, 0] == 1.5


def test_what_was_made_of_something_else_is_done_again(tmp_path: Path) -> None:
    stages = Stages(tmp_path, MADE_WITH)
    stages.done("vectors", lambda: found(0), b"good film")
    assert stages.done("vectors", found, b"bad film")["vectors"][0, 0] == 1.5
    assert stages.done("vectors", fail, b"good film")["vectors"][0, 0] == 0


def test_stages_have_names(tmp_path: Path) -> None:
    stages = Stages(tmp_path, MADE_WITH)
    stages.done("told", lambda: found(0))
    assert stages.done("vectors", found)["vectors"][0, 0] == 1.5


def test_damaged_file_is_made_again_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = Stages(tmp_path, MADE_WITH)
    stages.done("told", found)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    caplog.set_level(logging.WARNING, logger="sentiment")
    assert stages.done("told", found)["vectors"][0, 0] == 1.5
    assert f"{path} is damaged: made again" in caplog.text
    stages.done("told", fail)


def test_file_that_cannot_be_read_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = Stages(tmp_path, MADE_WITH)
    stages.done("told", found)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.with_name(path.name.replace(path.stem[-16:], "0" * 16)).mkdir()
    caplog.set_level(logging.WARNING, logger="sentiment")
    assert stages.done("told", found)["vectors"][0, 0] == 1.5
    assert "cannot be read" in caplog.text


def test_nothing_is_kept_without_a_folder() -> None:
    assert NOT_KEPT.done("told", found)["vectors"][0, 0] == 1.5


def test_all_are_removed_but_what_is_being_uploaded(tmp_path: Path) -> None:
    Stages(tmp_path, MADE_WITH).done("told", found)
    Stages(tmp_path, {}).done("vectors", found)
    (uploading,) = tmp_path.glob("stage-vectors-*")
    uploading.with_name(uploading.name + ".sagemaker-uploading").touch()
    (tmp_path / ".stage-told-0-0.safetensors.partial").touch()
    (tmp_path / "checkpoint-0-0-0.safetensors").touch()
    remove_stages(tmp_path)
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"stage", "checkpoint"}
    assert uploading.exists()
    remove_stages(None)
