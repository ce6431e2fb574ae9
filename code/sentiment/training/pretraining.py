"""A job that makes word vectors of reviews without labels, and nothing else."""

import logging

from byoc.job import Job
from byoc.version import version
from sentiment.data import datasets
from sentiment.embeddings.store import PRETRAINED, WordVectors
from sentiment.embeddings.word2vec import word2vec
from sentiment.hyperparameters import Hyperparameters

logger = logging.getLogger(__name__)


def run(job: Job) -> None:
    """One process's part of it: all read, the first one learns.

    Raises:
        DataError: the reviews cannot be used.
        Stopped: any of the processes was told to stop before the vectors were there.
        OSError: they cannot be written.
    """
    hyperparameters: Hyperparameters = job.hyperparameters
    process_group, stop = job.process_group, job.stop
    logger.info("version %s; word vectors alone; %s", version(), hyperparameters)
    if hyperparameters.embedding_init == "documents":
        logger.warning(
            "embedding_init=documents: those come in the job that has the labels; here they are word2vec's"
        )
    channels, sharded = job.channels, job.opt_ml.sharded_channels()
    vocabulary, reviews = datasets.load_unlabeled(channels, hyperparameters, sharded, process_group, stop)
    shape = (len(vocabulary), hyperparameters.embedding_dim)
    epochs, seed = hyperparameters.word2vec_epochs, hyperparameters.seed
    vectors = process_group.run_interruptible(
        stop, lambda: word2vec([reviews], shape, epochs, seed) if process_group.rank == 0 else None
    )
    if vectors is not None:
        WordVectors(vocabulary, vectors).save(job.opt_ml.model)
    logger.info("done; word vectors for a channel %s are in %s", PRETRAINED, job.opt_ml.model)
