"""Everything computed before the first training step: the n-gram model and the initial embeddings."""

import logging
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from byoc.distributed.process_group import ProcessGroup
from byoc.signals import StopFlag
from sentiment.data.datasets import Datasets
from sentiment.embeddings.documents import Documents, document_vectors
from sentiment.embeddings.word2vec import word2vec
from sentiment.hyperparameters import Hyperparameters
from sentiment.ngram_model import model as ngram_model
from sentiment.ngram_model.scores import NgramScores
from sentiment.text.ngrams import Keys
from sentiment.text.sequences import Examples, Sequences
from sentiment.text.vocabulary import Vocabulary
from sentiment.training.stage_cache import NOT_KEPT, Stages, Tensors

logger = logging.getLogger(__name__)


class HeadStart(NamedTuple):
    """What a training has before its first step.

    Attributes:
        ngrams: n-gram tokens of the vocabulary.
        probabilities: [reviews to learn from], what the network is to say of each.
        vectors: [vocab_size, embedding_dim] to begin with; None where they are to be random, and where a
            training goes on: it has its own.
        ngram_scores: what each word and phrase tells by itself; None unless it is asked for.
    """

    ngrams: list[str]
    probabilities: NDArray[np.float32]
    vectors: NDArray[np.float32] | None = None
    ngram_scores: NgramScores | None = None

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """All of it by name, for other processes."""
        tensors = self.kept()
        if self.vectors is not None:
            tensors["vectors"] = self.vectors
        return tensors

    def kept(self) -> dict[str, NDArray[Any]]:
        """What of it a checkpoint keeps, by name: not the vectors, which are the network's since."""
        tensors: dict[str, NDArray[Any]] = {
            "ngrams": np.frombuffer("\n".join(self.ngrams).encode(), np.uint8),
            "probabilities": self.probabilities,
        }
        for name, array in self.ngram_scores._asdict().items() if self.ngram_scores else ():
            tensors[f"ngram_scores.{name}"] = array
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> Self:
        """What ``to_tensors`` gave, among others maybe."""
        names = [f"ngram_scores.{name}" for name in NgramScores._fields]
        return cls(
            bytes(tensors["ngrams"]).decode().split("\n") if len(tensors["ngrams"]) else [],
            tensors["probabilities"],
            tensors.get("vectors"),
            NgramScores(*(tensors[name] for name in names)) if names[0] in tensors else None,
        )


def training_sequences(data: Datasets, hyperparameters: Hyperparameters) -> Sequences:
    """The labeled reviews, then the unlabeled ones if they are trained on with soft labels."""
    return data.training.sequences.concatenate(_soft_labeled(data, hyperparameters).sequences)


def _soft_labeled(data: Datasets, hyperparameters: Hyperparameters) -> Examples:
    """Unlabeled reviews to train on."""
    return data.unlabeled if hyperparameters.soft_label_weight > 0 else Examples.empty()


def make(
    data: Datasets,
    hyperparameters: Hyperparameters,
    process_group: ProcessGroup,
    stop: StopFlag,
    stages: Stages = NOT_KEPT,
) -> HeadStart:
    """The head start that the hyperparameters ask for, from everything that nothing is measured on.

    Args:
        data: without phrases yet.
        hyperparameters: of the job.
        process_group: the processes of the job; the first one makes it for all.
        stop: ends it.
        stages: keeps what takes minutes of it.

    Raises:
        DataError: there is too little to learn from.
        Stopped: any of the ranks was told to stop meanwhile.
        OSError: a stage cannot be written.
    """
    found = process_group.run_interruptible(
        stop, lambda: _make(data, hyperparameters, stages) if process_group.rank == 0 else None
    )
    if process_group.size == 1 and found:
        return found
    content = process_group.broadcast(serialize(found.to_tensors()) if found else None)
    return HeadStart.from_tensors(deserialize(content or b""))


def _make(data: Datasets, hyperparameters: Hyperparameters, stages: Stages) -> HeadStart:
    begin = HeadStart([], data.training.labels.astype(np.float32))
    if hyperparameters.has_ngram_model:
        begin = _fit_ngram_model(data, hyperparameters, stages)
    else:
        documents = _documents(data, np.empty(0, np.int64), hyperparameters, stages)
        begin = begin._replace(vectors=documents and documents.words)
    if data.pretrained is not None:
        vocabulary = Vocabulary(data.vocabulary.words, begin.ngrams)
        begin = begin._replace(vectors=data.pretrained.of(vocabulary))
    elif hyperparameters.embedding_init == "word2vec":
        data = data.insert_ngrams(begin.ngrams)
        shape = (len(data.vocabulary), hyperparameters.embedding_dim)
        parts = [data.training.sequences, data.unlabeled.sequences]
        epochs, seed = hyperparameters.word2vec_epochs, hyperparameters.seed
        made_of = "\n".join(begin.ngrams).encode()
        found = stages.done("vectors", lambda: {"vectors": word2vec(parts, shape, epochs, seed)}, made_of)
        begin = begin._replace(vectors=found["vectors"])
    return begin


def _documents(
    data: Datasets, ngrams: Keys, hyperparameters: Hyperparameters, stages: Stages
) -> Documents | None:
    """Vectors of the reviews, labeled ones first, and of words and n-grams; None if they are not used."""
    is_needed = data.pretrained is None or hyperparameters.soft_label_weight > 0
    if hyperparameters.embedding_init != "documents" or not is_needed:
        return None
    base = len(data.vocabulary)
    wanted = np.concatenate([np.arange(base), ngrams])
    reviews = data.training.sequences.concatenate(data.unlabeled.sequences)
    width, epochs = hyperparameters.embedding_dim, hyperparameters.document_epochs

    def learn() -> Tensors:
        found = document_vectors(reviews, wanted, base, width, epochs, hyperparameters.seed)
        return found._asdict()

    found = stages.done("documents", learn, wanted.tobytes())
    return Documents(**found)


def _fit_ngram_model(data: Datasets, hyperparameters: Hyperparameters, stages: Stages) -> HeadStart:
    """All but the vectors of word2vec."""
    documents: Documents | None = None

    def embed_reviews(ngrams: Keys) -> NDArray[np.float32] | None:
        nonlocal documents
        documents = _documents(data, ngrams, hyperparameters, stages)
        return documents and documents.reviews

    if hyperparameters.soft_label_weight > 0 and len(data.unlabeled.labels) == 0:
        logger.info("soft_label_weight has more effect with a channel unlabeled; this job has none")
    unlabeled = _soft_labeled(data, hyperparameters)
    model = ngram_model.fit(data.training, unlabeled, data.vocabulary, hyperparameters, embed_reviews)
    return HeadStart(model.ngrams, model.probabilities, documents and documents.words, model.scores)
