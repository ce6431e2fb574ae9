"""The files of a trained model."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from byoc.errors import ArtifactError
from sentiment.model.artifact import Artifact, load_artifact, write_files
from sentiment.ngram_model.features import NgramFeatures
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.vocabulary import Vocabulary

SETTINGS = NetworkSettings(vocab_size=5, embedding_dim=3, hidden_dim=2, pooling="mean-max")
NGRAM_MODEL = NBSVM(NgramFeatures(np.array([2, 3, 17]), base=5), np.array([1, -2, 0.5], np.float32), 0.25)


def make(ngram_model: NBSVM | None = NGRAM_MODEL) -> Artifact:
    weights = {name: np.full(shape, 0.5, np.float32) for name, shape in SETTINGS.tensor_shapes().items()}
    text = TextSettings(["the", "a"], 100, "tail")
    vocabulary = Vocabulary(["good", "bad", "film"])
    return Artifact(weights, vocabulary, SETTINGS, text, {"best_epoch": 2}, ngram_model, {"99.9": 0.1})


NGRAM_TYPES = "expected int64 keys and float32 coefficients"
NGRAM_COUNTS = "expected sorted n-grams with a coefficient each, and one intercept"


def tensors(**changes: Any) -> dict[str, NDArray[Any]]:
    """Valid tensors of a model file, with changes; None removes a tensor."""
    ngrams = {
        "ngram.keys": NGRAM_MODEL.features.keys,
        "ngram.coefficients": NGRAM_MODEL.coefficients,
        "ngram.intercept": np.array([NGRAM_MODEL.intercept], np.float32),
    }
    changed = {
        **make().weights,
        **ngrams,
        **{name.replace("__", "."): array for name, array in changes.items()},
    }
    return {name: array for name, array in changed.items() if array is not None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(make(), tmp_path)
    return tmp_path


def test_artifact_round_trips(folder: Path) -> None:
    loaded, saved = load_artifact(folder), make()
    assert (loaded.network, loaded.text, loaded.training) == (saved.network, saved.text, saved.training)
    assert loaded.unknown_share == saved.unknown_share
    assert loaded.vocabulary.words == saved.vocabulary.words
    assert all(np.array_equal(loaded.weights[name], saved.weights[name]) for name in saved.weights)


def test_loading_holds_the_weights_once(tmp_path: Path) -> None:
    settings = replace(SETTINGS, embedding_dim=500, hidden_dim=500)
    weights = {name: np.zeros(shape, np.float32) for name, shape in settings.tensor_shapes().items()}
    write_files(replace(make(), network=settings, weights=weights), tmp_path)
    tracemalloc.start()
    load_artifact(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * sum(array.nbytes for array in weights.values())


def test_ngram_model_round_trips(folder: Path) -> None:
    loaded = load_artifact(folder).ngram_model
    assert loaded is not None
    assert loaded.features.keys.dtype == np.int64
    assert loaded.features.keys.tolist() == [2, 3, 17]
    assert loaded.features.base == 5
    assert loaded.coefficients.dtype == np.float32
    assert loaded.coefficients.tolist() == [1, -2, 0.5]
    assert loaded.intercept == 0.25


def test_ngram_model_is_optional(tmp_path: Path) -> None:
    write_files(make(None), tmp_path)
    assert load_artifact(tmp_path).ngram_model is None


def test_ngram_model_has_three_tensors(folder: Path) -> None:
    save_file(tensors(), folder / "model.safetensors")
    assert load_artifact(folder).ngram_model is not None


def test_artifact_has_three_files(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "model.safetensors",
        "vocabulary.json",
    ]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "vocabulary.json"])
@pytest.mark.parametrize("damage", [Path.unlink, empty, truncate])
def test_damaged_file_is_named(folder: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(folder / name)
    with pytest.raises(ArtifactError, match=name):
        load_artifact(folder)


def rewrite(folder: Path, **changes: object) -> None:
    """Change model.json."""
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": None}, "network: expected a JSON object"),
        ({"network": {"vocab_size": 5}}, "network: .*missing"),
        ({"text": {"stop_words": [], "max_length": 0, "truncate": "tail"}}, "text: max_length is 0"),
        ({"text": {"stop_words": [], "max_length": 9, "truncate": "middle"}}, "text: truncate is 'middle'"),
    ],
)
def test_invalid_settings_are_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ArtifactError, match=rf"model\.json: {message}"):
        load_artifact(folder)


def test_vocabulary_size_must_match(folder: Path) -> None:
    Vocabulary(["good"]).save(folder / "vocabulary.json")
    with pytest.raises(ArtifactError, match=r"vocabulary\.json: 3 ids, expected 5"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"linear__bias": None}, "expected the tensors"),
        ({"embedding__weight": np.zeros((5, 4), np.float32)}, "expected the tensors"),
        ({"linear__bias": np.zeros(1, np.float64)}, "expected float32"),
        ({"extra": np.zeros(1, np.float32)}, "expected the tensors"),
        ({"ngram__keys": None}, NGRAM_TYPES),
        ({"ngram__intercept": None}, NGRAM_TYPES),
        ({"ngram__keys": np.array([2, 3, 17], np.int32)}, NGRAM_TYPES),
        ({"ngram__keys": np.array([[2, 3, 17]])}, NGRAM_TYPES),
        ({"ngram__coefficients": np.zeros(3, np.float64)}, NGRAM_TYPES),
        ({"ngram__intercept": np.array(1, np.float32)}, NGRAM_TYPES),
        ({"ngram__keys": np.array([3, 2, 17])}, NGRAM_COUNTS),
        ({"ngram__keys": np.array([2, 2, 17])}, NGRAM_COUNTS),
        ({"ngram__keys": np.array([-1, 2, 17])}, NGRAM_COUNTS),
        # The difference of the last two overflows to a positive number.
        ({"ngram__keys": np.array([2, 2**62 + 3, -(2**62) - 9])}, NGRAM_COUNTS),
        ({"ngram__keys": np.array([2, 3])}, NGRAM_COUNTS),
        ({"ngram__keys": np.empty(0, np.int64)}, NGRAM_COUNTS),
        ({"ngram__coefficients": np.zeros(4, np.float32)}, NGRAM_COUNTS),
        ({"ngram__intercept": np.zeros(2, np.float32)}, NGRAM_COUNTS),
    ],
    ids=str,
)
def test_unexpected_tensors_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    save_file(tensors(**changes), folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=rf"model\.safetensors: {message}"):
        load_artifact(folder)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weight_that_is_not_finite_is_refused(folder: Path, number: float) -> None:
    weights = dict(make().weights)
    weights["linear.bias"] = np.full_like(weights["linear.bias"], number)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"linear\.bias has a number that is not finite"):
        load_artifact(folder)


@pytest.mark.parametrize("shares", [[0.1], {"99.9": 2.0}, {"99.9": "0.1"}])
def test_invalid_unknown_share_is_refused(folder: Path, shares: object) -> None:
    rewrite(folder, unknown_share=shares)
    with pytest.raises(ArtifactError, match=r"model\.json: unknown_share: expected fractions"):
        load_artifact(folder)


def test_other_weight_format_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x04.")
    with pytest.raises(ArtifactError, match=r"model\.safetensors: not a safetensors file"):
        load_artifact(folder)
