"""Weights of a language model that a classifier starts from, and their file: the channel ``pretrained``."""

import hashlib
import logging
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize
from torch import Tensor, nn

from byoc.artifact import MANIFEST, check_artifact, write_artifact
from byoc.errors import ArtifactError, DataError
from sentiment.model.artifact import SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, load_artifact
from sentiment.settings import NetworkSettings
from sentiment.text.vocabulary import PAD_ID, UNK_ID, Vocabulary

logger = logging.getLogger(__name__)

T = TypeVar("T")

LANGUAGE_MODEL_FILE = "language_model.safetensors"
# SageMaker packs the model folder into this archive, and does not unpack it in a channel.
_ARCHIVE = "model.tar.gz"
_PACKAGE = __name__.partition(".")[0]
_FILES = {MANIFEST, SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, LANGUAGE_MODEL_FILE}
# Names of the tensors that the classifier takes over.
_SHARED = ("embedding.", "lstm.")


class PretrainedWeights(NamedTuple):
    """Weights that a classifier starts from, and their vocabulary."""

    vocabulary: Vocabulary
    weights: dict[str, NDArray[np.float32]]  # the tensors of embedding and LSTM, by name

    @classmethod
    def of(cls, vocabulary: Vocabulary, model: nn.Module) -> "PretrainedWeights":
        """The weights of a language model."""
        tensors = _select_shared(model.state_dict())
        return cls(vocabulary, {name: tensor.cpu().numpy() for name, tensor in tensors.items()})

    def save(self, folder: Path) -> None:
        """Replace the model in a folder.

        Raises:
            ArtifactError: a file of the same name is not this program's.
            OSError: the folder is not writable.
        """
        write_artifact(folder, _PACKAGE, self._write)

    def _write(self, folder: Path) -> None:
        self.vocabulary.save(folder / VOCABULARY_FILE)
        (folder / LANGUAGE_MODEL_FILE).write_bytes(serialize(self.weights))

    def fingerprint(self) -> str:
        """Size and hash of the content."""
        digest = hashlib.sha256("\n".join(self.vocabulary.words).encode())
        for name in sorted(self.weights):
            digest.update(self.weights[name].tobytes())
        return f"of {len(self.vocabulary)} ids, SHA-256 {digest.hexdigest()[:16]}"

    def align(self, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """The tensors for another vocabulary; a new word gets the embedding of the unknown token."""
        rows = [PAD_ID, UNK_ID, *self.vocabulary.ids(vocabulary.words)]
        embedding = self.weights["embedding.weight"][rows]
        embedding[PAD_ID] = 0.0
        arrays = self.weights | {"embedding.weight": embedding}
        return {name: torch.tensor(array) for name, array in arrays.items()}


def load_pretrained(folder: Path, embedding_dim: int, hidden_dim: int) -> PretrainedWeights:
    """Load a language model, or a trained model, from the files of a job or SageMaker's archive of them.

    Raises:
        ArtifactError: a file is missing or damaged.
        DataError: the language model has another shape.
    """
    archive = folder / _ARCHIVE
    if archive.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            _unpack(archive, Path(temporary))
            pretrained = _read(Path(temporary), archive)
    else:
        pretrained = _read(folder, folder)
    gates, embedding = pretrained.weights["lstm.weight_ih_l0"].shape
    if (embedding, gates // 4) != (embedding_dim, hidden_dim):
        raise DataError(
            f"the language model has embedding_dim={embedding} and hidden_dim={gates // 4}, expected "
            f"{embedding_dim} and {hidden_dim}\nset both, or provide another language model"
        )
    logger.info("pretrained: language model of %d words", len(pretrained.vocabulary.words))
    return pretrained


def _unpack(archive: Path, folder: Path) -> None:
    """Extract the expected files only."""
    contents = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in _FILES and member.isfile() and (stream := tar.extractfile(member)):
                    contents[name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArtifactError(f"{archive}: the archive is damaged or truncated ({error})") from error
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _read(folder: Path, origin: Path) -> PretrainedWeights:
    if not (folder / MANIFEST).is_file():
        raise ArtifactError(
            f"{origin} has neither a language model nor a trained model; expected the model folder of a "
            f"training job, or its {_ARCHIVE}"
        )
    check_artifact(folder, _PACKAGE)
    if not (folder / LANGUAGE_MODEL_FILE).is_file():
        artifact = load_artifact(folder)
        return PretrainedWeights(artifact.vocabulary, _select_shared(artifact.weights))
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    try:
        tensors = deserialize((folder / LANGUAGE_MODEL_FILE).read_bytes())
        embedding_dim = tensors["embedding.weight"].shape[1]
        hidden_dim = tensors["lstm.weight_hh_l0"].shape[1]
        shapes = NetworkSettings(len(vocabulary), embedding_dim, hidden_dim, "last").tensor_shapes()
    except (SafetensorError, KeyError, IndexError, ValueError) as error:
        raise ArtifactError(f"{origin}: {LANGUAGE_MODEL_FILE} is damaged ({error})") from error
    expected = _select_shared(shapes)
    if {name: array.shape for name, array in tensors.items()} != expected:
        raise ArtifactError(f"{origin}: {LANGUAGE_MODEL_FILE} is damaged (expected the tensors {expected})")
    if not all(np.isfinite(array).all() for array in tensors.values()):
        raise ArtifactError(f"{origin}: {LANGUAGE_MODEL_FILE} contains values that are not finite")
    return PretrainedWeights(vocabulary, tensors)


def _select_shared(tensors: Mapping[str, T]) -> dict[str, T]:
    """The tensors that classifier and language model share."""
    return {name: value for name, value in tensors.items() if name.startswith(_SHARED)}
