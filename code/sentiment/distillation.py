"""What a teacher makes of the reviews, for the network to learn from: with labels, and without.

The teacher is the model that an LSTM has to beat: logistic regression on which words, word pairs and triples
there are, each weighted by how much oftener it comes in positive reviews than in negative ones (Wang and
Manning, ACL 2012, section 2.3). It errs elsewhere than an LSTM does, and says how sure it is: Hinton, Vinyals
and Dean, arXiv:1503.02531. Of no review it has seen the label when it judges it, or it would be too sure.
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sentiment.batches import Examples, Sequences
from sentiment.errors import DataError
from sentiment.evaluation import sigmoid

logger = logging.getLogger(__name__)

Keys = NDArray[np.int64]

LONGEST = 3  # words of an n-gram
PARTS = 4  # the labelled reviews of each are judged by a teacher that learned from the others
_CHUNK = 1_000  # reviews whose n-grams are in memory at a time
_PENALTY = 1.0  # inverse strength of the regression's L2 penalty
_ITERATIONS = 200


def taught(training: Examples, unlabeled: Sequences, share: float) -> NDArray[np.float32]:
    """What the network is to say of reviews.

    Args:
        training: labelled reviews, of both classes.
        unlabeled: more reviews.
        share: how much of a labelled one's target is the teacher's word; the rest is the label.

    Returns:
        [reviews] probabilities of "positive", of the labelled ones first.

    Raises:
        DataError: there is too little to learn from.
    """
    if np.bincount(training.labels, minlength=2).min() < 2:
        raise DataError(
            "distillation needs two reviews of each class to train on\ngive more, or distillation=0"
        )
    logger.info("teacher: learns from %d reviews, for a minute or two", len(training.labels))
    ngrams = NGrams.of(training.sequences)
    known = ngrams.matrix(training.sequences)
    labels = training.labels.astype(np.float32)
    told = np.empty(len(labels), np.float32)
    part = parts(training.labels)
    for number in range(PARTS):
        teacher = Teacher.of(known[part != number], training.labels[part != number])
        told[part == number] = teacher.probabilities(known[part == number])
    right = ((told > 0.5) == (training.labels == 1)).mean()
    logger.info("teacher: %d n-grams, accuracy %.4f on reviews it has not seen", known.shape[1], right)
    targets = (1 - share) * labels + share * told
    if len(unlabeled) == 0:
        return targets
    teacher = Teacher.of(known, training.labels)
    others = [teacher.probabilities(ngrams.matrix(chunk)) for chunk in _chunks(unlabeled)]
    return np.concatenate([targets, *others])


class NGrams(NamedTuple):
    """The n-grams that count.

    Attributes:
        keys: [n-grams], a number for each, rising.
        base: a number larger than any word id.
    """

    keys: Keys
    base: int

    @classmethod
    def of(cls, sequences: Sequences) -> "NGrams":
        """Those in at least two of the reviews.

        Raises:
            DataError: there are none.
        """
        base = int(sequences.ids.max(initial=0)) + 1
        found = [keys for _, keys in _occurrences(sequences, base)]
        keys, counts = np.unique(np.concatenate(found), return_counts=True)
        if not (counts > 1).any():
            raise DataError("distillation needs words that two reviews share\ngive more, or distillation=0")
        return cls(keys[counts > 1], base)

    def matrix(self, sequences: Sequences) -> sparse.csr_array:
        """[reviews, n-grams] float32, 1 where a review has the n-gram."""
        rows, columns = [], []
        for row, keys in _occurrences(sequences, self.base):
            column = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            is_known = self.keys[column] == keys
            rows.append(row[is_known])
            columns.append(column[is_known].astype(np.int32))
        row, column = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(len(row), np.float32)
        return sparse.csr_array((ones, (row, column)), shape=(len(sequences), len(self.keys)))


class Teacher(NamedTuple):
    """A regression on weighted n-grams.

    Attributes:
        coefficients: [n-grams], of a logit.
        intercept: of a logit.
    """

    coefficients: NDArray[np.float32]
    intercept: np.float32

    @classmethod
    def of(cls, matrix: sparse.csr_array, labels: NDArray[np.int8]) -> "Teacher":
        """The teacher that has learned from these reviews, of both classes."""
        positive, negative = (np.asarray(matrix[labels == label].sum(0)) + 1.0 for label in (1, 0))
        ratios = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        weighted = matrix @ sparse.diags_array(ratios.astype(np.float32))
        regression = LogisticRegression(C=_PENALTY, max_iter=_ITERATIONS).fit(weighted, labels)
        return cls((regression.coef_[0] * ratios).astype(np.float32), np.float32(regression.intercept_[0]))

    def probabilities(self, matrix: sparse.csr_array) -> NDArray[np.float32]:
        """[reviews] probabilities of "positive"."""
        logits = matrix @ self.coefficients + self.intercept
        return sigmoid(logits).astype(np.float32)


def parts(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    """[reviews] the part that each belongs to: of both classes as many in each, neighbours together.

    Neighbours in a data set are often about the same movie.
    """
    part = np.empty(len(labels), np.int64)
    for label in (0, 1):
        of_class = labels == label
        count = int(of_class.sum())
        part[of_class] = np.arange(count) * PARTS // max(1, count)
    return part


def _occurrences(sequences: Sequences, base: int) -> Iterator[tuple[NDArray[np.int32], Keys]]:
    """Row and key of each n-gram in each review that has it, once; some reviews at a time.

    The key of the words a, b, c is a + base * b + base**2 * c; no word has the id 0.
    """
    first = 0
    for chunk in _chunks(sequences):
        ids = chunk.ids.astype(np.int64)
        rows = np.repeat(np.arange(len(chunk), dtype=np.int64), chunk.lengths)
        keys, found = ids, [np.stack([rows, ids])]
        for length in range(1, LONGEST):
            keys = keys[:-1] + base**length * ids[length:]
            within = rows[length:] == rows[:-length]
            found.append(np.stack([rows[length:][within], keys[within]]))
        row, key = np.concatenate(found, axis=1)
        order = np.lexsort((key, row))
        row, key = row[order], key[order]
        is_first = np.ones(len(row), np.bool_)
        is_first[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
        yield (first + row[is_first]).astype(np.int32), key[is_first]
        first += len(chunk)


def _chunks(sequences: Sequences) -> Iterator[Sequences]:
    for begin in range(0, len(sequences), _CHUNK):
        offsets = sequences.offsets[begin : begin + _CHUNK + 1]
        yield Sequences(sequences.ids[offsets[0] : offsets[-1]], offsets - offsets[0])
