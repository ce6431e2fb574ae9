"""Out-of-fold n-gram scores used as one feature of each token embedding.

A score is the token's coefficient in a naive-Bayes-weighted logistic regression. While the network trains,
each review is scored by a model fitted without its fold (stacking; Wolpert, Neural Networks 5, 1992), so the
feature does not leak the label. Only the first occurrence of a token in a review counts (Pang et al., EMNLP
2002, section 6.2).
"""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sentiment.ngram_model.cross_fit import FOLDS, CrossFittedNBSVM, group_folds
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.text.sequences import Examples, Sequences

logger = logging.getLogger(__name__)

_C = 0.1  # inverse strength of the L2 penalty: lowest log loss of values from 0.03 to 1
_MIN_RMS = 1e-6  # smaller scores are rounding errors, not to be scaled up


class NgramScores(NamedTuple):
    """Score of each token in each fold."""

    # [FOLDS + 1, vocab_size], row k fitted without fold k, the last row to all reviews; the root mean square
    # over the tokens of the reviews is 1.
    scores: NDArray[np.float32]
    fold: NDArray[np.int64]  # [reviews], row of ``scores`` to train each review with
    slope: NDArray[np.float32]  # [1] of the logit as a function of a review's mean score
    intercept: NDArray[np.float32]  # [1] of the same line


def fit_ngram_scores(
    model: CrossFittedNBSVM,
    training: Sequences,
    unlabeled: Examples,
    predictions: NDArray[np.float32],
    usable: NDArray[np.bool_],
    pseudo_count: int = 0,
) -> NgramScores:
    """Fit scores to labels and to predictions for unlabeled reviews.

    Args:
        model: fitted to the training reviews.
        training: reviews with n-gram tokens.
        unlabeled: further reviews with n-gram tokens; may be empty.
        predictions: [FOLDS + 1, unlabeled] probabilities of "positive".
        usable: [FOLDS + 1, vocab_size], token ids that each regression may use.
        pseudo_count: added to the length in a review's mean score, see ``settings.PSEUDO_COUNT``.
    """
    sequences = training.concatenate(unlabeled.sequences)
    logger.info("n-gram scores: %d tokens in %d reviews", usable.shape[1], len(sequences))
    matrix = id_matrix(sequences, usable.shape[1])
    fold = np.concatenate([model.fold, group_folds(unlabeled.groups)])
    labels = model.labels.astype(np.float32)
    scores = np.zeros(usable.shape, np.float32)
    for k in range(FOLDS + 1):
        rows = fold != k
        targets = np.concatenate([labels, predictions[k]])[rows]
        scores[k] = NBSVM.fit(matrix[rows], targets, _C, usable[k]).coefficients
    rms = np.float32(np.sqrt(np.square(scores[FOLDS][sequences.ids]).mean()))
    scores /= rms if rms >= _MIN_RMS else np.float32(1)
    lengths = np.maximum(1, training.lengths + pseudo_count)
    means = sum_scores(matrix[: len(training)], scores, model.fold) / lengths
    regression = LogisticRegression(C=np.inf).fit(means[:, None], model.labels)
    slope, intercept = (
        value.ravel().astype(np.float32) for value in (regression.coef_, regression.intercept_)
    )
    return NgramScores(scores, fold, slope, intercept)


def id_matrix(sequences: Sequences, vocab_size: int) -> sparse.csr_array:
    """[reviews, vocab_size] float32, 1 where a review has the token id."""
    rows = sequences.rows.astype(np.int32)
    ones = np.ones(len(rows), np.float32)
    matrix = sparse.csr_array((ones, (rows, sequences.ids)), shape=(len(sequences), vocab_size))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def sum_scores(
    matrix: sparse.csr_array, scores: NDArray[np.float32], fold: NDArray[np.int64]
) -> NDArray[np.float32]:
    """[reviews] sum of the scores of each review's distinct tokens, from the review's fold."""
    sums = np.empty(len(fold), np.float32)
    for k in np.unique(fold):
        sums[fold == k] = matrix[fold == k] @ scores[k]
    return sums
