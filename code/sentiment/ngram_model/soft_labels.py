"""Soft labels for distillation: out-of-fold probabilities of labeled and unlabeled reviews.

They carry the n-gram model's confidence: Hinton, Vinyals and Dean, arXiv:1503.02531.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sentiment.ngram_model.cross_fit import FOLDS, CrossFittedNBSVM
from sentiment.text.sequences import Sequences

_C = 0.02  # inverse strength of the L2 penalty with document vectors
_LOGIT_SCALE = 0.3  # brings logits to the size of vector elements, for the penalty
_MIN_PROBABILITY = 1e-6


class SoftLabels(NamedTuple):
    """Probabilities of "positive"."""

    labeled: NDArray[np.float32]  # [labeled reviews], each from a model fitted without the review
    unlabeled: NDArray[np.float32]  # [FOLDS + 1, unlabeled reviews], from each model

    @classmethod
    def predict(cls, model: CrossFittedNBSVM, unlabeled: Sequences) -> "SoftLabels":
        """Predict all labels from n-grams."""
        return cls(model.predict_out_of_fold(), model.predict_unlabeled(unlabeled))

    def refine(self, vectors: NDArray[np.float32], model: CrossFittedNBSVM) -> "SoftLabels":
        """Predict the labels again, by regression on these logits and on document vectors.

        ``vectors`` [labeled + unlabeled reviews, dimensions] have a root mean square of 1.
        """
        # A fold's regression is fitted to predictions of models that saw the fold. The leak is negligible:
        # one label among thousands, in one column.
        count = len(self.labeled)
        columns = _columns(vectors[:count], self.labeled)
        labeled, unlabeled = np.empty_like(self.labeled), np.empty_like(self.unlabeled)
        for k in range(FOLDS + 1):
            inside = model.fold == k
            regression = LogisticRegression(C=_C, max_iter=1_000).fit(columns[~inside], model.labels[~inside])
            if inside.any():
                labeled[inside] = regression.predict_proba(columns[inside])[:, 1]
            if len(vectors) > count:
                further = _columns(vectors[count:], self.unlabeled[k])
                unlabeled[k] = regression.predict_proba(further)[:, 1]
        return SoftLabels(labeled, unlabeled)

    def targets(self, labels: NDArray[np.int8], weight: float) -> NDArray[np.float32]:
        """[labeled + unlabeled reviews] training targets; ``weight`` is the soft share of a labeled one."""
        mixed = (1 - weight) * labels.astype(np.float32) + weight * self.labeled
        return np.concatenate([mixed, self.unlabeled[FOLDS]]).astype(np.float32)


def _columns(vectors: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """[reviews, dimensions + 1]: vectors and scaled logits."""
    clipped = probabilities.astype(np.float64).clip(_MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    logits = np.log(clipped / (1 - clipped)) * _LOGIT_SCALE
    return np.column_stack([vectors, logits.astype(np.float32)])
