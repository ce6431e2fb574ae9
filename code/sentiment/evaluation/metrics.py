"""Accuracy, F1, ROC AUC, log loss, calibration error and confusion matrix of a set of predictions."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]

CALIBRATION_BINS = 15


def sigmoid(logits: NDArray[np.floating[Any]]) -> Floats:
    """Logistic function, without overflow."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))


def log_loss(logits: NDArray[np.floating[Any]], labels: Labels) -> float:
    """Mean negative log-likelihood in nats; from logits, which keep precision near 0 and 1."""
    signed = np.where(labels == 1, logits, -logits).astype(np.float64)
    return float(np.logaddexp(0, -signed).mean())


def roc_auc(scores: NDArray[np.float32], labels: Labels) -> float:
    """Area under the ROC curve; NaN for a single class."""
    return float(roc_auc_score(labels, scores)) if len(np.unique(labels)) == 2 else math.nan


def calibration_bins(probabilities: Floats) -> NDArray[np.int64]:
    """[reviews] index of the bin of each probability; the bins have equal widths."""
    return np.minimum((probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def calibration_gaps(probabilities: Floats, labels: Labels) -> Floats:
    """[bins] number of positives minus the sum of probabilities."""
    gaps = np.bincount(calibration_bins(probabilities), labels - probabilities, CALIBRATION_BINS)
    return gaps.astype(np.float64)


def calibration_error(probabilities: Floats, labels: Labels) -> float:
    """Expected calibration error: Naeini, Cooper and Hauskrecht, AAAI 2015."""
    return float(np.abs(calibration_gaps(probabilities, labels)).sum() / len(labels))


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of one set of reviews at a threshold of 0.5."""

    reviews: int
    accuracy: float
    f1: float
    roc_auc: float
    log_loss: float
    calibration_error: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


def evaluate_logits(logits: NDArray[np.float32], labels: Labels) -> Metrics:
    """All metrics of [reviews] logits and labels; at least one review."""
    counts = confusion_matrix(labels, logits > 0, labels=[0, 1])
    (true_negatives, false_positives), (false_negatives, true_positives) = counts.tolist()
    errors = false_positives + false_negatives
    return Metrics(
        reviews=len(labels),
        accuracy=1 - errors / len(labels),
        f1=2 * true_positives / max(1, 2 * true_positives + errors),
        roc_auc=roc_auc(logits, labels),
        log_loss=log_loss(logits, labels),
        calibration_error=calibration_error(sigmoid(logits), labels),
        true_positives=true_positives,
        false_positives=false_positives,
        true_negatives=true_negatives,
        false_negatives=false_negatives,
    )
