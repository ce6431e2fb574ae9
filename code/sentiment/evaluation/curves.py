"""The data of the report's plots, as arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.evaluation.metrics import Floats, Labels, calibration_bins


class Predictions(NamedTuple):
    """One held-out set; each array is [reviews]."""

    labels: Labels
    probabilities: Floats
    words: NDArray[np.int64]


class Groups(NamedTuple):
    """Non-empty groups of reviews; each array is [groups].

    Attributes:
        x: mean of the grouping variable.
        rate: fraction of positive, or of correctly predicted, reviews.
        error: standard error of ``rate``.
        reviews: size of the group.
    """

    x: Floats
    rate: Floats
    error: Floats
    reviews: NDArray[np.int64]


def reliability(probabilities: Floats, labels: Labels) -> Groups:
    """Fraction of positives by predicted probability, in the bins of the calibration error."""
    return _group(calibration_bins(probabilities), probabilities, labels == 1)


def accuracy_by_length(lengths: NDArray[np.int64], is_correct: NDArray[np.bool_], groups: int = 8) -> Groups:
    """Accuracy by number of tokens, in groups of nearly equal size."""
    boundaries = np.unique(np.quantile(lengths, np.linspace(0, 1, groups + 1))[1:-1])
    return _group(np.searchsorted(boundaries, lengths), lengths.astype(np.float64), is_correct)


def _group(index: NDArray[np.int64], x: Floats, hit: NDArray[np.bool_]) -> Groups:
    reviews = np.bincount(index)
    is_filled = reviews > 0
    reviews = reviews[is_filled]
    mean = np.bincount(index, weights=x)[is_filled] / reviews
    rate = np.bincount(index, weights=hit)[is_filled] / reviews
    return Groups(mean, rate, np.sqrt(rate * (1 - rate) / reviews), reviews)
