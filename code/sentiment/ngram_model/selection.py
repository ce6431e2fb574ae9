"""Selection of the n-grams that become tokens, by their effect on the logits."""

import numpy as np
from numpy.typing import NDArray

from sentiment.ngram_model.cross_fit import CrossFittedNBSVM
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.text.vocabulary import UNK_ID

_MIN_REVIEWS = 5  # coefficients of rarer n-grams are noise


def select_ngrams(model: CrossFittedNBSVM, count: int) -> list[NDArray[np.int64]]:
    """FOLDS + 1 arrays of at most ``count`` feature indices.

    Each fold's selection uses the reviews outside the fold only: a selection made with a review would leak
    the review's label.
    """
    words = model.features.word_ids()
    is_candidate = (words[:, 1] > 0) & (words != UNK_ID).all(1)
    selections = []
    for k, nbsvm in enumerate(model.models):
        reviews = np.asarray(model.matrix[model.fold != k].sum(0))
        candidates = np.flatnonzero(is_candidate & (reviews >= _MIN_REVIEWS))
        order = np.argsort(-_rms_contribution(nbsvm, reviews)[candidates], kind="stable")
        selections.append(np.sort(candidates[order[:count]]))
    return selections


def _rms_contribution(model: NBSVM, reviews: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n-grams] root mean square, up to a constant factor, of the contribution to the reviews' logits."""
    contribution: NDArray[np.float32] = np.abs(model.coefficients) * np.sqrt(reviews)
    return contribution
