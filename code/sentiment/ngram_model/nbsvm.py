"""The model that an LSTM has to beat, and to learn from: a regression on which n-grams a review has.

Each n-gram is weighted by how much oftener it comes in positive reviews than in negative ones: Wang and
Manning, ACL 2012, section 2.3. Of no review a teacher has seen the label when it judges it, or it would be
too sure; nor that of another one about the same movie, whose names it would take for signs.
"""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from byoc.errors import DataError
from sentiment.evaluation.metrics import sigmoid
from sentiment.ngram_model import regression
from sentiment.ngram_model.features import NGrams
from sentiment.text.sequences import Examples, Sequences

logger = logging.getLogger(__name__)

PARTS = 4  # the labelled reviews of each are judged by a teacher that learned from the others
_STRENGTH = 1.0  # inverse strength of the regression's L2 penalty


class Teacher(NamedTuple):
    """A regression on weighted n-grams.

    Attributes:
        coefficients: [n-grams], of a logit.
        intercept: of a logit.
    """

    coefficients: NDArray[np.float32]
    intercept: np.float32

    @classmethod
    def of(
        cls,
        matrix: sparse.csr_array,
        targets: NDArray[np.float32],
        strength: float = _STRENGTH,
        allowed: NDArray[np.bool_] | None = None,
    ) -> "Teacher":
        """The teacher that has learned from these reviews, of both classes.

        Args:
            matrix: [reviews, n-grams] float32, 1 where a review has the n-gram.
            targets: [reviews] probabilities of "positive".
            strength: inverse strength of the regression's L2 penalty.
            allowed: [n-grams], which it may use; all if None.
        """
        positive, negative = (matrix.T @ part + 1.0 for part in (targets, 1 - targets))
        ratios = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        if allowed is not None:
            ratios *= allowed
        return cls(*regression.fit(matrix, targets, ratios.astype(np.float32), strength))

    def probabilities(self, matrix: sparse.csr_array) -> NDArray[np.float32]:
        """[reviews] probabilities of "positive"."""
        logits = matrix @ self.coefficients + self.intercept
        return sigmoid(logits).astype(np.float32)


class Teachers(NamedTuple):
    """One for each part of the reviews, which has not read that part, and one that has read all of them.

    Attributes:
        ngrams: that they know.
        matrix: [reviews, n-grams], 1 where a labelled review has the n-gram.
        labels: [reviews].
        part: [reviews], the part that each is of.
        each: ``PARTS`` teachers, and the one of all parts.
    """

    ngrams: NGrams
    matrix: sparse.csr_array
    labels: NDArray[np.int8]
    part: NDArray[np.int64]
    each: list[Teacher]

    @classmethod
    def of(cls, training: Examples, movies: NDArray[np.uint64], vocab_size: int) -> "Teachers":
        """Those of labelled reviews.

        Args:
            training: of both classes.
            movies: [reviews], a hash of what each is about.
            vocab_size: how many ids words have.

        Raises:
            DataError: there is too little to learn from.
        """
        labels = training.labels
        if np.bincount(labels, minlength=2).min() < 2:
            raise DataError(
                "a teacher needs two reviews of each class to train on\n"
                "give more, or ngram_init=none, max_ngrams=0 and soft_label_weight=0"
            )
        logger.info("teachers: learn from %d reviews, for a minute or two", len(labels))
        ngrams = NGrams.of(training.sequences, vocab_size)
        matrix = ngrams.matrix(training.sequences)
        part = parts(labels, movies)
        certain = labels.astype(np.float32)
        each = [Teacher.of(matrix[part != k], certain[part != k]) for k in range(PARTS)]
        found = cls(ngrams, matrix, labels, part, [*each, Teacher.of(matrix, certain)])
        right = ((found.told() > 0.5) == (labels == 1)).mean()
        logger.info("teachers: %d n-grams, accuracy %.4f on reviews not seen", matrix.shape[1], right)
        return found

    def told(self) -> NDArray[np.float32]:
        """[reviews] probabilities of "positive", each by the teacher that has not read it."""
        told = np.empty(len(self.labels), np.float32)
        for number, teacher in enumerate(self.each[:PARTS]):
            told[self.part == number] = teacher.probabilities(self.matrix[self.part == number])
        return told

    def told_of(self, others: Sequences) -> NDArray[np.float32]:
        """[PARTS + 1, others] probabilities of "positive" of reviews that no teacher has read, by each."""
        told = np.empty((len(self.each), len(others)), np.float32)
        begin = 0
        for chunk in others.chunks():
            matrix = self.ngrams.matrix(chunk)
            for number, teacher in enumerate(self.each):
                told[number, begin : begin + len(chunk)] = teacher.probabilities(matrix)
            begin += len(chunk)
        return told


def parts(labels: NDArray[np.int8], movies: NDArray[np.uint64]) -> NDArray[np.int64]:
    """[reviews] the part of each: by movie, or by turns in each class where movies are too few."""
    part = (movies % np.uint64(PARTS)).astype(np.int64)
    left = [np.bincount(labels[part != number], minlength=2).min() for number in range(PARTS)]
    if min(left) == 0:
        for label in (0, 1):
            of_class = labels == label
            part[of_class] = np.arange(of_class.sum()) % PARTS
    return part
