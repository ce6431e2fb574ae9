"""Word vectors that a job of its own has made, for later jobs to begin with: the channel ``pretrained``.

Such a job has a channel ``unlabeled`` and none to train on. What it leaves is no model, which nobody can
serve by mistake. A trained model's vectors can be begun with, too.
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

PRETRAINED = "pretrained"
VECTORS_FILE = "vectors.safetensors"
# What SageMaker makes of a job's model folder; it puts it into a channel as it is.
_ARCHIVE = "model.tar.gz"
_FILES = {MANIFEST, SETTINGS_FILE, VOCABULARY_FILE, WEIGHTS_FILE, VECTORS_FILE}


class WordVectors(NamedTuple):
    """They, and whose they are.

    Attributes:
        vocabulary: gives each word and phrase its row.
        vectors: [vocab_size, embedding_dim] float32; zero where nothing is known of a word.
    """

    vocabulary: Vocabulary
    vectors: NDArray[np.float32]

    def save(self, folder: Path) -> None:
        """Write them; a model that is in the folder is none from then on, for the vocabulary is not its own.

        Raises:
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        self.vocabulary.save(folder / VOCABULARY_FILE)
        with atomic_write(folder / VECTORS_FILE) as stream:
            stream.write(serialize({"vectors": self.vectors, "vocabulary": _digest(self.vocabulary)}))

    def fingerprint(self) -> str:
        """A hash of the content, and how much that is."""
        digest = hashlib.sha256(self.vectors.tobytes() + _digest(self.vocabulary).tobytes())
        return f"of {len(self.vocabulary)} ids, SHA-256 {digest.hexdigest()[:16]}"

    def of(self, vocabulary: Vocabulary) -> NDArray[np.float32]:
        """[vocab_size, embedding_dim] the vectors of another vocabulary's words.

        A phrase that is not known has the mean of its words' vectors, a word that is not known has zero.
        """
        rows = dict(zip(self.vocabulary.words, self.vectors[FIRST_WORD:], strict=False))
        rows |= dict(zip(self.vocabulary.ngrams, self.vectors[self.vocabulary.first_ngram :], strict=True))
        nothing = np.zeros(self.vectors.shape[1], np.float32)
        found = [nothing, self.vectors[FIRST_WORD - 1]]
        found += [rows.get(word, nothing) for word in vocabulary.words]
        for phrase in vocabulary.ngrams:
            of_words = np.mean([rows.get(word, nothing) for word in phrase.split()], axis=0)
            found.append(rows.get(phrase, of_words))
        return np.stack(found).astype(np.float32)


def _digest(vocabulary: Vocabulary) -> NDArray[np.uint8]:
    """[32] the SHA-256 of a lookup table."""
    content = "\n".join([*vocabulary.words, *vocabulary.ngrams]).encode()
    return np.frombuffer(hashlib.sha256(content).digest(), np.uint8)


def load(folder: Path, embedding_dim: int) -> WordVectors:
    """The word vectors of the channel: the files that a job left, or the archive that SageMaker made of them.

    Raises:
        DataError: there are none, they are damaged, or not of this many dimensions.
    """
    try:
        found = _load(folder)
    except ArtifactError as error:
        raise DataError(f"channel {PRETRAINED}: {error}") from error
    if found.vectors.shape[1] != embedding_dim:
        raise DataError(
            f"channel {PRETRAINED}: the word vectors have {found.vectors.shape[1]} elements, expected "
            f"{embedding_dim}\ngive embedding_dim={found.vectors.shape[1]}, or other vectors"
        )
    logger.info("pretrained: vectors of %d words and phrases", len(found.vocabulary) - FIRST_WORD)
    return found


def _load(folder: Path) -> WordVectors:
    archive = folder / _ARCHIVE
    if archive.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            _unpack(archive, Path(temporary))
            return _read(Path(temporary), archive)
    return _read(folder, folder)


def _unpack(archive: Path, folder: Path) -> None:
    """Write those files of an archive that are looked for, whatever else is in it."""
    found = {}
    try:
        with tarfile.open(archive, "r:gz") as content:
            for member in content:
                name = member.name.removeprefix("./")
                if name in _FILES and member.isfile() and (stream := content.extractfile(member)):
                    found[name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArtifactError(f"{archive}: the archive is damaged or cut off ({error})") from error
    for name, raw in found.items():
        (folder / name).write_bytes(raw)


def _read(folder: Path, source: Path) -> WordVectors:
    if (folder / MANIFEST).is_file():
        check_artifact(folder, __name__.partition(".")[0])
        artifact = load_artifact(folder)
        return WordVectors(artifact.vocabulary, artifact.weights["embedding.weight"])
    if not (folder / VECTORS_FILE).is_file():
        raise ArtifactError(
            f"{source} has neither {VECTORS_FILE} nor {MANIFEST}; expected what a training job left "
            f"in its model folder, or its {_ARCHIVE}"
        )
    try:
        tensors = deserialize((folder / VECTORS_FILE).read_bytes())
        vectors, digest = tensors["vectors"], tensors["vocabulary"]
    except (SafetensorError, KeyError) as error:
        raise ArtifactError(f"{source}: {VECTORS_FILE} is damaged ({error})") from error
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    fits = vectors.ndim == 2 and len(vectors) == len(vocabulary) and vectors.dtype == np.float32
    if not (fits and np.array_equal(digest, _digest(vocabulary))):
        raise ArtifactError(f"{source}: {VECTORS_FILE} and {VOCABULARY_FILE} are not of one job")
    if not np.isfinite(vectors).all():
        raise ArtifactError(f"{source}: {VECTORS_FILE} has elements that are no finite numbers")
    return WordVectors(vocabulary, vectors)
