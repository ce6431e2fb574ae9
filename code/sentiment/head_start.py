"""What a training has before its first step: word vectors, and what a teacher says of the reviews."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.batches import Sequences
from sentiment.datasets import Datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.ranks import Ranks
from sentiment.stop import Stop


class HeadStart(NamedTuple):
    """It.

    Attributes:
        targets: [reviews to learn from], what the network is to say of each: a probability of "positive".
        vectors: [vocab_size, embedding_dim] to begin with; None where they are to be random, and on all ranks
            but 0, whose weights all begin with.
    """

    targets: NDArray[np.float32]
    vectors: NDArray[np.float32] | None


def to_learn_from(data: Datasets, hyperparameters: Hyperparameters) -> Sequences:
    """The labelled reviews, and behind them, if there is a teacher, the others."""
    labelled = data.training.sequences
    return labelled.joined(data.unlabeled) if hyperparameters.distillation > 0 else labelled


def make(data: Datasets, hyperparameters: Hyperparameters, ranks: Ranks, stop: Stop) -> HeadStart:
    """The head start that the hyperparameters ask for, from everything that nothing is measured on.

    Raises:
        Stopped: any of the ranks was told to stop meanwhile.
    """
    found = ranks.unless_stopped(stop, lambda: _make(data, hyperparameters) if ranks.rank == 0 else None)
    targets = ranks.broadcast(found.targets.tobytes() if found else None)
    return HeadStart(
        np.frombuffer(targets or b"", np.float32).copy(),
        found.vectors if found else None,
    )


def _make(data: Datasets, hyperparameters: Hyperparameters) -> HeadStart:
    # Imported here, because it takes seconds that most jobs do not need.
    from sentiment.distillation import taught  # noqa: PLC0415
    from sentiment.word_vectors import word2vec  # noqa: PLC0415

    vectors = None
    if hyperparameters.word_vectors == "word2vec":
        shape = (len(data.vocabulary), hyperparameters.embedding_dim)
        parts = [data.training.sequences, data.unlabeled]
        vectors = word2vec(parts, shape, hyperparameters.word2vec_epochs, hyperparameters.seed)
    targets = data.training.labels.astype(np.float32)
    if hyperparameters.distillation > 0:
        targets = taught(data.training, data.unlabeled, hyperparameters.distillation)
    return HeadStart(targets, vectors)
