"""A job that makes word vectors of reviews without labels, and nothing else."""

import logging

from sentiment import datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.opt_ml import OptMl
from sentiment.pretrained import PRETRAINED, WordVectors
from sentiment.ranks import Ranks
from sentiment.stop import Stop
from sentiment.version import version
from sentiment.word_vectors import word2vec

logger = logging.getLogger(__name__)


def run(opt_ml: OptMl, hyperparameters: Hyperparameters, ranks: Ranks, stop: Stop) -> None:
    """One process's part of it: all read, the first one learns.

    Raises:
        DataError: the reviews cannot be used.
        Stopped: any of the processes was told to stop before the vectors were there.
        OSError: they cannot be written.
    """
    logger.info("version %s; word vectors alone; %s", version(), hyperparameters)
    if hyperparameters.word_vectors == "documents":
        logger.warning(
            "word_vectors=documents: those come in the job that has the labels; here they are word2vec's"
        )
    channels, sharded = opt_ml.channels(), opt_ml.sharded_channels()
    vocabulary, reviews = datasets.load_unlabeled(channels, hyperparameters, sharded, ranks, stop)
    shape = (len(vocabulary), hyperparameters.embedding_dim)
    epochs, seed = hyperparameters.word2vec_epochs, hyperparameters.seed
    vectors = ranks.unless_stopped(
        stop, lambda: word2vec([reviews], shape, epochs, seed) if ranks.rank == 0 else None
    )
    if vectors is not None:
        WordVectors(vocabulary, vectors).save(opt_ml.model)
    ranks.leave()
    logger.info("done; word vectors for a channel %s are in %s", PRETRAINED, opt_ml.model)
