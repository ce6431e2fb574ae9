"""The file of a language model, and its weights in a classifier."""

import errno
import io
import tarfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from byoc.artifact import write_artifact
from byoc.errors import ArtifactError, DataError
from sentiment.model.artifact import VOCABULARY_FILE, Artifact, write_files
from sentiment.model.language_model import LanguageModel
from sentiment.model.pretrained import LANGUAGE_MODEL_FILE, PretrainedWeights, load_pretrained
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["good", "not", "film"])
SETTINGS = NetworkSettings(vocab_size=5, embedding_dim=2, hidden_dim=3, pooling="mean-max")


def make_weights() -> dict[str, NDArray[np.float32]]:
    """Distinct values for all tensors of the network."""
    generator = np.random.default_rng(0)
    shapes = SETTINGS.tensor_shapes().items()
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes}


WEIGHTS = make_weights()
SHARED = {name: array for name, array in WEIGHTS.items() if not name.startswith("linear")}
PRETRAINED = PretrainedWeights(VOCABULARY, SHARED)


def load(folder: Path) -> PretrainedWeights:
    return load_pretrained(folder, 2, 3)


def is_same(loaded: PretrainedWeights, weights: Mapping[str, NDArray[np.float32]] = SHARED) -> bool:
    return (
        loaded.vocabulary.words == VOCABULARY.words
        and loaded.weights.keys() == weights.keys()
        and all(np.array_equal(loaded.weights[name], weights[name]) for name in weights)
    )


def save_artifact(folder: Path, package: str = "sentiment") -> None:
    artifact = Artifact(WEIGHTS, VOCABULARY, SETTINGS, TextSettings([], 5, "tail"), {})
    write_artifact(folder, package, partial(write_files, artifact))


def archive(folder: Path, target: Path, prefix: str = "") -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz") as content:
        for path in sorted(folder.iterdir()):
            content.add(path, prefix + path.name)


def test_weights_of_model_are_shared_ones() -> None:
    model = LanguageModel(np.ones(5, np.int64), 2, 3)
    weights = PretrainedWeights.of(VOCABULARY, model).weights
    assert {name: array.shape for name, array in weights.items()} == {
        name: array.shape for name, array in SHARED.items()
    }
    assert np.array_equal(weights["embedding.weight"], model.embedding.weight.detach().numpy())


def test_saved_weights_load_unchanged(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path / "new" / "folder")
    assert is_same(load(tmp_path / "new" / "folder"))


def test_language_model_replaces_trained_model(tmp_path: Path) -> None:
    save_artifact(tmp_path)
    PRETRAINED.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "artifact.json",
        "language_model.safetensors",
        "vocabulary.json",
    ]
    assert is_same(load(tmp_path))


def test_trained_model_replaces_language_model(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path)
    save_artifact(tmp_path)
    assert not (tmp_path / LANGUAGE_MODEL_FILE).exists()
    assert is_same(load(tmp_path))


@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive_is_loaded(tmp_path: Path, prefix: str) -> None:
    PRETRAINED.save(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz", prefix)
    assert is_same(load(tmp_path / "channel"))


def test_trained_model_is_loaded(tmp_path: Path) -> None:
    save_artifact(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz")
    assert is_same(load(tmp_path / "channel"))
    assert is_same(load(tmp_path / "model"))


def test_other_archive_members_are_not_extracted(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path / "model")
    path = tmp_path / "channel" / "model.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as content:
        for name in ("../escaped", LANGUAGE_MODEL_FILE + "/../../escaped", str(tmp_path / "escaped")):
            member = tarfile.TarInfo(name)
            member.size = 1
            content.addfile(member, io.BytesIO(b"x"))
        for file in sorted((tmp_path / "model").iterdir()):
            content.add(file, file.name)
    assert is_same(load(tmp_path / "channel"))
    assert not list(tmp_path.rglob("escaped"))


def test_archive_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    with tarfile.open(tmp_path / "channel" / "model.tar.gz", "w:gz") as content:
        member = tarfile.TarInfo(LANGUAGE_MODEL_FILE)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(member)
    with pytest.raises(ArtifactError, match=r"model\.tar\.gz has neither"):
        load(tmp_path / "channel")


def test_truncated_archive_is_rejected(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path / "model")
    path = tmp_path / "channel" / "model.tar.gz"
    archive(tmp_path / "model", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ArtifactError, match="damaged or truncated"):
        load(tmp_path / "channel")


def test_full_disk_raises_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PRETRAINED.save(tmp_path / "model")
    archive(tmp_path / "model", tmp_path / "channel" / "model.tar.gz")
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", Mock(side_effect=full))
    with pytest.raises(OSError, match="No space left"):
        load(tmp_path / "channel")


def test_empty_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has neither a language model nor a trained model"):
        load(tmp_path)


def test_other_packages_model_is_rejected(tmp_path: Path) -> None:
    save_artifact(tmp_path, "tfidf")
    with pytest.raises(ArtifactError, match="made by package 'tfidf'"):
        load(tmp_path)


def save_tensors(folder: Path, tensors: dict[str, Any]) -> None:
    """Save a language model with any tensors."""
    PretrainedWeights(VOCABULARY, tensors).save(folder)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("embedding.weight", None),
        ("lstm.bias_hh_l0", None),
        ("extra", np.zeros(1)),
        ("embedding.weight", np.zeros(5)),
        ("embedding.weight", np.zeros((5, 0))),
        ("embedding.weight", np.zeros((6, 2))),  # of another vocabulary
        ("lstm.weight_hh_l0", np.zeros(12)),
        ("lstm.weight_ih_l0", np.zeros((12, 3))),
    ],
)
def test_unexpected_tensors_are_rejected(
    tmp_path: Path, name: str, tensor: NDArray[np.float64] | None
) -> None:
    tensors: dict[str, Any] = SHARED | {name: tensor}
    save_tensors(tmp_path, {name: array for name, array in tensors.items() if array is not None})
    with pytest.raises(ArtifactError, match=r"language_model\.safetensors is damaged") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [LANGUAGE_MODEL_FILE, VOCABULARY_FILE])
def test_damaged_file_is_rejected(tmp_path: Path, name: str) -> None:
    PRETRAINED.save(tmp_path)
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match=rf"{name} is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["embedding.weight", "lstm.bias_hh_l0"])
def test_nonfinite_weights_are_rejected(tmp_path: Path, name: str, value: float) -> None:
    array = SHARED[name].copy()
    array.flat[-1] = value
    save_tensors(tmp_path, SHARED | {name: array})
    with pytest.raises(ArtifactError, match="values that are not finite"):
        load(tmp_path)


def test_vocabulary_of_another_job_is_rejected(tmp_path: Path) -> None:
    PRETRAINED.save(tmp_path)
    Vocabulary(["not", "good", "film"]).save(tmp_path / VOCABULARY_FILE)
    with pytest.raises(ArtifactError, match=r"vocabulary\.json is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("dimensions", [(2, 128), (128, 3)])
@pytest.mark.parametrize("save", [PRETRAINED.save, save_artifact])
def test_other_dimensions_are_rejected(
    tmp_path: Path, dimensions: tuple[int, int], save: Callable[[Path], None]
) -> None:
    save(tmp_path)
    message = f"embedding_dim=2 and hidden_dim=3, expected {dimensions[0]} and {dimensions[1]}\nset both"
    with pytest.raises(DataError, match=message):
        load_pretrained(tmp_path, *dimensions)


def test_align_looks_up_words() -> None:
    tensors = PRETRAINED.align(Vocabulary(["film", "new", "good"]))
    old = SHARED["embedding.weight"]
    assert tensors["embedding.weight"].tolist() == [
        [0, 0],  # padding
        old[1].tolist(),  # unknown token
        old[4].tolist(),  # film
        old[1].tolist(),  # new: as the unknown token
        old[2].tolist(),  # good
    ]


def test_align_keeps_other_tensors() -> None:
    tensors = PRETRAINED.align(Vocabulary(["film"]))
    assert tensors.keys() == SHARED.keys()
    for name in SHARED.keys() - {"embedding.weight"}:
        assert np.array_equal(tensors[name].numpy(), SHARED[name])


def test_align_copies_the_weights() -> None:
    before = {name: array.copy() for name, array in SHARED.items()}
    for tensor in PRETRAINED.align(VOCABULARY).values():
        tensor.zero_()
    assert is_same(PRETRAINED, before)


def test_fingerprint_depends_on_weights_and_words() -> None:
    changed = {name: array + 1 if name == "lstm.bias_hh_l0" else array for name, array in SHARED.items()}
    others = (
        PretrainedWeights(VOCABULARY, changed),
        PretrainedWeights(Vocabulary(["bad", "not", "film"]), SHARED),
    )
    assert len({PRETRAINED.fingerprint(), *(other.fingerprint() for other in others)}) == 3
