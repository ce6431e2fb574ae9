"""What a training has before its first step: phrases, word vectors, and what teachers say of the reviews."""

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
from sentiment.ngram_model import selection as phrase_choice
from sentiment.ngram_model.nbsvm import Teachers
from sentiment.ngram_model.scores import NgramScores, fit_ngram_scores
from sentiment.ngram_model.soft_labels import Told
from sentiment.settings import DAMPING
from sentiment.text.ngrams import Keys
from sentiment.text.sequences import Sequences
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


def to_learn_from(data: Datasets, hyperparameters: Hyperparameters) -> Sequences:
    """The labelled reviews, and behind them, if teachers say what those without a label are, the others."""
    labelled = data.training.sequences
    return labelled.concatenate(data.unlabeled) if hyperparameters.soft_label_weight > 0 else labelled


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
    if hyperparameters.has_teachers:
        begin = _taught(data, hyperparameters, stages)
    else:
        documents = _documents(data, np.empty(0, np.int64), hyperparameters, stages)
        begin = begin._replace(vectors=documents and documents.words)
    if data.pretrained is not None:
        vocabulary = Vocabulary(data.vocabulary.words, begin.ngrams)
        begin = begin._replace(vectors=data.pretrained.of(vocabulary))
    elif hyperparameters.embedding_init == "word2vec":
        data = data.insert_ngrams(begin.ngrams)
        shape = (len(data.vocabulary), hyperparameters.embedding_dim)
        parts = [data.training.sequences, data.unlabeled]
        epochs, seed = hyperparameters.word2vec_epochs, hyperparameters.seed
        made_of = "\n".join(begin.ngrams).encode()
        found = stages.done("vectors", lambda: {"vectors": word2vec(parts, shape, epochs, seed)}, made_of)
        begin = begin._replace(vectors=found["vectors"])
    return begin


def _documents(
    data: Datasets, phrases: Keys, hyperparameters: Hyperparameters, stages: Stages
) -> Documents | None:
    """Vectors of the reviews, labelled ones first, and of words and phrases; None where none is needed."""
    is_needed = data.pretrained is None or hyperparameters.soft_label_weight > 0
    if hyperparameters.embedding_init != "documents" or not is_needed:
        return None
    base = len(data.vocabulary)
    wanted = np.concatenate([np.arange(base), phrases])
    reviews = data.training.sequences.concatenate(data.unlabeled)
    width, epochs = hyperparameters.embedding_dim, hyperparameters.document_epochs

    def learn() -> Tensors:
        found = document_vectors(reviews, wanted, base, width, epochs, hyperparameters.seed)
        return found._asdict()

    found = stages.done("documents", learn, wanted.tobytes())
    return Documents(**found)


def _taught(data: Datasets, hyperparameters: Hyperparameters, stages: Stages) -> HeadStart:
    """All but the vectors of word2vec."""
    teachers = Teachers.of(data.training, data.movies, len(data.vocabulary))
    choices = phrase_choice.chosen(teachers, hyperparameters.max_ngrams)
    phrases = np.unique(np.concatenate(choices))
    texts = phrase_choice.as_text(phrases, teachers, data.vocabulary)
    documents = _documents(data, teachers.ngrams.keys[phrases], hyperparameters, stages)
    told = _told(teachers, data, hyperparameters, documents)
    probabilities = told.targets(teachers.labels, hyperparameters.soft_label_weight)
    begin = HeadStart(texts, probabilities, documents and documents.words)
    if hyperparameters.ngram_init == "none":
        return begin
    allowed = np.ones((len(choices), len(data.vocabulary) + len(phrases)), np.bool_)
    allowed[:, len(data.vocabulary) :] = [np.isin(phrases, choice) for choice in choices]
    sequences = to_learn_from(data.insert_ngrams(texts), hyperparameters)
    damping = DAMPING.get(hyperparameters.pooling, 0)
    movies = data.unlabeled_movies[: told.others.shape[1]]  # of none where teachers are not asked
    found = fit_ngram_scores(teachers, sequences, told.others, movies, allowed, damping)
    return begin._replace(ngram_scores=found)


def _told(
    teachers: Teachers, data: Datasets, hyperparameters: Hyperparameters, documents: Documents | None
) -> Told:
    """What teachers say of the reviews to learn from."""
    is_asked = hyperparameters.soft_label_weight > 0
    if is_asked and len(data.unlabeled) == 0:
        logger.info("teachers: there is no channel unlabeled, which would let the network learn more of them")
    told = Told.by(teachers, data.unlabeled if is_asked else Sequences.from_lists([]))
    if not is_asked or documents is None:
        return told
    told = told.with_vectors(documents.reviews, teachers)
    right = ((told.labelled > 0.5) == (teachers.labels == 1)).mean()
    logger.info("teachers with document vectors: accuracy %.4f on reviews not seen", right)
    return told
