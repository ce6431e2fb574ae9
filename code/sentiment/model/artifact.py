"""The files of a trained model: the only module that knows them.

``model.safetensors`` holds the weights of both models, ``vocabulary.json`` the vocabulary, ``model.json`` the
settings; none can run code. Reading them takes no torch, so that a model is checked before anything heavy
starts.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from byoc.artifact import read_json_object
from byoc.errors import ArtifactError
from sentiment.ngram_model.features import NgramFeatures
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.vocabulary import Vocabulary

WEIGHTS_FILE = "model.safetensors"
VOCABULARY_FILE = "vocabulary.json"
SETTINGS_FILE = "model.json"

_NGRAM_TENSORS = ("ngram.keys", "ngram.coefficients", "ngram.intercept")

Weights = Mapping[str, NDArray[np.float32]]
T = TypeVar("T", NetworkSettings, TextSettings)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A trained model.

    The sum of the logits of network and n-gram model is calibrated.

    Attributes:
        weights: float32 tensors of the network by name.
        ngram_model: None if the network is alone.
        unknown_share: percentiles of the share of unknown words in the training reviews, by name.
        training: hyperparameters, metrics and data counts; for people, never used by serving.
    """

    weights: Weights
    vocabulary: Vocabulary
    network: NetworkSettings
    text: TextSettings
    training: Mapping[str, Any]
    ngram_model: NBSVM | None = None
    unknown_share: Mapping[str, float] = field(default_factory=dict)


def write_files(artifact: Artifact, folder: Path) -> None:
    """Write the three files.

    Raises:
        OSError: the folder cannot be written.
    """
    # Not save_file, whose files only their owner can read.
    (folder / WEIGHTS_FILE).write_bytes(serialize({**artifact.weights, **_ngram_tensors(artifact)}))
    artifact.vocabulary.save(folder / VOCABULARY_FILE)
    settings = {
        "network": asdict(artifact.network),
        "text": asdict(artifact.text),
        "unknown_share": artifact.unknown_share,
        "training": artifact.training,
    }
    (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def load_artifact(folder: Path) -> Artifact:
    """Read the three files and check that they agree.

    Raises:
        ArtifactError: a file is missing or unreadable, or contradicts another.
    """
    settings = read_json_object(folder / SETTINGS_FILE)
    network = _section(folder / SETTINGS_FILE, settings, "network", NetworkSettings)
    text = _section(folder / SETTINGS_FILE, settings, "text", TextSettings)
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    if len(vocabulary) != network.vocab_size:
        raise ArtifactError(
            f"{folder / VOCABULARY_FILE}: {len(vocabulary)} ids, expected {network.vocab_size}"
        )
    tensors = _read_tensors(folder / WEIGHTS_FILE)
    ngram_model = _pop_ngram_model(folder / WEIGHTS_FILE, tensors, len(vocabulary))
    expected = network.tensor_shapes()
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise ArtifactError(f"{folder / WEIGHTS_FILE}: expected the tensors {expected}")
    if any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise ArtifactError(f"{folder / WEIGHTS_FILE}: expected float32 tensors")
    unknown_share = settings.get("unknown_share", {})
    if not isinstance(unknown_share, dict) or not all(
        isinstance(value, float) and 0 <= value <= 1 for value in unknown_share.values()
    ):
        raise ArtifactError(f"{folder / SETTINGS_FILE}: unknown_share: expected fractions by name")
    training = settings.get("training", {})
    return Artifact(tensors, vocabulary, network, text, training, ngram_model, unknown_share)


def _ngram_tensors(artifact: Artifact) -> dict[str, NDArray[Any]]:
    model = artifact.ngram_model
    if model is None:
        return {}
    arrays = (model.features.keys, model.coefficients, np.array([model.intercept], np.float32))
    return dict(zip(_NGRAM_TENSORS, arrays, strict=True))


def _pop_ngram_model(path: Path, tensors: dict[str, NDArray[Any]], base: int) -> NBSVM | None:
    arrays = [tensors.pop(name) for name in _NGRAM_TENSORS if name in tensors]
    if not arrays:
        return None
    types = [(array.ndim, array.dtype.name) for array in arrays]
    if types != [(1, "int64"), (1, "float32"), (1, "float32")]:
        raise ArtifactError(f"{path}: expected int64 keys and float32 coefficients of n-grams")
    keys, coefficients, intercept = arrays
    is_sorted = len(keys) > 0 and keys[0] >= 0 and bool((keys[1:] > keys[:-1]).all())
    if not is_sorted or len(coefficients) != len(keys) or len(intercept) != 1:
        raise ArtifactError(f"{path}: expected sorted n-grams with a coefficient each, and one intercept")
    return NBSVM(NgramFeatures(keys, base), coefficients, float(intercept[0]))


def _section(path: Path, settings: dict[str, Any], name: str, cls: type[T]) -> T:
    content = settings.get(name)
    try:
        if not isinstance(content, dict):
            raise ValueError("expected a JSON object")
        return cls(**content)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: {name}: {error}") from error


def _read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Not the whole file at once, which would take its size in addition.
        with safe_open(path, "numpy") as file:
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except OSError as error:
        raise ArtifactError(f"{path} is missing or unreadable ({error.strerror})") from error
    except SafetensorError as error:
        raise ArtifactError(f"{path}: not a safetensors file ({error})") from error
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ArtifactError(f"{path}: {name} has a number that is not finite; train the model again")
    return tensors
