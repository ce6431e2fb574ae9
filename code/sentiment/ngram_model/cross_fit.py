"""Out-of-fold predictions of NBSVM.

Each review is scored by a model fitted without that review and without any other review of its group (movie),
whose names would give the label away; so the predictions are not over-confident.
"""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from byoc.errors import DataError
from sentiment.ngram_model.features import NgramFeatures
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.text.sequences import Examples, Sequences

logger = logging.getLogger(__name__)

FOLDS = 4
_REMEDY = "provide more reviews, or set ngram_init=none, max_ngrams=0 and soft_label_weight=0"


class CrossFittedNBSVM(NamedTuple):
    """One model per fold, fitted without it, and one fitted to all reviews."""

    features: NgramFeatures
    matrix: sparse.csr_array  # [reviews, n-grams] features of the training reviews
    labels: NDArray[np.int8]  # [reviews]
    fold: NDArray[np.int64]  # [reviews]
    models: list[NBSVM]  # ``FOLDS`` models, then the model of all reviews

    @classmethod
    def fit(cls, training: Examples, base: int) -> "CrossFittedNBSVM":
        """Fit all models; ``base`` is the number of word ids.

        Raises:
            DataError: there are too few reviews, or they have no n-gram in common.
        """
        sequences, labels, groups = training
        if np.bincount(labels, minlength=2).min() < 2:
            raise DataError(f"the n-gram model needs two reviews of each class\n{_REMEDY}")
        logger.info("n-gram model: fitting to %d reviews takes a minute or two", len(labels))
        features = NgramFeatures.fit(sequences, base, min_reviews=2)
        if len(features.keys) == 0:
            raise DataError(f"no two reviews share a word; the n-gram model needs common n-grams\n{_REMEDY}")
        matrix = features.transform(sequences)
        fold = assign_folds(labels, groups)
        targets = labels.astype(np.float32)
        models = [NBSVM.fit(matrix[fold != k], targets[fold != k]) for k in range(FOLDS)]
        fitted = cls(features, matrix, labels, fold, [*models, NBSVM.fit(matrix, targets)])
        accuracy = ((fitted.predict_out_of_fold() > 0.5) == (labels == 1)).mean()
        logger.info("n-gram model: %d n-grams, out-of-fold accuracy %.4f", matrix.shape[1], accuracy)
        return fitted

    def predict_out_of_fold(self) -> NDArray[np.float32]:
        """[training reviews] probabilities of "positive", each from the model fitted without the review."""
        probabilities = np.empty(len(self.labels), np.float32)
        for k, model in enumerate(self.models[:FOLDS]):
            probabilities[self.fold == k] = model.predict_proba(self.matrix[self.fold == k])
        return probabilities

    def predict_unlabeled(self, sequences: Sequences) -> NDArray[np.float32]:
        """[FOLDS + 1, reviews] probabilities of "positive" from each model."""
        probabilities = np.empty((len(self.models), len(sequences)), np.float32)
        start = 0
        for chunk in sequences.chunks():
            matrix = self.features.transform(chunk)
            for k, model in enumerate(self.models):
                probabilities[k, start : start + len(chunk)] = model.predict_proba(matrix)
            start += len(chunk)
        return probabilities


def assign_folds(labels: NDArray[np.int8], groups: NDArray[np.uint64]) -> NDArray[np.int64]:
    """[reviews] fold of each: by group, or round-robin within each class if the groups are too few."""
    fold = group_folds(groups)
    remaining = [np.bincount(labels[fold != k], minlength=2).min() for k in range(FOLDS)]
    if min(remaining) == 0:
        for label in (0, 1):
            of_class = labels == label
            fold[of_class] = np.arange(of_class.sum()) % FOLDS
    return fold


def group_folds(groups: NDArray[np.uint64]) -> NDArray[np.int64]:
    """[reviews] fold of each group."""
    return (groups % np.uint64(FOLDS)).astype(np.int64)
