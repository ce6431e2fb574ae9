"""What the report's pictures show of a set of predictions, as arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.evaluation.metrics import CALIBRATION_BINS, Floats, Labels


class Predictions(NamedTuple):
    """One held-out set: [reviews] each."""

    labels: Labels
    probabilities: Floats
    words: NDArray[np.int64]


class Curve(NamedTuple):
    """[points] each."""

    x: Floats
    y: Floats


class Groups(NamedTuple):
    """Reviews in groups that are not empty: [groups] each.

    Attributes:
        x: mean of what they are grouped by.
        share: of the reviews that are positive, or that are predicted right.
        error: standard error of that share.
        reviews: how many there are.
    """

    x: Floats
    share: Floats
    error: Floats
    reviews: NDArray[np.int64]


def _counts(scores: Floats, labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[thresholds + 1], true and false positives at each distinct threshold, the highest first, from 0."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(labels[order] == 1)[ends]
    return np.append(0, true), np.append(0, 1 + ends - true)


def roc(scores: Floats, labels: Labels) -> Curve:
    """False positive rate against true positive rate, from (0, 0) to (1, 1); needs both classes."""
    true, false = _counts(scores, labels)
    return Curve(false / false[-1], true / true[-1])


def precision_recall(scores: Floats, labels: Labels) -> Curve:
    """Recall against precision, at each distinct threshold from the highest on; needs a positive review."""
    true, false = (counts[1:] for counts in _counts(scores, labels))
    return Curve(true / true[-1], true / (true + false))


def reliability(probabilities: Floats, labels: Labels, bins: int = CALIBRATION_BINS) -> Groups:
    """Share of positives by probability of "positive", in the bins of the calibration error."""
    index = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return _grouped(index, probabilities, labels == 1)


def accuracy_by_length(lengths: NDArray[np.int64], is_right: NDArray[np.bool_], groups: int = 8) -> Groups:
    """Share predicted right by number of words, in groups of about as many reviews."""
    borders = np.unique(np.quantile(lengths, np.linspace(0, 1, groups + 1))[1:-1])
    return _grouped(np.searchsorted(borders, lengths), lengths.astype(np.float64), is_right)


def _grouped(index: NDArray[np.int64], x: Floats, hit: NDArray[np.bool_]) -> Groups:
    reviews = np.bincount(index)
    there = reviews > 0
    reviews = reviews[there]
    mean = np.bincount(index, weights=x)[there] / reviews
    share = np.bincount(index, weights=hit)[there] / reviews
    return Groups(mean, share, np.sqrt(share * (1 - share) / reviews), reviews)
