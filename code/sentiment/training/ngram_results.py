"""The n-gram model of a training job, fitted on rank 0, and its logits on the held-out reviews."""

import numpy as np
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from byoc.job import Job
from sentiment.data.datasets import Datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.ngram_model.nbsvm import NBSVM


class NgramResults:
    """The n-gram model, on rank 0, and its logits on the held-out reviews, on every process.

    Attributes:
        model: None on other ranks, and with ``ngram_weight=0``.
        logits: [models, reviews] of each held-out set, by set name, of one model or of none.
    """

    def __init__(self, job: Job, data: Datasets, hyperparameters: Hyperparameters) -> None:
        """Fit the model.

        Raises:
            DataError: the reviews have no common n-gram.
            Stopped: a stop was requested on any process.
        """
        self.model: NBSVM | None = None
        group, held_out = job.process_group, data.held_out
        self.logits = {
            name: np.empty((0, len(examples.labels)), np.float32) for name, examples in held_out.items()
        }
        if hyperparameters.ngram_weight == 0:
            return

        def fit() -> NBSVM | None:
            if group.rank > 0:
                return None
            return NBSVM.fit(data.training, len(data.vocabulary), hyperparameters.max_ngrams)

        self.model = group.run_interruptible(job.stop, fit)
        if self.model is not None:
            for name, examples in held_out.items():
                self.logits[name] = self.model.logits(examples.sequences)[None]
        if group.size > 1:
            self.logits = deserialize(group.broadcast(serialize(self.logits)) or b"")
