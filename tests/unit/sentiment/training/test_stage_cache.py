"""Cached stages of the warm start."""

import logging
from pathlib import Path

import numpy as np
import pytest

from sentiment.training.stage_cache import Arrays, StageCache

CONFIG = {"seed": 1, "training data": "of 7 reviews"}


def fail() -> Arrays:
    raise AssertionError("computed again")


def arrays(value: float = 1.5) -> Arrays:
    return {"vectors": np.full((2, 3), value, np.float32), "none": np.empty((5, 0), np.float32)}


def test_finished_stage_is_not_computed_again(tmp_path: Path) -> None:
    StageCache(tmp_path, CONFIG).get_or_compute("documents", arrays)
    again = StageCache(tmp_path, CONFIG).get_or_compute("documents", fail)
    assert again.keys() == arrays().keys()
    assert all(np.array_equal(again[name], array) for name, array in arrays().items())


def test_cache_exists_after_first_stage(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, CONFIG)
    (tmp_path / "unrelated").touch()
    assert not cache.exists
    cache.get_or_compute("documents", arrays)
    assert cache.exists
    assert not StageCache(None).exists


def test_config_is_part_of_key(tmp_path: Path) -> None:
    StageCache(tmp_path, CONFIG).get_or_compute("documents", lambda: arrays(0))
    other = StageCache(tmp_path, CONFIG | {"seed": 2}).get_or_compute("documents", arrays)
    assert other["vectors"][0, 0] == 1.5


def test_inputs_are_part_of_key(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, CONFIG)
    cache.get_or_compute("vectors", lambda: arrays(0), b"good film")
    assert cache.get_or_compute("vectors", arrays, b"bad film")["vectors"][0, 0] == 1.5
    assert cache.get_or_compute("vectors", fail, b"good film")["vectors"][0, 0] == 0


def test_name_is_part_of_key(tmp_path: Path) -> None:
    cache = StageCache(tmp_path, CONFIG)
    cache.get_or_compute("documents", lambda: arrays(0))
    assert cache.get_or_compute("vectors", arrays)["vectors"][0, 0] == 1.5


def test_damaged_stage_is_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = StageCache(tmp_path, CONFIG)
    cache.get_or_compute("documents", arrays)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    caplog.set_level(logging.WARNING, logger="sentiment")
    assert cache.get_or_compute("documents", arrays)["vectors"][0, 0] == 1.5
    assert f"{path} is damaged: computing it again" in caplog.text
    cache.get_or_compute("documents", fail)


def test_unreadable_stage_is_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = StageCache(tmp_path, CONFIG)
    cache.get_or_compute("documents", arrays)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.with_name(path.name.replace(path.stem[-16:], "0" * 16)).mkdir()
    caplog.set_level(logging.WARNING, logger="sentiment")
    assert cache.get_or_compute("documents", arrays)["vectors"][0, 0] == 1.5
    assert "cannot read" in caplog.text


def test_no_folder_disables_cache() -> None:
    assert StageCache().get_or_compute("documents", arrays)["vectors"][0, 0] == 1.5


def test_clear_spares_uploads(tmp_path: Path) -> None:
    StageCache(tmp_path, CONFIG).get_or_compute("documents", arrays)
    StageCache(tmp_path, {}).get_or_compute("vectors", arrays)
    (uploading,) = tmp_path.glob("stage-vectors-*")
    uploading.with_name(uploading.name + ".sagemaker-uploading").touch()
    (tmp_path / ".stage-documents-0-0.safetensors.partial").touch()
    (tmp_path / "checkpoint-0-0-0.safetensors").touch()
    StageCache(tmp_path).clear()
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"stage", "checkpoint"}
    assert uploading.exists()
    StageCache().clear()
