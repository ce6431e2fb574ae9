"""The work before the first training step: the n-gram model and the initial embeddings."""

import logging
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize
from torch import Tensor

from byoc.checkpoints import Checkpoint
from byoc.distributed.process_group import ProcessGroup
from byoc.signals import StopFlag
from sentiment.data.datasets import Datasets
from sentiment.embeddings.documents import DOCUMENT_EPOCHS, DocumentVectors, train_document_vectors
from sentiment.embeddings.word2vec import WORD2VEC_EPOCHS, train_word2vec
from sentiment.hyperparameters import Hyperparameters
from sentiment.ngram_model import model as ngram_model
from sentiment.ngram_model.scores import NgramScores
from sentiment.text.ngrams import Keys
from sentiment.text.sequences import Examples, Sequences
from sentiment.text.vocabulary import Vocabulary
from sentiment.training.stage_cache import Arrays, StageCache
from sentiment.training.state import with_prefix

logger = logging.getLogger(__name__)

_CHECKPOINT_PREFIX = "warm_start."


class WarmStart(NamedTuple):
    """Results that training starts from.

    Attributes:
        ngrams: n-gram tokens to add to the vocabulary.
        probabilities: [training sequences] target probability of "positive".
        vectors: [vocab_size, embedding_dim] initial embeddings; None for random ones and in a resumed job.
        ngram_scores: of words and n-gram tokens; None with ``ngram_init=none``.
    """

    ngrams: list[str]
    probabilities: NDArray[np.float32]
    vectors: NDArray[np.float32] | None = None
    ngram_scores: NgramScores | None = None

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it by name."""
        arrays: dict[str, NDArray[Any]] = {
            "ngrams": np.frombuffer("\n".join(self.ngrams).encode(), np.uint8),
            "probabilities": self.probabilities,
        }
        if self.vectors is not None:
            arrays["vectors"] = self.vectors
        for name, array in self.ngram_scores._asdict().items() if self.ngram_scores else ():
            arrays[f"ngram_scores.{name}"] = array
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The inverse of ``to_arrays``."""
        names = [f"ngram_scores.{name}" for name in NgramScores._fields]
        return cls(
            bytes(arrays["ngrams"]).decode().split("\n") if len(arrays["ngrams"]) else [],
            arrays["probabilities"],
            arrays.get("vectors"),
            NgramScores(*(arrays[name] for name in names)) if names[0] in arrays else None,
        )

    def to_checkpoint_tensors(self) -> dict[str, Tensor]:
        """All but the embeddings, which are weights of the network by then."""
        arrays = self._replace(vectors=None).to_arrays()
        return {f"{_CHECKPOINT_PREFIX}{name}": torch.tensor(array) for name, array in arrays.items()}

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The inverse of ``to_checkpoint_tensors``."""
        tensors = with_prefix(_CHECKPOINT_PREFIX, checkpoint.tensors)
        return cls.from_arrays({name: tensor.numpy() for name, tensor in tensors.items()})


def training_sequences(data: Datasets, hyperparameters: Hyperparameters) -> Sequences:
    """The labeled reviews, then the unlabeled ones if they are trained on with soft labels."""
    return data.training.sequences.concatenate(_soft_labeled(data, hyperparameters).sequences)


def _soft_labeled(data: Datasets, hyperparameters: Hyperparameters) -> Examples:
    """Unlabeled reviews to train on."""
    return data.unlabeled if hyperparameters.soft_label_weight > 0 else Examples.empty()


def create_warm_start(
    data: Datasets,
    hyperparameters: Hyperparameters,
    process_group: ProcessGroup,
    stop: StopFlag,
    stages: StageCache | None = None,
) -> WarmStart:
    """The warm start of a job on every process, computed on rank 0 without any held-out review.

    ``data`` has no n-gram tokens yet; ``stages`` caches the slow stages.

    Raises:
        DataError: there are too few reviews.
        Stopped: a stop was requested on any process.
        OSError: a stage cannot be written.
    """
    cache = stages or StageCache()
    warm_start = process_group.run_interruptible(
        stop, lambda: _create(data, hyperparameters, cache) if process_group.rank == 0 else None
    )
    if process_group.size == 1 and warm_start:
        return warm_start
    content = process_group.broadcast(serialize(warm_start.to_arrays()) if warm_start else None)
    return WarmStart.from_arrays(deserialize(content or b""))


def _create(data: Datasets, hyperparameters: Hyperparameters, stages: StageCache) -> WarmStart:
    warm_start = WarmStart([], data.training.labels.astype(np.float32))
    if hyperparameters.has_ngram_model:
        warm_start = _fit_ngram_model(data, hyperparameters, stages)
    else:
        documents = _embed_documents(data, np.empty(0, np.int64), hyperparameters, stages)
        warm_start = warm_start._replace(vectors=documents and documents.ngrams)
    if data.pretrained is not None:
        vocabulary = Vocabulary(data.vocabulary.words, warm_start.ngrams)
        return warm_start._replace(vectors=data.pretrained.align(vocabulary))
    if hyperparameters.embedding_init == "word2vec":
        data = data.insert_ngrams(warm_start.ngrams)
        shape = (len(data.vocabulary), hyperparameters.embedding_dim)
        sequences = [data.training.sequences, data.unlabeled.sequences]
        seed = hyperparameters.seed
        arrays = stages.get_or_compute(
            "vectors",
            lambda: {"vectors": train_word2vec(sequences, shape, WORD2VEC_EPOCHS, seed)},
            "\n".join(warm_start.ngrams).encode(),
        )
        return warm_start._replace(vectors=arrays["vectors"])
    return warm_start


def _embed_documents(
    data: Datasets, ngrams: Keys, hyperparameters: Hyperparameters, stages: StageCache
) -> DocumentVectors | None:
    """Vectors of the reviews, labeled ones first, and of words and n-grams; None if they are not used."""
    is_needed = data.pretrained is None or hyperparameters.soft_label_weight > 0
    if hyperparameters.embedding_init != "documents" or not is_needed:
        return None
    vocab_size = len(data.vocabulary)
    keys = np.concatenate([np.arange(vocab_size), ngrams])
    reviews = data.training.sequences.concatenate(data.unlabeled.sequences)
    shape = (hyperparameters.embedding_dim, DOCUMENT_EPOCHS, hyperparameters.seed)
    arrays = stages.get_or_compute(
        "documents",
        lambda: train_document_vectors(reviews, keys, vocab_size, *shape)._asdict(),
        keys.tobytes(),
    )
    return DocumentVectors(**arrays)


def _fit_ngram_model(data: Datasets, hyperparameters: Hyperparameters, stages: StageCache) -> WarmStart:
    documents: DocumentVectors | None = None

    def embed_reviews(ngrams: Keys) -> NDArray[np.float32] | None:
        nonlocal documents
        documents = _embed_documents(data, ngrams, hyperparameters, stages)
        return documents and documents.reviews

    if hyperparameters.soft_label_weight > 0 and len(data.unlabeled.labels) == 0:
        logger.info("soft_label_weight has more effect with a channel unlabeled; this job has none")
    unlabeled = _soft_labeled(data, hyperparameters)
    model = ngram_model.fit(data.training, unlabeled, data.vocabulary, hyperparameters, embed_reviews)
    return WarmStart(model.ngrams, model.probabilities, documents and documents.ngrams, model.scores)
