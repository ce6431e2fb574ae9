"""Saving and loading a model directory."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from byoc.errors import ArtifactError
from sentiment.model import artifact
from sentiment.model.artifact import Artifact, load_artifact, save
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.vocabulary import Vocabulary

SETTINGS = NetworkSettings(vocab_size=5, embedding_dim=3, hidden_dim=2, pooling="max")


def make(settings: NetworkSettings = SETTINGS, fill: float = 0.5) -> Artifact:
    weights = {name: np.full(shape, fill, np.float32) for name, shape in SETTINGS.tensor_shapes().items()}
    text = TextSettings(["the", "a"], 100, "tail")
    return Artifact(weights, Vocabulary(["good", "bad", "film"]), settings, text, {"best_epoch": 2})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(make(), tmp_path / "model")
    return tmp_path / "model"


def test_saved_artifact_is_read_back(folder: Path) -> None:
    loaded, saved = load_artifact(folder), make()
    assert (loaded.network, loaded.text, loaded.training) == (saved.network, saved.text, saved.training)
    assert loaded.vocabulary.words == saved.vocabulary.words
    assert all(np.array_equal(loaded.weights[name], saved.weights[name]) for name in saved.weights)


def test_artifact_is_three_files(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "model.safetensors",
        "vocabulary.json",
    ]


def test_artifact_tells_the_version_of_the_code(folder: Path) -> None:
    project = (Path(__file__).parents[4] / "pyproject.toml").read_text()
    assert f'version = "{json.loads((folder / "model.json").read_text())["code_version"]}"' in project


def test_everybody_can_read_the_artifact(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())


def test_nothing_else_is_left_behind(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_saving_again_replaces(folder: Path) -> None:
    save(make(fill=2), folder)
    assert load_artifact(folder).weights["linear.bias"] == 2
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("is_mount", [False, True])
def test_failure_while_writing_harms_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_mount: bool
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os.path, "ismount", lambda _path: is_mount)
    monkeypatch.setattr(artifact, "serialize", full)
    with pytest.raises(OSError, match="No space left"):
        save(make(fill=2), folder)
    assert load_artifact(folder).weights["linear.bias"] == 0.5
    assert len(list(folder.iterdir())) == 3


def test_mount_is_written_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda _path: True)
    inode = folder.stat().st_ino
    save(make(fill=2), folder)
    assert folder.stat().st_ino == inode
    assert load_artifact(folder).weights["linear.bias"] == 2
    assert len(list(folder.iterdir())) == 3


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


FILES = ["model.safetensors", "vocabulary.json"]


@pytest.mark.parametrize(
    ("name", "damage"),
    # The last byte of model.json is the line end behind the JSON: nothing is lost with it.
    [(name, damage) for name in FILES for damage in (Path.unlink, truncate, flip_last_bit, empty)]
    + [("model.json", Path.unlink), ("model.json", empty)],
)
def test_damaged_or_missing_file_is_named(folder: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(folder / name)
    with pytest.raises(ArtifactError, match=name):
        load_artifact(folder)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"there is no trained model in .*/nowhere"):
        load_artifact(tmp_path / "nowhere")


def rewrite(folder: Path, **changes: object) -> None:
    """Change model.json, and let its checksums fit the other files."""
    path = folder / "model.json"
    sums = {name: artifact._sha256(folder / name) for name in ("model.safetensors", "vocabulary.json")}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": sums} | changes))


def test_other_format_version_is_refused(folder: Path) -> None:
    rewrite(folder, format_version=2)
    with pytest.raises(ArtifactError, match=r"model\.json: format version 2, this code reads version 1"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": None}, "network: expected a JSON object"),
        ({"network": {"vocab_size": 5}}, "network: .*missing"),
        ({"text": {"stop_words": [], "max_length": 0, "truncate": "tail"}}, "text: max_length is 0"),
        ({"text": {"stop_words": [], "max_length": 9, "truncate": "middle"}}, "text: truncate is 'middle'"),
    ],
)
def test_impossible_settings_are_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ArtifactError, match=rf"model\.json: {message}"):
        load_artifact(folder)


def test_vocabulary_of_another_size_is_refused(folder: Path) -> None:
    Vocabulary(["good"]).save(folder / "vocabulary.json")
    rewrite(folder)
    with pytest.raises(ArtifactError, match=r"vocabulary\.json: 3 ids, expected 5"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "expected the tensors"),
        ({"embedding.weight": np.zeros((5, 4), np.float32)}, "expected the tensors"),
        ({"linear.bias": np.zeros(1, np.float64)}, "expected float32"),
        ({"extra": np.zeros(1, np.float32)}, "expected the tensors"),
    ],
)
def test_other_tensors_are_refused(folder: Path, tensors: dict[str, np.ndarray], message: str) -> None:
    save_file(dict(make().weights) | tensors if tensors else {}, folder / "model.safetensors")
    rewrite(folder)
    with pytest.raises(ArtifactError, match=rf"model\.safetensors: {message}"):
        load_artifact(folder)


def test_weights_that_are_no_safetensors_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x04.")
    rewrite(folder)
    with pytest.raises(ArtifactError, match=r"model\.safetensors: is no safetensors file"):
        load_artifact(folder)


def test_what_a_killed_job_left_half_done_is_removed(tmp_path: Path) -> None:
    for name in (".model-abc", ".old-model-abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
    save(make(), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
