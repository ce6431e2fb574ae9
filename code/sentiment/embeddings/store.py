"""Pretrained word embeddings: the result of a job with unlabeled reviews only, and input of later jobs.

That job leaves no servable model. The embeddings of a trained model can be reused, too.
"""

import hashlib
import logging
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from byoc.artifact import MANIFEST, check_artifact
from byoc.errors import ArtifactError, DataError
from byoc.files import atomic_write
from sentiment.model.artifact import SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, load_artifact
from sentiment.text.vocabulary import FIRST_WORD, Vocabulary

logger = logging.getLogger(__name__)

VECTORS_FILE = "vectors.safetensors"
# SageMaker packs the model folder into this archive, and does not unpack it in a channel.
_ARCHIVE = "model.tar.gz"
_FILES = {MANIFEST, SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, VECTORS_FILE}


class WordVectors(NamedTuple):
    """Embeddings and their vocabulary."""

    vocabulary: Vocabulary
    vectors: NDArray[np.float32]  # [vocab_size, embedding_dim] float32; zero for a word without an embedding

    def save(self, folder: Path) -> None:
        """Write the files, and remove the manifest of a model in the folder, whose vocabulary differs.

        Raises:
            OSError: the folder is not writable.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        self.vocabulary.save(folder / VOCABULARY_FILE)
        with atomic_write(folder / VECTORS_FILE) as stream:
            stream.write(serialize({"vectors": self.vectors, "vocabulary": _hash(self.vocabulary)}))

    def fingerprint(self) -> str:
        """Size and hash of the content."""
        digest = hashlib.sha256(self.vectors.tobytes() + _hash(self.vocabulary).tobytes())
        return f"of {len(self.vocabulary)} ids, SHA-256 {digest.hexdigest()[:16]}"

    def align(self, vocabulary: Vocabulary) -> NDArray[np.float32]:
        """[vocab_size, embedding_dim] embeddings of another vocabulary.

        A new n-gram gets the mean of its words' embeddings, a new word zero.
        """
        rows = dict(zip(self.vocabulary.words, self.vectors[FIRST_WORD:], strict=False))
        rows |= dict(zip(self.vocabulary.ngrams, self.vectors[self.vocabulary.first_ngram :], strict=True))
        zero = np.zeros(self.vectors.shape[1], np.float32)
        aligned = [zero, self.vectors[FIRST_WORD - 1]]
        aligned += [rows.get(word, zero) for word in vocabulary.words]
        for ngram in vocabulary.ngrams:
            mean = np.mean([rows.get(word, zero) for word in ngram.split()], axis=0)
            aligned.append(rows.get(ngram, mean))
        return np.stack(aligned).astype(np.float32)


def _hash(vocabulary: Vocabulary) -> NDArray[np.uint8]:
    """[32] SHA-256 of a vocabulary."""
    content = "\n".join([*vocabulary.words, *vocabulary.ngrams]).encode()
    return np.frombuffer(hashlib.sha256(content).digest(), np.uint8)


def load(folder: Path, embedding_dim: int) -> WordVectors:
    """Load embeddings from the files of a job or from SageMaker's archive of them.

    Raises:
        ArtifactError: a file is missing or damaged.
        DataError: the embeddings have another dimension.
    """
    archive = folder / _ARCHIVE
    if archive.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            _unpack(archive, Path(temporary))
            vectors = _read(Path(temporary), archive)
    else:
        vectors = _read(folder, folder)
    dimension = vectors.vectors.shape[1]
    if dimension != embedding_dim:
        raise DataError(
            f"the word embeddings have {dimension} dimensions, expected {embedding_dim}\n"
            f"set embedding_dim={dimension}, or provide other embeddings"
        )
    logger.info("pretrained: embeddings of %d words and n-grams", len(vectors.vocabulary) - FIRST_WORD)
    return vectors


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


def _read(folder: Path, origin: Path) -> WordVectors:
    if (folder / MANIFEST).is_file():
        check_artifact(folder, __name__.partition(".")[0])
        artifact = load_artifact(folder)
        return WordVectors(artifact.vocabulary, artifact.weights["embedding.weight"])
    if not (folder / VECTORS_FILE).is_file():
        raise ArtifactError(
            f"{origin} has neither {VECTORS_FILE} nor {MANIFEST}; expected the model folder of a training "
            f"job, or its {_ARCHIVE}"
        )
    try:
        tensors = deserialize((folder / VECTORS_FILE).read_bytes())
        vectors, digest = tensors["vectors"], tensors["vocabulary"]
    except (SafetensorError, KeyError) as error:
        raise ArtifactError(f"{origin}: {VECTORS_FILE} is damaged ({error})") from error
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    is_matching = vectors.ndim == 2 and len(vectors) == len(vocabulary) and vectors.dtype == np.float32
    if not (is_matching and np.array_equal(digest, _hash(vocabulary))):
        raise ArtifactError(f"{origin}: {VECTORS_FILE} and {VOCABULARY_FILE} are from different jobs")
    if not np.isfinite(vectors).all():
        raise ArtifactError(f"{origin}: {VECTORS_FILE} contains values that are not finite")
    return WordVectors(vocabulary, vectors)
