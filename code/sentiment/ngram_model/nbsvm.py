"""NBSVM: logistic regression on n-grams weighted by naive-Bayes log-count ratios.

Wang and Manning, ACL 2012, section 2.3.
"""

import logging
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from byoc.errors import DataError
from sentiment.ngram_model.features import NgramFeatures
from sentiment.settings import PSEUDO_COUNT
from sentiment.text.sequences import Examples, Sequences

if TYPE_CHECKING:
    from scipy import sparse

logger = logging.getLogger(__name__)

_MAX_ITERATIONS = 200
# Length of a review whose logit stays as it is. The sum of coefficients grows with the length, the certainty
# of a reader less so: logits of a mean over words, smoothed as in the network, are better calibrated.
_TYPICAL_WORDS = 200
_REMEDY = "provide more reviews, or set ngram_weight=0"


class NBSVM(NamedTuple):
    """A fitted model."""

    features: NgramFeatures
    coefficients: NDArray[np.float32]  # [n-grams], of the logit
    intercept: float  # of the logit

    @classmethod
    def fit(cls, training: Examples, base: int, max_ngrams: int) -> Self:
        """Fit a model to reviews of both classes; ``base`` is the number of token ids.

        Raises:
            DataError: no two reviews share a word.
        """
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (see features.py: not to predict)

        features = NgramFeatures.fit(training.sequences, base, max_ngrams)
        if len(features.keys) == 0:
            raise DataError(f"no two reviews share a word; the n-gram model needs common n-grams\n{_REMEDY}")
        matrix = features.transform(training.sequences)
        ratios = log_count_ratios(matrix, training.labels)
        matrix.data *= ratios[matrix.indices]
        regression = LogisticRegression(max_iter=_MAX_ITERATIONS).fit(matrix, training.labels)
        logger.info("n-gram model: %d n-grams of %d reviews", len(features.keys), len(training.labels))
        coefficients = (regression.coef_[0] * ratios).astype(np.float32)
        return cls(features, coefficients, float(regression.intercept_[0]))

    def logits(self, sequences: Sequences) -> NDArray[np.float32]:
        """[sequences] logits."""
        # Without the sparse matrix, whose construction takes as long as the rest for a single review.
        features = self.features.iterate(sequences)
        sums = np.array([self.coefficients[row].sum(dtype=np.float64) for row in features]) + self.intercept
        scale = (_TYPICAL_WORDS + PSEUDO_COUNT) / (sequences.lengths + PSEUDO_COUNT)
        logits: NDArray[np.float32] = (sums * scale).astype(np.float32)
        return logits

    def scaled(self, weight: float) -> "NBSVM":
        """The model whose logits are ``weight`` times those of this model."""
        return NBSVM(self.features, (self.coefficients * weight).astype(np.float32), self.intercept * weight)


def log_count_ratios(matrix: "sparse.csr_array", labels: NDArray[np.int8]) -> NDArray[np.float32]:
    """[n-grams] log-count ratios of [reviews, n-grams] features, with one added to each count."""
    positive, negative = (matrix.T @ (labels == label).astype(np.float32) + 1.0 for label in (1, 0))
    ratios: NDArray[np.float32] = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    return ratios.astype(np.float32)
