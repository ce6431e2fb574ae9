"""What each word and phrase tells of the sentiment by itself, as one element of its vector.

Which is where the network begins: it says at first what a regression says (``SentimentLSTM.begin_with``),
and learns what order and context change about it. A word counts where it comes for the first time: the second
time it tells little (Pang, Lee and Vaithyanathan, EMNLP 2002, section 6.2).

While the network learns, the element comes from a regression that has not seen the review, as all that a
model builds on has to: Wolpert, Stacked generalization, Neural Networks 5 (1992). Otherwise it would find
each answer given away, and nothing left to learn.
"""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sentiment.ngram_model.nbsvm import PARTS, Teacher, Teachers
from sentiment.text.sequences import Sequences

logger = logging.getLogger(__name__)

# Inverse strength of the regressions' L2 penalty: of 0.03 to 1, what gave the lowest log loss.
_STRENGTH = 0.1
# A root mean square below which words tell nothing, and what there is is rounding: not to be blown up.
_LEAST = 1e-6


class NgramScores(NamedTuple):
    """Score of each token in each fold.

    Attributes:
        scores: [FOLDS + 1, vocab_size], row k fitted without fold k, the last row on all reviews; the root
            mean square over the tokens of the reviews is 1.
        fold: [reviews], row of ``scores`` to train each review with.
        slope: [1] of the logit as a function of a review's mean score.
        intercept: [1] of the same line.
    """

    scores: NDArray[np.float32]
    fold: NDArray[np.int64]
    slope: NDArray[np.float32]
    intercept: NDArray[np.float32]


def fit_ngram_scores(
    teachers: Teachers,
    sequences: Sequences,
    told: NDArray[np.float32],
    movies: NDArray[np.uint64],
    allowed: NDArray[np.bool_],
    damping: int = 0,
) -> NgramScores:
    """The evidence of all reviews that there is something to learn from.

    Args:
        teachers: of the labelled ones.
        sequences: the labelled ones and, behind them, the others, phrases included.
        told: [PARTS + 1, others] what each teacher says of the others.
        movies: [others], a hash of what each is about.
        allowed: [PARTS + 1, vocab_size], which ids each of the regressions may use.
        damping: of the mean that the network pools by, see ``DAMPING``.
    """
    logger.info("n-gram scores: %d words and phrases in %d reviews", allowed.shape[1], len(sequences))
    matrix = id_matrix(sequences, allowed.shape[1])
    part = np.concatenate([teachers.part, (movies % np.uint64(PARTS)).astype(np.int64)])
    certain = teachers.labels.astype(np.float32)
    weights = np.zeros(allowed.shape, np.float32)
    for number, may in enumerate(allowed):
        rows = part != number
        targets = np.concatenate([certain, told[number]])[rows]
        weights[number] = Teacher.of(matrix[rows], targets, _STRENGTH, may).coefficients
    scale = np.float32(np.sqrt(np.square(weights[PARTS][sequences.ids]).mean()))
    if scale < _LEAST:
        scale = np.float32(1)
    labelled = np.arange(len(certain))
    words = sequences.lengths[labelled] + damping
    means = sums(matrix[labelled], weights, teachers.part)[:, None] / (scale * np.maximum(1, words)[:, None])
    regression = LogisticRegression(C=np.inf).fit(means, teachers.labels)
    slope, intercept = np.array(regression.coef_[0], np.float32), np.array(regression.intercept_, np.float32)
    return NgramScores(weights / scale, part, slope, intercept)


def id_matrix(sequences: Sequences, vocab_size: int) -> sparse.csr_array:
    """[reviews, vocab_size] float32, 1 where a review has the id."""
    rows = sequences.rows.astype(np.int32)
    ones = np.ones(len(rows), np.float32)
    matrix = sparse.csr_array((ones, (rows, sequences.ids)), shape=(len(sequences), vocab_size))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def sums(
    matrix: sparse.csr_array, weights: NDArray[np.float32], part: NDArray[np.int64]
) -> NDArray[np.float32]:
    """[reviews] the sum of the weights of each one's different words, by those of its part."""
    found = np.empty(len(part), np.float32)
    for number in np.unique(part):
        found[part == number] = matrix[part == number] @ weights[number]
    return found
